"""Which devloop.yaml is meant: the one that was named, or the nearest one above the current folder.

The search stops where the file system ends and below the home folder, so that a project never grows beyond what
its user sees as one. A copy of devloop.yaml in a local target (under `.devloop`) is never the project's.
Imports neither pydantic nor YAML, for verbs that only need to know where the project is.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import msgspec

from devloop import errors

FILE_NAME: Final = "devloop.yaml"

MISSING_CODE: Final = "DL0201"

# What people write instead, and why nothing happens then.
_NEAR_NAMES: Final = ("devloop.yml", ".devloop.yaml", ".devloop.yml")


class Found(msgspec.Struct, frozen=True):
    """A devloop.yaml.

    Attributes:
        file: The file, absolute.
        shown: Its name in messages: relative to the current folder where that is shorter.
    """

    file: str
    shown: str


def find(cwd: str, *, file: str = "", home: str = "") -> Found:
    """Return the devloop.yaml that a command is about.

    Args:
        cwd: The current folder, absolute.
        file: The file or its folder, as named by `--file` or `DEVLOOP_FILE`; empty to search upward.
        home: The user's home folder, where the search ends.

    Raises:
        ConfigError: There is none.
    """
    if file:
        return _named(cwd, file)
    folder = _outside_targets(cwd)
    start = folder
    while True:
        candidate = os.path.join(folder, FILE_NAME)
        if _is_file(candidate):
            return Found(candidate, _shown(cwd, candidate))
        for name in _NEAR_NAMES:
            if _is_file(os.path.join(folder, name)):
                raise errors.ConfigError(
                    f"{_shown(cwd, os.path.join(folder, name))} is not read",
                    hint=f"rename it to {FILE_NAME}",
                    code=MISSING_CODE,
                )
        above = os.path.dirname(folder)
        if above in {folder, home} or not _same_file_system(folder, above):
            raise errors.ConfigError(
                f"no {FILE_NAME} in {start}{'' if folder == start else f' or above it, up to {folder}'}",
                hint="run `devloop init` to make one, or name it with --file",
                code=MISSING_CODE,
            )
        folder = above


def _named(cwd: str, file: str) -> Found:
    path = os.path.normpath(os.path.join(cwd, os.path.expanduser(file)))
    if os.path.isdir(path):
        path, file = os.path.join(path, FILE_NAME), os.path.join(file, FILE_NAME)
    if not os.path.lexists(path):
        raise errors.ConfigError(f"there is no file {file}", hint="mend --file or DEVLOOP_FILE", code=MISSING_CODE)
    return Found(path, file)


def _outside_targets(folder: str) -> str:
    parts = folder.split("/")
    return "/".join(parts[: parts.index(".devloop")]) or "/" if ".devloop" in parts else folder


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _same_file_system(folder: str, above: str) -> bool:
    try:
        return os.stat(folder).st_dev == os.stat(above).st_dev
    except OSError:
        return False


def _shown(cwd: str, path: str) -> str:
    return min(os.path.relpath(path, cwd), path, key=len)
