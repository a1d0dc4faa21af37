"""Writing on the laptop what a pod produced: the one place where devloop does that (`pull:`).

A file is written only where the laptop still has what the pod last acknowledged, looked at right before the rename.
Else the laptop's file stays, and the pod's goes to `.devloop/conflicts/`. What is replaced goes to the trash first.
Nothing is written through a link: every folder on the way is opened relative to the one above it, with `O_NOFOLLOW`.

Between that look and the rename lie a few system calls. A save by another program in just that moment is the one that
this cannot see; its previous content is in the trash.
"""

from __future__ import annotations

import contextlib
import enum
import errno as errnos
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import msgspec

from devloop import errors
from devloop.core import entry, paths, problem
from devloop.core.entry import Entry, Kind
from devloop.core.problem import Problem, Reason
from devloop.fs import statcache

CONFLICTS: Final = ".devloop/conflicts"

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAKE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK_BYTES: Final = 256 * 1024
_NO_LINKS: Final = frozenset({errnos.EPERM, errnos.ENOTSUP, errnos.EOPNOTSUPP, errnos.EMLINK, errnos.ENOSYS})


class Keeper(Protocol):
    """The trash, as far as a pull needs it."""

    def keep(self, path: str, source: str | int) -> str:
        """Copy a file into the trash, and return where it is.

        Raises:
            LocalError: It could not be kept.
        """
        ...


class Pulled(enum.StrEnum):
    """How a pull of one path ended. The values are part of the JSON output."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    FAILED = "failed"


class PullOutcome(msgspec.Struct, frozen=True):
    """What became of one pulled path.

    Attributes:
        pulled: How it ended.
        problem: What to tell; None if all is well.
        kept: Where the file that was replaced is in the trash; empty if there was none.
        conflict: Where the pod's version is, relative to the root; empty if it was not put aside.
    """

    pulled: Pulled
    problem: Problem | None = None
    kept: str = ""
    conflict: str = ""


class _Damaged(Exception):
    """What came is not what was announced."""


def write_pulled(
    root: str, path: str, chunks: Iterable[bytes], expected: Entry | None, new: Entry, *, trash: Keeper
) -> PullOutcome:
    """Write the pod's version of a file on the laptop, if the laptop has no news of its own.

    Synchronous: to be called in a worker thread. A kill at any moment leaves the file whole, old or new.

    Args:
        root: The synced folder, absolute.
        path: The file; every folder on the way is made.
        chunks: The pod's content. It may raise whatever ends the transfer; nothing is changed then.
        expected: What the laptop must still have: the last acknowledged entry, None for nothing. A file that was
            deleted on the laptop is news.
        new: What the pod has; a file.
        trash: Where what is replaced goes first.

    Returns:
        How it ended. Trouble with the path is a problem in it.
    """
    if new.kind is not Kind.FILE:
        return _failed(path, Reason.SPECIAL, "only files are pulled")
    try:
        paths.check(path)
        with _folder(root, paths.parent(path)) as folder:
            return _Write(root, path, expected, new, trash).run(folder, chunks)
    except _Damaged as error:
        return _failed(path, Reason.CHANGED_IN_TRANSIT, str(error))
    except paths.UnsafePathError as error:
        return _failed(path, Reason.UNSAFE_NAME, error.reason)
    except errors.LocalError as error:
        return _failed(path, Reason.IO, error.message)
    except OSError as error:
        return PullOutcome(Pulled.FAILED, _trouble(path, error))


class _Write:
    """One write: stage the content next to its place, look, keep, rename."""

    def __init__(self, root: str, path: str, expected: Entry | None, new: Entry, trash: Keeper) -> None:
        self._root = root
        self._path = path
        self._name = paths.name(path)
        self._expected = expected
        self._new = new
        self._trash = trash

    def run(self, folder: int, chunks: Iterable[bytes]) -> PullOutcome:
        temp = temporary_name(self._name)
        fd = os.open(temp, _MAKE_FLAGS, 0o777 if self._new.executable else 0o666, dir_fd=folder)
        try:
            _fill(fd, chunks, self._new)
            return self._place(folder, temp, fd)
        finally:
            os.close(fd)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp, dir_fd=folder)

    def _place(self, folder: int, temp: str, fd: int) -> PullOutcome:
        try:
            there = os.open(self._name, _READ_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return self._create(folder, temp, fd)
        except OSError as error:
            if error.errno in {errnos.ELOOP, errnos.EMLINK, errnos.ENXIO, errnos.EOPNOTSUPP}:
                return self._conflict(fd, "the laptop has a link or a special file there")
            raise
        try:
            return self._replace(folder, temp, fd, there)
        finally:
            os.close(there)

    def _create(self, folder: int, temp: str, fd: int) -> PullOutcome:
        """Put the file where there is none, failing if one appears meanwhile."""
        if self._expected is not None:
            return self._conflict(fd, "it was deleted on the laptop")
        try:
            os.link(temp, self._name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            return self._conflict(fd, "it appeared on the laptop at the same moment")
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            os.rename(temp, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        return PullOutcome(Pulled.WRITTEN)

    def _replace(self, folder: int, temp: str, fd: int, there: int) -> PullOutcome:
        before = os.fstat(there)
        if not stat.S_ISREG(before.st_mode):
            return self._conflict(fd, "the laptop has something else there")
        found = _entry(there, before)
        if found == self._new:
            return PullOutcome(Pulled.UNCHANGED)
        if self._expected is None or (found.digest, found.size) != (self._expected.digest, self._expected.size):
            return self._conflict(fd, "it changed on the laptop too")
        kept = self._trash.keep(self._path, there)
        with contextlib.suppress(PermissionError):
            # Some file systems have no modes to change.
            os.fchmod(fd, _mode(before.st_mode, self._new.executable))
        if not self._still(folder, there, before):
            return self._conflict(fd, "it changed on the laptop too", kept)
        os.rename(temp, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        return PullOutcome(Pulled.WRITTEN, kept=kept)

    def _still(self, folder: int, there: int, before: os.stat_result) -> bool:
        """Say whether the name still means the file that was read, and nobody wrote to it since."""
        try:
            named = os.stat(self._name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        stamp = statcache.stamp(before)
        return statcache.stamp(named) == stamp and statcache.stamp(os.fstat(there)) == stamp

    def _conflict(self, fd: int, why: str, kept: str = "") -> PullOutcome:
        """Put the pod's version aside, under its digest: the same version is put aside once."""
        aside = conflict_path(self._path, self._new)
        detail = f"{why}; the laptop's version stays, the pod's is in {aside}"
        with _folder(self._root, paths.parent(aside)) as folder:
            _copy_into(folder, paths.name(aside), fd)
        trouble = Problem(self._path, Reason.CONFLICT, detail)
        return PullOutcome(Pulled.CONFLICT, trouble, kept, aside)


