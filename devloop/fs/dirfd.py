"""Folders below a root, by descriptor, so that no symbolic link leads out of it.

A path is walked one segment at a time from the root's own descriptor; each step opens a folder and refuses a link.
What is then done with the last name (stat, open, rename, unlink) is done relative to the descriptor of its folder.
Whoever swaps a folder for a link meanwhile gets an error or an operation in the folder that was there, never one in
the place that the link points to.

A `Folders` keeps the descriptors it opened, for speed within one batch or one sweep's slice. A folder that is renamed
in that time keeps its descriptor, so what is done through it follows the folder to its new name: still in the root or
where its mover could write anyway, but no longer at the path that was meant. Therefore a `Folders` is short-lived, and
`moved` tells at its end which folders are no longer where they were opened; callers look at those again.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from typing import Final, Self

# O_PATH (Linux) opens a folder that may be searched but not listed; elsewhere reading it is what there is.
_WALK: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_LIST: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY

# Descriptors kept open by one Folders: more than the depth of any sane tree, well below the usual limit of 1024.
DEFAULT_CAPACITY: Final = 128

_Identity = tuple[int, int]


class Folders:
    """Descriptors of folders below one root. Not safe for use from several threads.

    Args:
        root_fd: The root's descriptor; stays the caller's.
        capacity: How many descriptors are kept open.
    """

    def __init__(self, root_fd: int, capacity: int = DEFAULT_CAPACITY) -> None:
        self._root_fd = root_fd
        self._capacity = capacity
        self._open: OrderedDict[str, int] = OrderedDict()
        self._seen: dict[str, _Identity] = {}

    def get(self, folder: str, *, make: bool = False) -> int:
        """Return the descriptor of a folder, for use before the next call only.

        Args:
            folder: Its checked path; the empty string is the root.
            make: Make what is missing of it, with mode 0777 less the umask.

        Raises:
            FileNotFoundError: A part of it is missing, and `make` is not given.
            NotADirectoryError: A part of it is a file or a link; also as `OSError` with ELOOP.
            OSError: What else the system said. `filename` is the part of the path that failed.
        """
        if not folder:
            return self._root_fd
        fd = self._open.get(folder)
        if fd is not None:
            self._open.move_to_end(folder)
            return fd
        return self._walk(folder, make=make)

    def forget(self, folder: str) -> None:
        """Drop a folder and all below it, because the caller removed or replaced it."""
        below = folder + "/"
        for known in [known for known in self._open if known == folder or known.startswith(below)]:
            os.close(self._open.pop(known))
        for known in [known for known in self._seen if known == folder or known.startswith(below)]:
            del self._seen[known]

    def moved(self) -> list[str]:
        """Return the folders that were opened and are by now something else, or gone; drops all descriptors."""
        seen = self._seen
        self.close()
        changed = []
        with Folders(self._root_fd, self._capacity) as fresh:
            for folder, identity in sorted(seen.items()):
                try:
                    fresh.get(folder)
                except OSError:
                    changed.append(folder)
                    continue
                if fresh._seen[folder] != identity:
                    changed.append(folder)
        return changed

    def close(self) -> None:
        """Close every descriptor but the root's; the object can be used again."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()
        self._seen = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, folder: str, *, make: bool) -> int:
        at, fd = self._nearest(folder)
        for segment in folder[len(at) :].strip("/").split("/"):
            at = f"{at}/{segment}" if at else segment
            try:
                fd = _step(fd, segment, make=make)
            except OSError as error:
                error.filename = at
                raise
            self._keep(at, fd)
        return fd

    def _nearest(self, folder: str) -> tuple[str, int]:
        """Return the deepest folder above this one that is open, or the root."""
        at = folder
        while at := at.rpartition("/")[0]:
            fd = self._open.get(at)
            if fd is not None:
                return at, fd
        return "", self._root_fd

    def _keep(self, folder: str, fd: int) -> None:
        self._open[folder] = fd
        info = os.fstat(fd)
        # The first sighting counts: a folder that was dropped from here and opened again as another one has moved.
        self._seen.setdefault(folder, (info.st_dev, info.st_ino))
        if len(self._open) > self._capacity:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)


def open_to_list(parent_fd: int, name: str) -> int:
    """Return a new descriptor of the folder `name`, with which it can be listed; the caller closes it.

    Raises:
        OSError: It is not a folder (a link is refused), or may not be read.
    """
    return os.open(name, _LIST, dir_fd=parent_fd)


def names_in(parent_fd: int, name: str, limit: int) -> tuple[list[str], int]:
    """Return up to `limit` of the names in a folder, sorted, and how many there are; nothing where it is unreadable."""
    with contextlib.suppress(OSError):
        fd = open_to_list(parent_fd, name)
        try:
            names = os.listdir(fd)
        finally:
            os.close(fd)
        return sorted(names)[:limit], len(names)
    return [], 0


def _step(fd: int, segment: str, *, make: bool) -> int:
    try:
        return os.open(segment, _WALK, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(segment, 0o777, dir_fd=fd)
    return os.open(segment, _WALK, dir_fd=fd)
