"""Bodies that wait for their batch: files and links under generated names in the root's private stage folder.

What is staged here has the mode it will have in the end and is only renamed later. `agent.applier` fills the stage,
`agent.placer` empties it, and whatever is left at the next start belongs to nobody and is dropped.

Giving a file's blocks back can take longer than all else that a save needs (3 ms on an ext4 mounted with `discard`,
more for a large file). So what is dropped is removed later, by `Stage.tidy`, and a file that is about to be replaced or
deleted gets a second name here first (`Stage.set_aside`), so that its blocks, too, are given back later.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Iterator
from typing import Final

import msgspec

from agent.probe import ModeSupport
from agent.roots import Root
from devloop.core import entry
from devloop.fs import atomic

# Names need be new in one folder only; the random part keeps two runs of the agent apart.
_PREFIX_BYTES: Final = 4


# What a full disk, or a user's or a project's quota, says.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Staged(msgspec.Struct, frozen=True, gc=False):
    """One staged file or link.

    Attributes:
        name: Its name in the stage.
        inode: Its inode number, by which it is known again after the rename.
    """

    name: str
    inode: int


class Incoming:
    """A large body that arrives in parts.

    Attributes:
        name: Its name in the stage.
        received_bytes: How much of it is there.
    """

    __slots__ = ("_hasher", "name", "received_bytes")

    def __init__(self, name: str) -> None:
        self.name = name
        self.received_bytes = 0
        self._hasher = hashlib.sha256()

    def count(self, data: bytes | memoryview) -> None:
        """Take a written part into account."""
        self._hasher.update(data)
        self.received_bytes += len(data)

    def is_whole(self, wanted: entry.Entry) -> bool:
        """Say whether what arrived is the file's content."""
        return self.received_bytes == wanted.size and self._hasher.digest() == wanted.digest


class Stage:
    """The stage of one root. Not safe for use from several threads.

    Args:
        root: The open root.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._prefix = secrets.token_hex(_PREFIX_BYTES) + "-"
        self._count = 0
        self._garbage: collections.deque[str] = collections.deque()
        self._garbage_bytes = 0

    def write(self, data: bytes | memoryview, *, executable: bool, replaces: bool = False) -> Staged:
        """Stage a whole file.

        Args:
            data: Its content.
            executable: Its owner may execute it.
            replaces: It is to be renamed over another, which shall be quick.

        Raises:
            OSError: It could not be written; nothing is left of it.
        """
        name = self._next()
        mode = atomic.file_mode(executable=executable)
        reserve = replaces and self._root.writes_at_rename
        try:
            inode = atomic.write_new(self._root.stage_fd, name, data, mode, reserve=reserve)
        except OSError as error:
            self._make_room(error)
            inode = atomic.write_new(self._root.stage_fd, name, data, mode, reserve=reserve)
        if executable:
            self._make_executable(name)
        return Staged(name, inode)

    def begin(self, *, executable: bool) -> Incoming:
        """Stage an empty file that is to be filled by `add`.

        Raises:
            OSError: It could not be made.
        """
        return Incoming(self.write(b"", executable=executable).name)

    def add(self, incoming: Incoming, data: bytes | memoryview) -> None:
        """Write the next part of a large body.

        Raises:
            OSError: It could not be written whole; the body is to be dropped.
        """
        try:
            atomic.write_more(self._root.stage_fd, incoming.name, data, incoming.received_bytes)
        except OSError as error:
            self._make_room(error)
            atomic.write_more(self._root.stage_fd, incoming.name, data, incoming.received_bytes)
        incoming.count(data)

    def finish(self, incoming: Incoming) -> Staged:
        """Return the staged file of a body that is whole.

        Raises:
            OSError: It is gone.
        """
        return Staged(incoming.name, os.stat(incoming.name, dir_fd=self._root.stage_fd, follow_symlinks=False).st_ino)

    def link(self, target: bytes) -> Staged:
        """Stage a symbolic link.

        Raises:
            OSError: It could not be made.
        """
        name = self._next()
        os.symlink(os.fsdecode(target), name, dir_fd=self._root.stage_fd)
        return Staged(name, os.stat(name, dir_fd=self._root.stage_fd, follow_symlinks=False).st_ino)

    def copy(self, source_fd: int, wanted: entry.Entry) -> Staged | None:
        """Stage what an open file holds, if that is the wanted content.

        Args:
            source_fd: Descriptor of a regular file, at its start.
            wanted: The file's entry.

        Returns:
            The staged file; None where the source holds something else.

        Raises:
            OSError: It could not be read or written; what there is of it is dropped.
        """
        incoming = self.begin(executable=wanted.executable)
        try:
            for data in _upto(atomic.chunks(source_fd), wanted.size):
                self.add(incoming, data)
            if incoming.is_whole(wanted):
                return self.finish(incoming)
        except OSError:
            self.drop(incoming.name)
            raise
        self.drop(incoming.name)
        return None

    def recall(self, name: str, wanted: entry.Entry) -> Staged | None:
        """Return what an earlier run staged under this name, if it is there and is the wanted content.

        Raises:
            OSError: It cannot be looked at.
        """
        info = atomic.look(self._root.stage_fd, name)
        if info is None:
            return None
        found = atomic.entry_at(self._root.stage_fd, name, info)
        if found is None or (found.kind, found.digest, found.target) != (wanted.kind, wanted.digest, wanted.target):
            return None
        return Staged(name, info.st_ino)

    def set_aside(self, folder_fd: int, name: str, size_bytes: int) -> None:
        """Give a file that is about to be replaced or deleted a second name here, if the file system lets us.

        Args:
            folder_fd: The descriptor of its folder.
            name: Its name there.
            size_bytes: Its size.
        """
        aside = self._next()
        with contextlib.suppress(OSError):
            os.link(name, aside, src_dir_fd=folder_fd, dst_dir_fd=self._root.stage_fd, follow_symlinks=False)
            self._garbage.append(aside)
            self._garbage_bytes += size_bytes

    def drop(self, name: str) -> None:
        """Have a staged file or link removed by the next `tidy`."""
        self._garbage.append(name)

    def drop_others(self, keep: Collection[str]) -> int:
        """Have everything but `keep` removed, whoever left it here, and return how many there are."""
        names = [name for name in os.listdir(self._root.stage_fd) if name not in keep]
        self._garbage = collections.deque(names)
        return len(names)

    def tidy(self, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Remove what was dropped and set aside.

        Args:
            go_on: Asked after each file whether there is time for another.

        Returns:
            True if nothing is left to do.
        """
        while self._garbage:
            with contextlib.suppress(OSError):
                os.unlink(self._garbage[0], dir_fd=self._root.stage_fd)
            self._garbage.popleft()
            if self._garbage and not go_on():
                return False
        self._garbage_bytes = 0
        return True

    @property
    def garbage_bytes(self) -> int:
        """How much the next `tidy` gives back of files that were replaced or deleted."""
        return self._garbage_bytes

    def _make_room(self, error: OSError) -> None:
        """Remove what was dropped if that may help against an error, else raise it."""
        if error.errno not in FULL or not self._garbage:
            raise error
        self.tidy()

    def _next(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:x}"

    def _make_executable(self, name: str) -> None:
        if self._root.modes is ModeSupport.BY_CHMOD:
            with contextlib.suppress(OSError):
                atomic.set_executable(self._root.stage_fd, name, executable=True)


def _upto(parts: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """Yield the parts until they exceed a size: a file that grew must not fill the disk."""
    total = 0
    for data in parts:
        yield data
        total += len(data)
        if total > size_bytes:
            return
