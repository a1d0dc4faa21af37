"""The one place where an error becomes words on stderr and an exit status.

`error[DL0123]: what` and `hint: how`; what devloop.yaml says wrong as `file:line:col: error: what [DL0123]`, which
compilers' matchers in editors understand. What nobody foresaw is a bug in devloop: one line, and where its
traceback was written; never the traceback itself unless it was asked for with `-vv`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from devloop import __version__, errors
from devloop.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Iterable

BUG_CODE: Final = "DL0999"

_RED: Final = (1, 31)
_CYAN: Final = (36,)
_BOLD: Final = (1,)


def report(error: BaseException, chosen: options.Chosen) -> int:
    """Write what went wrong to stderr, and return the exit status.

    Args:
        error: What ended the command: a `DevloopError`, one of click's, an interrupt, or a bug.
        chosen: The options as far as they were read.
    """
    if isinstance(error, errors.DevloopError):
        _write(_lines_of(error, _color(chosen)))
        return int(error.exit_status)
    if isinstance(error, click.ClickException):
        return report(from_click(error), chosen)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return int(errors.Exit.INTERRUPTED)
    if isinstance(error, BaseExceptionGroup):
        return _report_group(error, chosen)
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return int(errors.Exit.ERROR)
    return _report_bug(error, chosen)


def _report_group(group: BaseExceptionGroup[BaseException], chosen: options.Chosen) -> int:
    """Report what ended a task group: each error of ours, or the whole group where one of them is a bug."""
    known, others = group.split((errors.DevloopError, KeyboardInterrupt, click.ClickException))
    if others is not None or known is None:
        return _report_bug(group, chosen)
    return max(report(error, chosen) for error in known.exceptions)


def from_click(error: click.ClickException) -> errors.UsageError:
    """Return click's complaint about the command line as ours."""
    if isinstance(error, click.NoSuchOption):
        near = ", ".join(error.possibilities or [])
        hint = f"did you mean {near}?" if near else _help_hint(error)
        return errors.UsageError(f"there is no option {error.option_name}", hint=hint)
    message = " ".join(error.format_message().split()).rstrip(".")
    hint = _help_hint(error) if isinstance(error, click.UsageError) else ""
    return errors.UsageError(message[:1].lower() + message[1:], hint=hint)


def lines_of_config(found: Iterable[errors.ConfigError], *, level: str = "error", on: bool = False) -> list[str]:
    """Return the lines that tell what is wrong with devloop.yaml.

    Args:
        found: The errors.
        level: error or warning.
        on: Colour them.
    """
    lines = []
    for error in found:
        place = output.style(f"{error.location()}:", *_BOLD, on=on)
        lines.append(
            f"{place} {output.style(f'{level}:', *_RED, on=on)} {output.clean(error.message)} [{error.error_code}]"
        )
        lines += _hint(error, on)
    return lines


def _lines_of(error: errors.DevloopError, on: bool) -> list[str]:
    if isinstance(error, errors.ConfigErrors):
        return lines_of_config(error.errors, on=on)
    if isinstance(error, errors.ConfigError) and error.file:
        return lines_of_config([error], on=on)
    return [
        f"{output.style(f'error[{error.error_code}]:', *_RED, on=on)} {output.clean(error.message)}",
        *_hint(error, on),
    ]


def _hint(error: errors.DevloopError, on: bool) -> list[str]:
    return [f"{output.style('hint:', *_CYAN, on=on)} {output.clean(error.hint)}"] if error.hint else []


def _help_hint(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"see `{ctx.command_path if ctx else 'devloop'} --help`"


def _color(chosen: options.Chosen) -> bool:
    return options.color_on(chosen.values.get("color") or "auto", sys.stderr)


def _write(lines: list[str]) -> None:
    try:
        sys.stderr.write("\n".join([*lines, ""]))
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Nobody is there to read it; the exit status still tells.


def _silence_stdout() -> None:
    """Point stdout to nowhere, so that the interpreter's own flush at exit does not complain again."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # It is not a file, so there is no flush to a broken pipe either.


def _report_bug(error: BaseException, chosen: options.Chosen) -> int:
    import traceback

    told = "".join(traceback.format_exception(error))
    written = _write_crash(told)
    hint = f"the traceback is in {written}; please report it" if written else "run again with -vv to see the traceback"
    bug = errors.DevloopError(f"this is a bug in devloop: {type(error).__name__}: {error}", hint=hint, code=BUG_CODE)
    if int(chosen.values.get("verbose") or 0) >= 2:
        _write([told.rstrip()])
    _write(_lines_of(bug, _color(chosen)))
    return int(errors.Exit.ERROR)


def crash_folder() -> str:
    """Return the folder for tracebacks: `crashes` in `DEVLOOP_STATE_DIR`, or in the platform's folder for state.

    Raises:
        ImportError: A broken installation, which is then also the bug that is being reported.
    """
    state = os.environ.get("DEVLOOP_STATE_DIR")
    if not state:
        import platformdirs

        state = platformdirs.user_state_dir("devloop", appauthor=False)
    return os.path.join(state, "crashes")


def _write_crash(told: str) -> str:
    import platform
    import time

    name = f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    head = f"devloop {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
    try:
        folder = crash_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            # Arguments and variables are left out: they may hold secrets.
            file.write(head + told)
    except (OSError, ImportError):
        return ""
    return path
