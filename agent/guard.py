"""Which folders devloop never writes to, whoever asks.

Used when a root is opened (`agent.roots`) and before a folder on this machine becomes a target for the first time.
"""

from __future__ import annotations

import os
import re
from typing import Final

from devloop import errors

# Refused as they are; below some of them (/usr/src/app) people do keep applications.
SYSTEM: Final = frozenset({"/", "/etc", "/usr", "/bin", "/sbin", "/proc", "/sys", "/dev", "/boot", "/run", "/var"})
# Refused with all that is below them; /dev/shm is an ordinary file system for programs.
_SYSTEM_TREES: Final = re.compile(r"/(usr/)?(bin|sbin|lib(32|64|x32|exec)?)(/|$)|/(proc|sys|boot|dev(?!/shm/))(/|$)")
# An ephemeral container reaches the app's files through its first process (proc(5), /proc/pid/root).
_OTHER_ROOT: Final = re.compile(r"^/proc/\d+/root(?=/|$)")

MARKER: Final = ".devloop/target.json"


def is_system_folder(path: str) -> bool:
    """Say whether an absolute path is one of the system's folders, which no sync may write to."""
    plain = _plain(_plain(path)[len(other_root(_plain(path))) :])
    return plain in SYSTEM or _SYSTEM_TREES.match(plain) is not None


def other_root(path: str) -> str:
    """Return the start of a path if that is another container's root, such as `/proc/1/root`, else nothing."""
    found = _OTHER_ROOT.match(path)
    return found.group() if found else ""


def guard_local_target(folder: str) -> None:
    """Refuse a folder on this machine that is neither empty nor a target of devloop already.

    Args:
        folder: The target folder; the roots lie in it.

    Raises:
        errors.RootError: It holds something else, is no folder, or cannot be read.
    """
    if os.path.isfile(os.path.join(folder, MARKER)):
        return
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise errors.RootError(f"the target {folder} cannot be used: {error.strerror}") from error
    if names:
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise errors.RootError(
            f"the target {folder} is not empty ({some}) and was not made by devloop",
            hint="choose an empty or a new folder: what is in a target may be overwritten and deleted",
        )


def mark_local_target(folder: str) -> None:
    """Make the folder, if need be, and put devloop's marker into it, so that it may be used again.

    Raises:
        errors.RootError: As `guard_local_target`, or it cannot be written.
    """
    guard_local_target(folder)
    marker = os.path.join(folder, MARKER)
    try:
        os.makedirs(os.path.dirname(marker), exist_ok=True)
        if not os.path.exists(marker):
            with open(marker, "x", encoding="utf-8") as file:
                file.write('{"devloop": "this folder is a sync target: its content may be replaced"}\n')
    except OSError as error:
        raise errors.RootError(f"the target {folder} cannot be used: {error.strerror}") from error


def _plain(path: str) -> str:
    return os.path.normpath("/" + path.lstrip("/"))
