"""Editors' files on the disk: read as text, written whole, and only within the workspace.

A file that is a link is followed where it stays in the workspace and refused where it does not. What is written takes
the old file's place in one rename, with its mode.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Final

from devloop import errors
from devloop.config import values
from devloop.ide import jsonc, plan

WRITE_CODE: Final = "DL0361"

# Nobody writes such a file by hand.
MAX_BYTES: Final = 4 << 20

# How deep links in a `from` folder are looked for, and among how many names: it is for a convenience.
_DEPTH: Final = 3
_NAMES: Final = 20_000

# Where an editor's project begins, by its folder of settings or the repository.
_MARKERS: Final = {"vscode": (".vscode", ".git"), "jetbrains": (".idea", ".git")}


def workspace_of(folder: str, editor: str, home: str) -> str:
    """Return the nearest folder that an editor has open: one with its settings, or a repository; else the folder.

    Args:
        folder: The project's folder, absolute.
        editor: vscode or jetbrains.
        home: The user's home folder, whose `.vscode` holds extensions: the search ends below it.
    """
    here = folder
    while here != home and os.path.dirname(here) != here:
        if any(os.path.lexists(os.path.join(here, name)) for name in _MARKERS[editor]):
            return here
        here = os.path.dirname(here)
    return folder


def read(workspace: str, path: str) -> str | None:
    """Return a file's text; None where it does not exist.

    Raises:
        ConfigError: It is no text in UTF-8.
        LocalError: It cannot be read, or lies outside of the workspace.
    """
    whole = _inside(workspace, path)
    try:
        with open(whole, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise errors.LocalError(f"{path} is not a file", hint="move it away", code=WRITE_CODE)
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, "read", error) from None
    if len(raw) > MAX_BYTES:
        raise errors.LocalError(f"{path} is larger than {MAX_BYTES >> 20} MiB", hint="move it away", code=WRITE_CODE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise errors.ConfigError(
            "this is not UTF-8", hint="save it as UTF-8", code=jsonc.CODE, file=path, line=line, column=1
        ) from None


def write(workspace: str, file: plan.File) -> None:
    """Write a file whole, in the place of the old one.

    Raises:
        LocalError: It cannot be written, or would lie outside of the workspace.
    """
    whole = _inside(workspace, file.path)
    beside = f"{whole}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        mode = stat.S_IMODE(os.stat(whole).st_mode) if os.path.exists(whole) else None
        # A name that is no UTF-8 is in JSON's texts only, where a backslash and its code stand for it as well.
        with open(beside, "x", encoding="utf-8", errors="backslashreplace", newline="") as new:
            new.write(file.after)
            if mode is not None:
                os.fchmod(new.fileno(), mode)
        os.replace(beside, whole)
    except OSError as error:
        if os.path.lexists(beside):
            os.unlink(beside)
        raise _unusable(file.path, "written", error) from None


def followed(sources: Iterable[str]) -> dict[str, Sequence[tuple[str, str]]]:
    """Return the links to folders in `from` folders, each with its path there and the folder that it leads to.

    Args:
        sources: The folders.
    """
    return {source: tuple(_links(source)) for source in sources}


def _links(source: str) -> Iterable[tuple[str, str]]:
    left, folders = _NAMES, [("", 0)]
    while folders:
        inside, depth = folders.pop()
        try:
            with os.scandir(os.path.join(source, inside)) as entries:
                found = sorted(entries, key=lambda each: each.name)
        except OSError:
            continue
        left -= len(found)
        if left < 0:
            return
        for entry in found:
            path = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_symlink() and entry.is_dir():
                yield path, os.path.realpath(entry.path)
            elif entry.is_dir(follow_symlinks=False) and depth < _DEPTH and entry.name not in {".git", "node_modules"}:
                folders.append((path, depth + 1))


def _inside(workspace: str, path: str) -> str:
    """Return where a file really lies."""
    whole = os.path.realpath(os.path.join(workspace, path))
    if not values.contains(os.path.realpath(workspace), whole):
        raise errors.LocalError(
            f"{path} is a link that leads out of the workspace, to {whole}",
            hint="replace the link, or name another workspace with --workspace",
            code=WRITE_CODE,
        )
    return whole


def _unusable(path: str, done: str, error: OSError) -> errors.LocalError:
    hint = (
        "move what stands in the way" if isinstance(error, NotADirectoryError | FileExistsError) else "see its rights"
    )
    return errors.LocalError(f"{path} cannot be {done}: {error.strerror}", hint=hint, code=WRITE_CODE)