def temporary_name(name: str) -> str:
    """Return a name for the file while it is written, next to its place: `.<name>.devloop-<random>~`.

    It is covered by the built-in rules for editors' temporary files, so it is never an entry.
    """
    tail = f".devloop-{secrets.token_hex(4)}~"
    return f".{_cut(name, paths.MAX_SEGMENT_BYTES - len(tail) - 1)}{tail}"


def conflict_path(path: str, theirs: Entry) -> str:
    """Return where the pod's version of a path is put aside, relative to the root."""
    tail = f".{theirs.digest.hex()[:12]}"
    name = _cut(paths.name(path), paths.MAX_SEGMENT_BYTES - len(tail)) + tail
    return f"{CONFLICTS}/{paths.join(paths.parent(path), name)}"


def _cut(name: str, limit: int) -> str:
    """Shorten a name to some bytes, between characters: macOS refuses half ones."""
    while len(paths.to_wire(name)) > limit:
        name = name[:-1]
    return name


@contextlib.contextmanager
def _folder(root: str, path: str) -> Iterator[int]:
    """Open a folder below the root, making what is missing, and never through a link."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for segment in path.split("/") if path else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(segment, dir_fd=fd)
            below = os.open(segment, _FOLDER_FLAGS, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _fill(fd: int, chunks: Iterable[bytes], new: Entry) -> None:
    sum_ = hashlib.sha256()
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > new.size:
            break
        sum_.update(chunk)
        _write(fd, chunk)
    if total != new.size or sum_.digest() != new.digest:
        raise _Damaged("what the pod sent is not what it announced; it is tried again with the next pull")


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _entry(fd: int, status: os.stat_result) -> Entry:
    """Return what an open file is now."""
    sum_ = hashlib.sha256()
    size = 0
    while chunk := os.pread(fd, _CHUNK_BYTES, size):
        sum_.update(chunk)
        size += len(chunk)
    return entry.file(sum_.digest(), size, executable=bool(status.st_mode & stat.S_IXUSR))


def _mode(old: int, executable: bool) -> int:
    """Return the replaced file's mode, with its execute bits as the pod has them: where it may read, it may run."""
    plain = stat.S_IMODE(old) & 0o666
    return plain | (plain & 0o444) >> 2 if executable else plain


def _copy_into(folder: int, name: str, fd: int) -> None:
    """Write a file's content under a name, by rename; what is there already has the same digest in its name."""
    temp = temporary_name(name)
    made = os.open(temp, _MAKE_FLAGS, 0o600, dir_fd=folder)
    try:
        at = 0
        while chunk := os.pread(fd, _CHUNK_BYTES, at):
            _write(made, chunk)
            at += len(chunk)
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp, dir_fd=folder)
        raise
    finally:
        os.close(made)


def _failed(path: str, reason: Reason, detail: str) -> PullOutcome:
    return PullOutcome(Pulled.FAILED, Problem(path, reason, detail))


def _trouble(path: str, error: OSError) -> Problem:
    """Return the laptop-side problem that a failed write means."""
    told = problem.from_write_error(path, error, "it cannot be written on the laptop")
    return Problem(told.path, told.reason, told.detail, problem.Side.LAPTOP, told.errno)
