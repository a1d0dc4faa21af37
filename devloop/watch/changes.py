"""What the inotify events of one read say about each path, in the end. Looks at new names, and does no other I/O."""

from __future__ import annotations

import enum
import os
import stat
from typing import Final

from devloop.watch import backend, events
from devloop.watch.inotify_instance import CONSTANTS as _C

_DONE: Final = _C.IN_CLOSE_WRITE | _C.IN_MOVED_TO
_AWAY: Final = _C.IN_DELETE | _C.IN_MOVED_FROM


class What(enum.Enum):
    """What happened to a path."""

    DIRTY = events.Dirty
    OPENED = events.Opened
    VANISHED = events.Vanished


class Changes:
    """Gathers the events of one read.

    Args:
        root: Where created names are looked at.

    Attributes:
        rescans: The folders to look through, and why.
    """

    __slots__ = ("_of", "_root", "rescans")

    def __init__(self, root: str) -> None:
        self._root = root
        self._of: dict[str, What] = {}
        self.rescans: dict[str, events.Reason] = {}

    def set(self, path: str, what: What) -> None:
        """Note what happened to a path."""
        self._of[path] = what

    def clear(self) -> None:
        """Forget everything, as a rescan of the whole covers it."""
        self._of.clear()
        self.rescans.clear()

    def on_file(self, path: str, mask: int) -> None:
        """Note an event of anything but a folder."""
        if mask & _DONE:
            self._of[path] = What.DIRTY
        elif mask & _AWAY:
            self._of[path] = What.VANISHED
        elif mask & _C.IN_CREATE:
            self._of[path] = _created(backend.absolute(self._root, path))
        elif mask & _C.IN_MODIFY:
            self._of.setdefault(path, What.OPENED)
        elif mask & _C.IN_ATTRIB and self._of.get(path) is not What.OPENED:
            # A mode that is set while the file is being written comes with the close.
            self._of[path] = What.DIRTY

    def tell(self, sink: backend.Sink) -> None:
        """Hand over what was noted, and start anew."""
        if self._of:
            for what in (What.VANISHED, What.OPENED, What.DIRTY):
                found = frozenset(path for path, each in self._of.items() if each is what)
                if found:
                    sink(what.value(found))
            self._of = {}
        if self.rescans:
            for path, reason in self.rescans.items():
                sink(events.Rescan(path, reason))
            self.rescans = {}


def _created(file: bytes) -> What:
    """Say what a new name means: a plain file is closed later on, while a link is complete as it appears."""
    try:
        status = os.lstat(file)
    except OSError:
        return What.VANISHED
    return What.OPENED if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else What.DIRTY
