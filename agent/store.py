"""What devloop shipped into one root, and what is there of it: the managed manifest.

Each path that devloop shipped has a row: the entry as shipped, the status the file had right after, and whether
someone else changed or removed it since. The rows are kept in `state/manifest`; the tree of what is really there, whose
digest goes to the laptop, follows every change. `agent.applier` writes rows, `agent.sweep` and `Store.verify` correct
them, because the disk is the truth.

A path that has a row may be deleted by devloop, also after someone else changed it; a path without one is extra.

A change of the same size within one tick of the kernel's clock after the file was shipped is not seen: status cannot
tell, and reading every shipped file again would cost more than it is worth.
"""

from __future__ import annotations

import enum
import errno
import os
import stat
import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agent.roots import Root
from devloop.core import entry, paths, tree
from devloop.fs import atomic, dirfd, table

_FOLDER: Final = entry.Kind.FOLDER
_LINK: Final = entry.Kind.LINK

# Deleted paths are remembered for their last modification second; more of them than this are looked through for
# those that time has settled.
_DELETED_KEPT: Final = 4096


class State(enum.IntEnum):
    """How a shipped path is found."""

    CLEAN = 0
    """As shipped."""
    DRIFTED = 1
    """Changed by someone else."""
    MISSING = 2
    """Removed by someone else."""
    DELETED = 3
    """Deleted by devloop: no longer managed, only its last modification second still matters."""


_OFF: Final = frozenset({State.DRIFTED, State.MISSING})


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one shipped path.

    Attributes:
        shipped: What devloop shipped.
        mtime_ns: Modification time of what is there, as last seen; 0 for folders, as the next two.
        ctime_ns: Its change time.
        inode: Its inode number.
        state: How it was found last.
        mode_ignored: The executable bit could not be set here, and counts as if it had been.
        found: What is there instead, where `state` is `DRIFTED`; None for what is no entry, or not readable.
    """

    shipped: entry.Entry
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    state: State = State.CLEAN
    mode_ignored: bool = False
    found: entry.Entry | None = None

    @property
    def present(self) -> entry.Entry | None:
        """What is there, as far as the row knows."""
        if self.state is State.CLEAN:
            return self.shipped
        return self.found if self.state is State.DRIFTED else None

    @property
    def is_managed(self) -> bool:
        """The path is devloop's to replace and delete."""
        return self.state is not State.DELETED


class Drift(msgspec.Struct, frozen=True):
    """A managed path that someone else changed.

    Attributes:
        path: The path.
        was: What devloop shipped.
        now: What is there; None where there is nothing, or no file, folder or link that can be read.
    """

    path: str
    was: entry.Entry
    now: entry.Entry | None


def row_of(wanted: entry.Entry, info: os.stat_result) -> Row:
    """Return the row of a path that was just made to be `wanted`, given its status afterwards."""
    if wanted.kind is _FOLDER:
        return Row(wanted)
    ignored = wanted.kind is entry.Kind.FILE and bool(info.st_mode & stat.S_IXUSR) != wanted.executable
    return Row(wanted, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, State.CLEAN, ignored)


def deleted_row(was: entry.Entry, mtime_ns: int) -> Row:
    """Return the row that remembers a file which devloop deleted."""
    return Row(was, mtime_ns, state=State.DELETED)


def matches(row: Row, info: os.stat_result) -> bool:
    """Say whether a status is the one that the row knows, so that nothing need be read."""
    known = row.shipped if row.state is State.CLEAN else row.present
    if known is None:
        return False
    if known.kind is _FOLDER:
        return stat.S_ISDIR(info.st_mode)
    # An inode with the same change time is of the same kind; a row without one, of a folder or what was deleted, has 0.
    return (
        info.st_ctime_ns == row.ctime_ns
        and info.st_mtime_ns == row.mtime_ns
        and info.st_ino == row.inode
        and (info.st_size == known.size or known.kind is _LINK)
    )


def examine(row: Row, folder_fd: int, name: str, info: os.stat_result | None) -> Row:
    """Return the row for what is really there: the same object if nothing changed. May read the file.

    Args:
        row: What was known.
        folder_fd: The folder's descriptor.
        name: The name in it.
        info: What `atomic.look` said.
    """
    if info is None:
        return missing(row)
    if matches(row, info):
        return row
    try:
        found = atomic.entry_at(folder_fd, name, info)
    except OSError:
        found = None
    return judge(row, found, info)


def judge(row: Row, found: entry.Entry | None, info: os.stat_result) -> Row:
    """Return the row for what was found at its path."""
    state = State.CLEAN if found is not None and _same(row, found) else State.DRIFTED
    return Row(
        shipped=row.shipped,
        mtime_ns=info.st_mtime_ns,
        ctime_ns=info.st_ctime_ns,
        inode=info.st_ino,
        state=state,
        mode_ignored=row.mode_ignored,
        found=found if state is State.DRIFTED else None,
    )


