"""Noticing that a synced folder is no longer the folder it was: unmounted, replaced, emptied, unreadable.

An error is never "empty": when the root is lost nothing is taken as deleted. The scanner asks before it looks at
anything, and again before it believes what it saw.
"""

from __future__ import annotations

import enum
import errno as errnos
import os
from typing import Final

from devloop import errors

# devloop's own folder may be made in an empty root.
_OURS: Final = ".devloop"


class Lost(enum.StrEnum):
    """How a root was lost. The values are part of the JSON output."""

    MISSING = "missing"
    NOT_A_FOLDER = "not-a-folder"
    UNREADABLE = "unreadable"
    EMPTIED = "emptied"
    MADE_AGAIN = "made-again"
    REPLACED = "replaced"


_SAID: Final = {
    Lost.MISSING: ("does not exist", "put it back, or correct `from:`"),
    Lost.NOT_A_FOLDER: ("is not a folder", "correct `from:`"),
    Lost.UNREADABLE: ("cannot be read", "check its permissions"),
    Lost.EMPTIED: ("is empty, but was not before", "mount or restore it; if it is meant to be empty, approve that"),
    Lost.MADE_AGAIN: ("was removed and made again", "it is looked at as soon as it is watched"),
    Lost.REPLACED: (
        "is in another place than before: something was mounted there, or unmounted",
        "mount it again; if it is the right one now, approve that",
    ),
}


class RootLost(errors.RootError):
    """A synced folder cannot be trusted; nothing in it was taken as deleted.

    Args:
        root: Its absolute path.
        lost: How.
    """

    def __init__(self, root: str, lost: Lost) -> None:
        what, hint = _SAID[lost]
        super().__init__(f"the synced folder {root} {what}", hint=hint)
        self.root = root
        self.lost = lost


class RootGuard:
    """Remembers which folder a root is, and on which mount.

    A folder that was removed and made again on the same mount is taken for the same, once it is watched: git does that
    with a folder that it empties, and a build with its output. What is missing in it then counts as deleted, within the
    bounds that all deletions have. Where the system does not tell mounts apart, it counts as replaced.

    Args:
        root: Its absolute path.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._identity: tuple[int, int] | None = None
        self._mount = 0
        self._is_watched_again = False

    def check(self) -> bool:
        """See that the root is there, and the same as at the first check; say whether it was made again since.

        Raises:
            RootLost: It is not.
        """
        identity = self._look()
        if identity == self._identity:
            self._is_watched_again = False
            return False
        was, mount = self._identity, _mount_of(self.root)
        if was is not None and (was[0] != identity[0] or not mount or mount != self._mount):
            raise RootLost(self.root, Lost.REPLACED)
        if was is not None and not self._is_watched_again:
            raise RootLost(self.root, Lost.MADE_AGAIN)
        self._identity, self._mount, self._is_watched_again = identity, mount, False
        return was is not None

    def watched_again(self) -> None:
        """Let the next check take a folder that was made again: from now on its changes are seen."""
        self._is_watched_again = True

    def check_again(self) -> None:
        """See that the root is the very folder that `check` saw: what was read in between belongs together.

        Raises:
            RootLost: It is not.
        """
        if self._look() != self._identity:
            raise RootLost(self.root, Lost.MADE_AGAIN)

    def _look(self) -> tuple[int, int]:
        try:
            status = os.stat(os.path.join(self.root, ""))
        except OSError as error:
            raise RootLost(self.root, lost_by(error)) from error
        return status.st_dev, status.st_ino

    def check_not_emptied(self) -> None:
        """See that the root, which had entries, still has anything in it.

        Raises:
            RootLost: It is empty, or cannot be listed.
        """
        try:
            names = os.listdir(self.root)
        except OSError as error:
            raise RootLost(self.root, lost_by(error)) from error
        if not any(name != _OURS for name in names):
            raise RootLost(self.root, Lost.EMPTIED)

    def forget(self) -> None:
        """Take whatever folder is there at the next check as the right one."""
        self._identity = None


def lost_by(error: OSError) -> Lost:
    """Return what an error of opening or listing the root means."""
    if error.errno == errnos.ENOENT:
        return Lost.MISSING
    if error.errno == errnos.ENOTDIR:
        return Lost.NOT_A_FOLDER
    return Lost.UNREADABLE


def _mount_of(root: str) -> int:
    """Return the number of the mount that a folder is on; 0 where the system does not say (proc(5), fdinfo)."""
    try:
        fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as told:
            return next((int(line.split()[1]) for line in told if line.startswith("mnt_id:")), 0)
    except (OSError, ValueError):
        return 0
    finally:
        os.close(fd)
