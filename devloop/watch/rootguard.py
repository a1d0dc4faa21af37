"""Whether the root is still the folder that it was: not deleted, renamed, unmounted, or covered by a mount.

inotify tells some of this at once, but nothing of a mount over the root or of a rename further up; a look tells all.
"""

from __future__ import annotations

import os
import stat

from devloop.watch import events


class RootGuard:
    """Remembers what the root was, and tells when it goes and comes back.

    Args:
        root: The folder, absolute.

    Raises:
        OSError: It cannot be looked at, or is no folder.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self.lost = False
        status = os.stat(root)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(20, os.strerror(20), root)
        self._identity = (status.st_dev, status.st_ino)

    def lose(self, why: str) -> events.RootGone:
        """Note that the root is gone, as someone else found."""
        self.lost = True
        return events.RootGone(why)

    def look(self) -> events.RootGone | events.RootBack | None:
        """Look at the root.

        Returns:
            What changed since the last look. A new folder in its place counts as back when it is on the same file
            system and not empty: an empty one is what an unmount or a beginning checkout leaves.
        """
        try:
            status = os.stat(self._root)
        except OSError as error:
            return self._gone(f"{self._root} is gone: {error.strerror}")
        device, inode = self._identity
        if status.st_dev != device:
            return self._gone(f"{self._root} was unmounted, or something was mounted over it")
        if not stat.S_ISDIR(status.st_mode):
            return self._gone(f"{self._root} is no folder any more")
        if status.st_ino != inode:
            if _is_empty(self._root):
                return self._gone(f"{self._root} was replaced by an empty folder")
            self._identity = (status.st_dev, status.st_ino)
            self.lost = False
            return events.RootBack()
        if self.lost:
            self.lost = False
            return events.RootBack()
        return None

    def _gone(self, why: str) -> events.RootGone | None:
        return None if self.lost else self.lose(why)


def _is_empty(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return True
