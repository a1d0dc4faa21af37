"""Becoming a command on this machine: this process is replaced, so terminal, signals and exit status are the command's.

Also what `devloop exec` and `devloop shell` mean for a target on this machine: the target's folder, and the variables
that its app has.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import msgspec

from devloop import errors

if TYPE_CHECKING:
    from devloop.config import model


class Here(msgspec.Struct, frozen=True):
    """A command on this machine.

    Attributes:
        argv: The program and its arguments.
        env: All of its variables.
        cwd: Where it runs; empty for where this process is.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str = ""


def in_target(spec: model.Service, argv: Sequence[str], environ: Mapping[str, str]) -> Here:
    """Return a command as it runs in a service's target on this machine.

    Args:
        spec: The service; it has such a target.
        argv: The command.
        environ: This process's own variables.

    Raises:
        LocalError: Nothing was synced there yet.
    """
    assert spec.target is not None
    folder = _folder(spec)
    if not os.path.isdir(folder):
        raise errors.LocalError(
            f"there is no folder {folder} yet, which the command would run in",
            hint="`devloop watch` fills it, and `devloop watch --once` does no more than that",
        )
    return Here(tuple(argv), {**environ, **spec.env, "PWD": folder}, folder)


def _folder(spec: model.Service) -> str:
    """Return where the service's own command runs: its `workdir` beneath the target, as the agent has it."""
    assert spec.target is not None
    cwd = spec.workdir or spec.sync[0].to
    for to in sorted((sync.to for sync in spec.sync), key=len, reverse=True):
        if cwd == to or cwd.startswith(to.rstrip("/") + "/"):
            return os.path.join(spec.target.local, cwd.lstrip("/"))
    return cwd


def become(here: Here) -> NoReturn:
    """Replace this process by a command.

    Raises:
        NotRunError: There is no such program, or it cannot be executed.
        LocalError: Its folder cannot be entered.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if here.cwd:
            os.chdir(here.cwd)
    except OSError as error:
        raise errors.LocalError(f"{here.cwd} cannot be entered: {error.strerror}") from None
    # Python ignores these, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(here.argv[0], here.argv, here.env)  # noqa: S606  # the user's own command
    except (FileNotFoundError, NotADirectoryError):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        raise missing(here.argv[0]) from None
    except (OSError, ValueError) as error:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        raise errors.NotRunError(f"{here.argv[0]} cannot be run: {getattr(error, 'strerror', '') or error}") from None


def missing(name: str) -> errors.NotRunError:
    """Return the error of a program that is not on this machine."""
    return errors.NotRunError(
        f"there is no program {name} on this machine", hint="is it installed, and on PATH?", missing=True
    )
