"""`devloop ide`: tasks, attach configurations and the schema for an editor, merged into what its user has."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from devloop import errors
from devloop.cli import options, output, project

if TYPE_CHECKING:
    from devloop.ide import facts, plan

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option("--write", is_flag=True, help="Write the files."),
    click.option("--print", "whole", is_flag=True, help="Print the files whole, in place of what would change."),
    click.option("--force", is_flag=True, help="Replace entries of devloop that were changed since."),
    click.option("--workspace", default="", metavar="DIR", help="The folder that the editor has open."),
    click.option(
        "--debug",
        "debug",
        multiple=True,
        metavar="SERVICE=KIND[:PORT]",
        help="The debugger of a service: debugpy, node, jdwp, dlv or pydevd. Told by its command and ports by default.",
    ),
)


def _with_options(function: F) -> F:
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


@click.group("ide", cls=options.Verbs)
def command() -> None:
    """Prepare an editor for this project: tasks, debuggers, the schema of devloop.yaml.

    Without --write nothing is changed: the differences are printed. What you have in these files stays as it is.
    """


@command.command("vscode")
@_with_options
@options.pass_settings
def for_vscode(settings: options.Settings, /, **given: Any) -> int:
    """Tasks, attach configurations and settings for VS Code, in .vscode."""
    return _run(settings, "vscode", **given)


@command.command("jetbrains")
@_with_options
@options.pass_settings
def for_jetbrains(settings: options.Settings, /, **given: Any) -> int:
    """Run configurations in .run, and the schema in .idea, for JetBrains IDEs."""
    return _run(settings, "jetbrains", **given)


def _run(
    settings: options.Settings,
    editor: str,
    *,
    write: bool,
    whole: bool,
    force: bool,
    workspace: str,
    debug: tuple[str, ...],
) -> int:
    if write and whole:
        raise errors.UsageError("--write and --print exclude each other", hint="keep one of them")
    known = _facts(settings, editor, workspace, debug)
    files = _files(known, editor, force)
    for note in _notes(known, editor, files):
        output.human(settings, f"note: {output.clean(note)}")
    if write:
        _write(settings, known.workspace, files)
    elif whole:
        for file in files:
            output.data(f"==> {output.clean(file.path)} <==")
            sys.stdout.write(file.after)
    else:
        _show(settings, files)
    return int(errors.Exit.OK)


def _facts(settings: options.Settings, editor: str, workspace: str, debug: tuple[str, ...]) -> facts.Facts:
    from devloop.config import model
    from devloop.ide import debuggers, disk, facts

    chosen = dict(debuggers.override(text) for text in debug)
    loaded = project.loaded(settings)
    home = os.path.realpath(os.path.expanduser("~"))
    named = os.path.normpath(os.path.join(project.current_folder(), os.path.expanduser(workspace)))
    if workspace and not os.path.isdir(named):
        raise errors.UsageError(
            f"--workspace {workspace} is not a folder", hint="name the folder that the editor opens"
        )
    syncs = [sync for service in loaded.config.services.values() for sync in service.sync]
    links = disk.followed({sync.source for sync in syncs if sync.symlinks is model.Symlinks.FOLLOW})
    opened = named if workspace else disk.workspace_of(loaded.folder, editor, home)
    return facts.gather(loaded.config, loaded.folder, opened, chosen=chosen, followed=links)


def _files(known: facts.Facts, editor: str, force: bool) -> list[plan.File]:
    from devloop.config import schema
    from devloop.ide import disk, jetbrains, vscode

    def text(path: str) -> str | None:
        return disk.read(known.workspace, path)

    make = vscode.files if editor == "vscode" else jetbrains.files
    return make(known, text, schema.generate(), force=force)


def _notes(known: facts.Facts, editor: str, files: list[plan.File]) -> list[str]:
    from devloop.ide import jetbrains, vscode

    of_services = [f"{service.name}: {note}" for service in known.services for note in service.notes]
    of_editor = vscode.notes(known) if editor == "vscode" else jetbrains.notes(known)
    return [*of_services, *of_editor, *(note for file in files for note in file.notes)]


def _write(settings: options.Settings, workspace: str, files: list[plan.File]) -> None:
    from devloop.ide import disk

    for file in files:
        if file.before == file.after:
            output.human(settings, f"unchanged: {output.clean(file.path)}")
            continue
        disk.write(workspace, file)
        output.human(settings, f"wrote {output.clean(file.path)}")


def _show(settings: options.Settings, files: list[plan.File]) -> None:
    changed = [file for file in files if file.before != file.after]
    for file in changed:
        old, new = (text.splitlines(keepends=True) for text in (file.before or "", file.after))
        path = output.clean(file.path)
        for line in difflib.unified_diff(old, new, path if file.before is not None else "/dev/null", path):
            sys.stdout.write(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    if changed:
        output.human(settings, f"{len(changed)} of {len(files)} files would change; --write writes them")
    else:
        output.human(settings, "nothing to change")
