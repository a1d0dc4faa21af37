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
    REPLACED = "replaced"


_SAID: Final = {
    Lost.MISSING: ("does not exist", "put it back, or correct `from:`"),
    Lost.NOT_A_FOLDER: ("is not a folder", "correct `from:`"),
    Lost.UNREADABLE: ("cannot be read", "check its permissions"),
    Lost.EMPTIED: ("is empty, but was not before", "mount or restore it; if it is meant to be empty, approve that"),
    Lost.REPLACED: (
        "is another folder than before (unmounted, or removed and made again)",
        "mount or restore it; if it is the right one now, approve that",
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
    """Remembers which folder a root is.

    Args:
        root: Its absolute path.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._identity: tuple[int, int] | None = None

    def check(self) -> None:
        """See that the root is there, and the same folder as at the first check.

        Raises:
            RootLost: It is not.
        """
        try:
            status = os.stat(os.path.join(self.root, ""))
        except OSError as error:
            raise RootLost(self.root, lost_by(error)) from error
        identity = (status.st_dev, status.st_ino)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise RootLost(self.root, Lost.REPLACED)

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