def missing(row: Row) -> Row:
    """Return the row of a path at which there is nothing any more."""
    if row.state is State.MISSING:
        return row
    return msgspec.structs.replace(row, state=State.MISSING, found=None)


class Store:
    """The manifest of one root. Not safe for use from several threads.

    Args:
        root: The open root.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._table = table.Table(root.state_file("manifest"), Row)
        self._deleted: set[str] = set()
        self._off: set[str] = set()
        self._rows: dict[str, Row] = {}
        self.tree = tree.Tree()

    def open(self) -> None:
        """Read the rows. What they say is not checked before `verify`.

        Raises:
            OSError: The file cannot be opened.
        """
        self._rows = self._table.open()
        self._deleted.clear()
        self._off.clear()
        there: dict[str, entry.Entry] = {}
        for path, row in self._rows.items():
            # Nearly all of them, and there may be 100,000.
            if row.state is State.CLEAN:
                there[path] = row.shipped
                continue
            (self._deleted if row.state is State.DELETED else self._off).add(path)
            if row.present is not None:
                there[path] = row.present
        self.tree = tree.Tree(there)

    def close(self) -> None:
        """Close the file."""
        self._table.close()

    @property
    def rows(self) -> Mapping[str, Row]:
        """All rows, for reading: those of deleted paths too."""
        return self._rows

    def managed(self, path: str) -> Row | None:
        """Return the row of a path that is devloop's, else None."""
        row = self._rows.get(path)
        return row if row is not None and row.state is not State.DELETED else None

    def settle(self, changes: Mapping[str, Row | None]) -> None:
        """Write changed rows, and bring the tree in step; None forgets a path.

        Raises:
            OSError: The disk refused; rows and tree may be changed in part, and the disk is to be verified.
        """
        self._table.update(changes)
        for path, row in changes.items():
            present = row.present if row is not None else None
            if present is None:
                self.tree.remove(path)
            else:
                self.tree.put(path, present)
            _keep(self._deleted, path, row is not None and row.state is State.DELETED)
            _keep(self._off, path, row is not None and row.state in _OFF)
        if len(self._deleted) > _DELETED_KEPT:
            self._forget_deleted()

    def verify(self, chosen: Iterable[str] | None = None) -> tuple[Drift, ...]:
        """Look at managed paths, read those whose status changed, and correct rows and tree.

        Args:
            chosen: Which paths; all by default.

        Returns:
            Every looked-at path that is not as shipped.

        Raises:
            OSError: The rows could not be written.
        """
        changes: dict[str, Row | None] = {}
        with dirfd.Folders(self._root.data_fd) as folders:
            for folder, found in _by_folder(self._rows if chosen is None else chosen):
                self._verify_folder(folders, folder, found, changes)
        self.settle(changes)
        if chosen is None:
            self._forget_deleted()
        return self.drifted(chosen)

    def drifted(self, chosen: Iterable[str] | None = None) -> tuple[Drift, ...]:
        """Return what is known not to be as shipped, sorted by path."""
        rows = self._rows
        found = sorted(self._off if chosen is None else self._off.intersection(chosen))
        return tuple(Drift(path, rows[path].shipped, rows[path].present) for path in found)

    def _verify_folder(
        self, folders: dirfd.Folders, folder: str, found: list[str], changes: dict[str, Row | None]
    ) -> None:
        rows = self._rows
        skip = len(folder) + 1 if folder else 0
        try:
            fd = folders.get(folder)
        except OSError as error:
            if error.errno not in ABSENT:
                return
            fd = -1
        for path in found:
            row = rows.get(path)
            if row is None or row.state is State.DELETED:
                continue
            name = path[skip:]
            info = atomic.look(fd, name) if fd >= 0 else None
            if info is not None and matches(row, info):
                continue
            fresh = examine(row, fd, name, info)
            if fresh is not row and fresh != row:
                changes[path] = fresh

    def _forget_deleted(self) -> None:
        """Forget deleted paths that time has settled: a file put there now gets a later second anyway."""
        now_s = time.time_ns() // atomic.SECOND_NS
        settled = [path for path in self._deleted if self._rows[path].mtime_ns // atomic.SECOND_NS < now_s - 1]
        self._table.update(dict.fromkeys(settled))
        self._deleted.difference_update(settled)


# What the system says of a path whose folder is not there, or is a file or a link: nothing is there.
ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def _keep(paths_kept: set[str], path: str, belongs: bool) -> None:
    if belongs:
        paths_kept.add(path)
    else:
        paths_kept.discard(path)


def _same(row: Row, found: entry.Entry) -> bool:
    if row.mode_ignored and found.kind is entry.Kind.FILE:
        found = entry.file(found.digest, found.size, executable=row.shipped.executable)
    return found == row.shipped


def _by_folder(chosen: Iterable[str]) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for path in chosen:
        grouped.setdefault(paths.parent(path), []).append(path)
    return sorted(grouped.items())
