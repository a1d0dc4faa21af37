"""Carries out one batch's ops in one root, in their order, and says what became of each.

It is the only module that changes the folder which the app sees. Every step works on the descriptor of the path's own
folder, so no link leads it out of the root; every file appears by one rename; what one path cannot have is a problem of
that path, and the next op goes on. The rows it gathers are written by `agent.applier` when all is done. The same code
finishes an interrupted batch: each step looks first at what is there already.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from agent import staging, store
from agent.probe import ModeSupport
from agent.roots import Root
from devloop.core import entry, ops, order, paths, problem
from devloop.fs import atomic, dirfd

# How many names a message tells of what is in the way.
_NAMES_TOLD: Final = 5

# A file of this size is read to find out whether someone changed it, or only touched it.
_COMPARE_BYTES: Final = 16 * 1024 * 1024

# How often the way to a folder is cleared before its changes are taken for a fight that cannot be won.
_CLEAR_TRIES: Final = 16

_NOT_EMPTY: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})


class Kept(msgspec.Struct, frozen=True):
    """A folder that was to be deleted and stays, because something in it is not devloop's.

    Attributes:
        root: The root's number.
        path: The folder.
        inside: Some of the names in it.
        count: How many there are.
    """

    root: int
    path: str
    inside: tuple[str, ...]
    count: int


class Plan(msgspec.Struct, frozen=True):
    """What is to be carried out in one root.

    Attributes:
        number: The root's number.
        batch: All ops of the batch.
        turn: Those of this root, in their order.
        staged: Staged files and links, by the op's index.
        mode_only: Ops that change nothing but the executable bit.
        resumed: The batch was begun by an earlier run.
    """

    number: int
    batch: tuple[ops.Op, ...]
    turn: order.Order
    staged: Mapping[int, staging.Staged]
    mode_only: frozenset[int] = frozenset()
    resumed: bool = False


class BlockedError(Exception):
    """One path cannot be had; caught here and told as its problem."""

    def __init__(self, reason: problem.Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Placer:
    """One batch in one root. Used once.

    Args:
        root: The open root.
        shelf: Its manifest; only read.
        stage: Its stage.
        plan: What to do.
        clock_ns: The wall clock.

    Attributes:
        rows: What is known of the touched paths by now: to be stored.
        problems: The paths that could not be had.
        kept: Folders that stay because of what is in them.
        overwritten: Managed paths that someone else had changed.
        changed: How many paths are different now.
        used: The ops whose staged files and links are in their places.
    """

    def __init__(
        self,
        root: Root,
        shelf: store.Store,
        stage: staging.Stage,
        plan: Plan,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._root = root
        self._known = shelf.rows
        self._stage = stage
        self._plan = plan
        self._clock_ns = clock_ns
        self._folders = dirfd.Folders(root.data_fd)
        self.rows: dict[str, store.Row | None] = {}
        self.problems: list[problem.Problem] = []
        self.kept: list[Kept] = []
        self.overwritten: list[str] = []
        self.changed = 0
        self.used: list[int] = []

    def run(self) -> None:
        """Carry out every op. Staged files that were not used are left to the caller."""
        batch = self._plan.batch
        try:
            for index in self._plan.turn.flat():
                op = batch[index]
                try:
                    self._carry_out(index, op)
                except BlockedError as blocked:
                    self._tell(op.path, blocked.reason, blocked.detail)
                except OSError as error:
                    self.problems.append(problem.from_write_error(op.path, error, self._failed(op, error)))
            self._recheck(self._folders.moved())
        finally:
            self._folders.close()

    def _carry_out(self, index: int, op: ops.Op) -> None:
        if op.action is ops.Action.DELETE:
            self._delete(op.path)
        elif op.action is ops.Action.FORGET:
            self.rows[op.path] = None
        elif op.entry is None:
            raise BlockedError(problem.Reason.IO, "the op came without its entry")
        elif op.action is ops.Action.ADOPT:
            self._adopt(op.path, op.entry)
        elif op.entry.kind is entry.Kind.FOLDER:
            self._put_folder(op.path, op.entry)
        elif index in self._plan.mode_only:
            self._put_mode(op.path, op.entry)
        else:
            self._put_content(index, op.path, op.entry)

    def _put_content(self, index: int, path: str, wanted: entry.Entry) -> None:
        """Rename a staged file or link to its place."""
        staged = self._plan.staged.get(index)
        folder, _, name = path.rpartition("/")
        row = self._known.get(path)
        if staged is None:
            # Only when an interrupted batch is finished: it was renamed then, or was damaged since.
            self._accept(path, wanted)
            return
        fd = self._folder(folder)
        info = atomic.look(fd, name)
        if row is not None and row.is_managed:
            if (
                info is not None
                and row.state is store.State.CLEAN
                and row.shipped == wanted
                and store.matches(row, info)
            ):
                return
            self._note_drift(path, row, fd, name, info)
        if info is not None and stat.S_ISDIR(info.st_mode):
            self._clear_folder(fd, path, name)
            info = None
        elif info is not None and stat.S_ISREG(info.st_mode):
            self._stage.set_aside(fd, name, info.st_size)
        stage_fd = self._root.stage_fd
        if wanted.kind is entry.Kind.FILE:
            with contextlib.suppress(OSError):
                atomic.stamp(stage_fd, staged.name, atomic.mtime_after(self._clock_ns(), _previous_s(row, info)))
        os.rename(staged.name, name, src_dir_fd=stage_fd, dst_dir_fd=fd)
        self.used.append(index)
        self.changed += 1
        after = atomic.look(fd, name)
        if after is not None and after.st_ino == staged.inode:
            self.rows[path] = store.row_of(wanted, after)
        else:
            # Someone else was there at once: what is there now is theirs.
            self.rows[path] = store.examine(store.Row(wanted), fd, name, after)

    def _put_folder(self, path: str, wanted: entry.Entry) -> None:
        folder, _, name = path.rpartition("/")
        fd = self._folder(folder)
        try:
            os.mkdir(name, 0o777, dir_fd=fd)
            self.changed += 1
        except FileExistsError:
            info = atomic.look(fd, name)
            if info is None or not stat.S_ISDIR(info.st_mode):
                row = self._known.get(path)
                if row is not None:
                    self._note_drift(path, row, fd, name, info)
                os.unlink(name, dir_fd=fd)
                os.mkdir(name, 0o777, dir_fd=fd)
                self.changed += 1
        self.rows[path] = store.Row(wanted)

    def _put_mode(self, path: str, wanted: entry.Entry) -> None:
        """Change the executable bit of a file that has the wanted content; never fails for want of the right to."""
        folder, _, name = path.rpartition("/")
        fd = self._folders.get(folder)
        info = atomic.look(fd, name)
        if info is None or not stat.S_ISREG(info.st_mode):
            raise BlockedError(problem.Reason.CHANGED_IN_TRANSIT, "it is no longer the file that was shipped")
        if self._root.modes is not ModeSupport.NONE:
            with contextlib.suppress(OSError):
                atomic.set_executable(fd, name, executable=wanted.executable)
                self.changed += 1
        after = atomic.look(fd, name)
        row = self._known.get(path)
        trusted = row is not None and row.present is not None and row.present.digest == wanted.digest
        if (
            trusted
            and row is not None
            and after is not None
            and store.matches(row, info)
            and _content(info) == _content(after)
        ):
            self.rows[path] = store.row_of(wanted, after)
        else:
            self._accept(path, wanted, any_mode=True)

    def _adopt(self, path: str, wanted: entry.Entry) -> None:
        self._accept(path, wanted)
        row = self.rows[path]
        if row is None or row.state is not store.State.CLEAN:
            del self.rows[path]
            raise BlockedError(problem.Reason.CHANGED_IN_TRANSIT, "it is not what it was when it was compared")

    def _accept(self, path: str, wanted: entry.Entry, *, any_mode: bool = False) -> None:
        """Take what is at a path for what was shipped there, as far as it is."""
        folder, _, name = path.rpartition("/")
        try:
            fd = self._folders.get(folder)
            info = atomic.look(fd, name)
        except OSError as error:
            if error.errno not in store.ABSENT:
                raise
            info, fd = None, -1
        row = store.Row(wanted)
        known = self._known.get(path)
        if info is not None and wanted.kind is entry.Kind.FILE:
            excused = any_mode or self._root.modes is ModeSupport.NONE or (known is not None and known.mode_ignored)
            row = store.Row(wanted, mode_ignored=excused and atomic.is_executable(info) != wanted.executable)
        self.rows[path] = store.examine(row, fd, name, info)

    def _delete(self, path: str) -> None:
        """Remove a path; a folder only if nothing is left in it."""
        folder, _, name = path.rpartition("/")
        row = self._known.get(path)
        try:
            fd = self._folders.get(folder)
            info = atomic.look(fd, name)
        except OSError as error:
            if error.errno not in store.ABSENT:
                raise
            info, fd = None, -1
        if row is not None and row.state is store.State.DELETED:
            if self._plan.resumed:
                # It was deleted and stored as such before the interruption: what is there now came later.
                return
        elif info is not None and row is not None:
            if self._plan.resumed:
                there = store.examine(row, fd, name, info)
                if there.state is not store.State.CLEAN or (there.inode != row.inode and not _is_folder(row)):
                    # What the same batch put there under a name that counts as the same, or someone's new file.
                    self.rows[path] = there
                    return
            self._note_drift(path, row, fd, name, info)
        if info is not None and not self._remove(fd, path, name, info):
            self.rows[path] = None
            return
        self.rows[path] = _remembered(row, info)

    def _remove(self, fd: int, path: str, name: str, info: os.stat_result) -> bool:
        """Remove what is there; False for a folder that stays."""
        if not stat.S_ISDIR(info.st_mode):
            if stat.S_ISREG(info.st_mode):
                self._stage.set_aside(fd, name, info.st_size)
            os.unlink(name, dir_fd=fd)
        else:
            try:
                os.rmdir(name, dir_fd=fd)
            except OSError as error:
                if error.errno not in _NOT_EMPTY:
                    raise
                names, count = dirfd.names_in(fd, name, _NAMES_TOLD)
                self.kept.append(Kept(self._plan.number, path, tuple(names), count))
                return False
            self._folders.forget(path)
        self.changed += 1
        return True

    def _clear_folder(self, fd: int, path: str, name: str) -> None:
        """Remove the empty folder that stands where a file or a link is to be."""
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            names, count = dirfd.names_in(fd, name, _NAMES_TOLD)
            more = ", …" if count > len(names) else ""
            raise BlockedError(
                problem.Reason.IN_THE_WAY,
                f"a folder is in the way, with {count} that devloop did not ship or still needs:"
                f" {', '.join(map(_shown, names))}{more}",
            ) from error
        self._folders.forget(path)

    def _folder(self, folder: str) -> int:
        """Return the descriptor of a folder that is needed, making what is missing.

        A file or a link that devloop shipped, or that took the place of a folder it shipped, gives way; one that
        devloop never knew does not.
        """
        for _ in range(_CLEAR_TRIES):
            try:
                return self._folders.get(folder, make=True)
            except OSError as error:
                if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                    raise
                self._clear_way(os.fsdecode(error.filename))
        raise BlockedError(problem.Reason.UNSTABLE, f"{folder} keeps being replaced by something else")

    def _clear_way(self, path: str) -> None:
        row = self._known.get(path)
        if row is None or not row.is_managed:
            raise BlockedError(
                problem.Reason.IN_THE_WAY, f"{_shown(path)} is a file or a link that devloop did not ship"
            )
        folder, _, name = path.rpartition("/")
        fd = self._folders.get(folder)
        info = atomic.look(fd, name)
        if info is None or stat.S_ISDIR(info.st_mode):
            return
        self._note_drift(path, row, fd, name, info)
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=fd)
            self.changed += 1
        self._folders.forget(path)
        if row.shipped.kind is not entry.Kind.FOLDER:
            self.rows.setdefault(path, None)

    def _note_drift(self, path: str, row: store.Row, fd: int, name: str, info: os.stat_result | None) -> None:
        """Remember that a managed path, about to be replaced or deleted, was changed by someone else."""
        if not row.is_managed or path in self.rows:
            return
        if info is not None and row.state is store.State.CLEAN:
            if store.matches(row, info):
                return
            readable = info.st_size == row.shipped.size and info.st_size <= _COMPARE_BYTES
            if readable and store.examine(row, fd, name, info).state is store.State.CLEAN:
                return
        self.overwritten.append(path)

    def _recheck(self, moved: list[str]) -> None:
        """Look again at what was done in folders that someone moved or replaced meanwhile."""
        if not moved:
            return
        gone = set(moved)
        with dirfd.Folders(self._root.data_fd) as fresh:
            for path in [path for path in self.rows if paths.parent(path) in gone]:
                folder, _, name = path.rpartition("/")
                made = self.rows[path]
                row = made if made is not None and made.is_managed else self._known.get(path)
                if row is None or not row.is_managed:
                    continue
                try:
                    fd = fresh.get(folder)
                    info = atomic.look(fd, name)
                except OSError:
                    info, fd = None, -1
                if info is None and row is not made:
                    continue
                looked = store.examine(row, fd, name, info)
                self.rows[path] = looked
                if looked.state is not store.State.CLEAN:
                    self._tell(
                        path,
                        problem.Reason.UNSTABLE,
                        f"its folder {_shown(folder)} was moved or replaced while the batch was applied",
                    )

    def _failed(self, op: ops.Op, error: OSError) -> str:
        """Say what could not be done; where rights are missing, with whom the folder belongs to."""
        if error.errno not in {errno.EACCES, errno.EPERM}:
            return _FAILED[op.action]
        detail = f"{_FAILED[op.action]} as uid {os.geteuid()}, gid {os.getegid()}"
        folder = paths.parent(op.path)
        with contextlib.suppress(OSError):
            info = os.fstat(self._folders.get(folder))
            mode = stat.S_IMODE(info.st_mode)
            detail += (
                f" ({_shown(folder) or 'the root'} belongs to uid {info.st_uid}, gid {info.st_gid}, mode {mode:04o})"
            )
        return detail

    def _tell(self, path: str, reason: problem.Reason, detail: str) -> None:
        self.problems.append(problem.Problem(path, reason, detail, problem.Side.POD))


_FAILED: Final = {
    ops.Action.PUT: "cannot be written in the target",
    ops.Action.DELETE: "cannot be deleted in the target",
    ops.Action.ADOPT: "cannot be read in the target",
    ops.Action.FORGET: "cannot be forgotten",
}


def _previous_s(row: store.Row | None, info: os.stat_result | None) -> int | None:
    """Return the latest whole second that an earlier version of a file is known to have had."""
    seen = [info.st_mtime_ns] if info is not None else []
    if row is not None and row.mtime_ns:
        seen.append(row.mtime_ns)
    return max(seen) // atomic.SECOND_NS if seen else None


def _content(info: os.stat_result) -> tuple[int, int, int]:
    """Return the part of a status that changes with the content and not with the mode."""
    return info.st_ino, info.st_mtime_ns, info.st_size


def _is_folder(row: store.Row) -> bool:
    return row.shipped.kind is entry.Kind.FOLDER


def _remembered(row: store.Row | None, info: os.stat_result | None) -> store.Row | None:
    """Return the row of a path that is deleted now: files leave their modification time behind."""
    if row is not None and row.state is store.State.DELETED:
        return row
    if info is not None and stat.S_ISREG(info.st_mode):
        mtime_ns = max(info.st_mtime_ns, row.mtime_ns if row is not None else 0)
        return store.deleted_row(row.shipped if row is not None else _UNKNOWN, mtime_ns)
    if row is not None and row.shipped.kind is entry.Kind.FILE:
        return store.deleted_row(row.shipped, row.mtime_ns)
    return None


_UNKNOWN: Final = entry.file(bytes(entry.DIGEST_BYTES), 0)


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
