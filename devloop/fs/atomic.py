"""The few ways in which devloop writes and looks at a file: new under a private name, then renamed.

Everything is relative to a folder's descriptor (`devloop.fs.dirfd`) and never follows a link. A file that is renamed
over another is whole at every moment, old or new. Nothing is fsynced: the target can be shipped again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import Final

from devloop.core import entry

SECOND_NS: Final = 1_000_000_000

CHUNK_BYTES: Final = 1024 * 1024

# A modification time this far ahead of the clock comes from a wrong clock or another machine, not from `mtime_after`.
_FUTURE_S: Final = 3600

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ADD: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO that takes a file's place must not make the open wait for a writer.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def file_mode(*, executable: bool) -> int:
    """Return the mode a file is created with; the umask takes from it what it must."""
    return 0o777 if executable else 0o666


def write_new(folder_fd: int, name: str, data: bytes | memoryview, mode: int, *, reserve: bool = False) -> int:
    """Make a file that was not there, and return its inode number.

    Args:
        folder_fd: The descriptor of the folder.
        name: Its name there.
        data: Its content.
        mode: Its mode, less the umask.
        reserve: Have it given its blocks before it is written, where the system can.

    Raises:
        OSError: It could not be written whole; nothing is left of it.
    """
    fd = os.open(name, _NEW, mode, dir_fd=folder_fd)
    try:
        if reserve and data:
            _reserve(fd, len(data))
        done = os.write(fd, data) if data else 0
        if done < len(data):
            _write_at(fd, memoryview(data)[done:], done)
        return os.fstat(fd).st_ino
    except OSError:
        os.unlink(name, dir_fd=folder_fd)
        raise
    finally:
        os.close(fd)


def _reserve(fd: int, size_bytes: int) -> None:
    """Give a file its blocks; where that cannot be done, writing will do it, or say what is wrong."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.posix_fallocate(fd, 0, size_bytes)


def write_more(folder_fd: int, name: str, data: bytes | memoryview, offset: int) -> None:
    """Write data at an offset of a file that is there.

    Raises:
        OSError: It could not be written whole; some of it may be there.
    """
    fd = os.open(name, _ADD, dir_fd=folder_fd)
    try:
        _write_at(fd, memoryview(data), offset)
    finally:
        os.close(fd)


def open_regular(folder_fd: int, name: str) -> int:
    """Open a regular file for reading; the caller closes it.

    Raises:
        OSError: It is not there, may not be read, or is a link (ELOOP) or anything else than a file (EINVAL).
    """
    fd = os.open(name, _READ, dir_fd=folder_fd)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return fd


def chunks(fd: int, size_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield what a file holds from the descriptor's position on."""
    while data := os.read(fd, size_bytes):
        yield data


def read_upto(fd: int, size_bytes: int) -> bytes:
    """Return what a file holds from the descriptor's position on, but not more than one byte beyond `size_bytes`.

    Raises:
        OSError: It cannot be read.
    """
    parts = []
    missing = size_bytes + 1
    while missing > 0 and (data := os.read(fd, missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def digest_of(folder_fd: int, name: str) -> tuple[bytes, int]:
    """Return sha256 and length of a regular file.

    Raises:
        OSError: As `open_regular`, and whatever reading says.
    """
    fd = open_regular(folder_fd, name)
    try:
        hasher = hashlib.sha256()
        size = 0
        for data in chunks(fd):
            hasher.update(data)
            size += len(data)
        return hasher.digest(), size
    finally:
        os.close(fd)


def look(folder_fd: int, name: str) -> os.stat_result | None:
    """Return the status of a name itself, never of what a link points to; None where there is nothing.

    Raises:
        OSError: Anything but that it is not there.
    """
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_executable(info: os.stat_result) -> bool:
    """Say whether the owner may execute it."""
    return bool(info.st_mode & stat.S_IXUSR)


def kind_of(info: os.stat_result) -> entry.Kind | None:
    """Return what it is; None for sockets, FIFOs and devices."""
    return _KINDS.get(stat.S_IFMT(info.st_mode))


_KINDS: Final = {
    stat.S_IFREG: entry.Kind.FILE,
    stat.S_IFDIR: entry.Kind.FOLDER,
    stat.S_IFLNK: entry.Kind.LINK,
}


def entry_at(folder_fd: int, name: str, info: os.stat_result) -> entry.Entry | None:
    """Return the entry of what a name is; None for sockets, FIFOs and devices. Reads a file to its end.

    Args:
        folder_fd: The folder's descriptor.
        name: The name in it.
        info: What `look` said.

    Raises:
        OSError: It went away, changed its kind, or may not be read.
    """
    kind = kind_of(info)
    if kind is entry.Kind.FILE:
        digest, size = digest_of(folder_fd, name)
        return entry.file(digest, size, executable=is_executable(info))
    if kind is entry.Kind.LINK:
        return entry.link(read_link(folder_fd, name))
    return entry.folder() if kind is entry.Kind.FOLDER else None


def read_link(folder_fd: int, name: str) -> bytes:
    """Return what a link says.

    Raises:
        OSError: It is no link (EINVAL), or not there.
    """
    return os.fsencode(os.readlink(name, dir_fd=folder_fd))


def mtime_after(now_ns: int, previous_s: int | None) -> int | None:
    """Return the modification time of a file that replaces another, so that nobody takes one for the other.

    Its whole second must differ from that of every earlier version, because Python knows a stale `.pyc` by whole
    seconds and size only; therefore seconds only ever go up while they are near the clock.

    Args:
        now_ns: The clock.
        previous_s: The whole second of the version before; None where there was none.

    Returns:
        Nanoseconds to set; None where the system's own current time is good.
    """
    now_s = now_ns // SECOND_NS
    if previous_s is None or previous_s > now_s + _FUTURE_S:
        return None
    if previous_s >= now_s:
        return (previous_s + 1) * SECOND_NS
    # The system's own time lags by up to a clock tick and could still be in the second before.
    return now_ns if previous_s == now_s - 1 else None


def stamp(folder_fd: int, name: str, mtime_ns: int | None) -> None:
    """Set a file's times; None is the system's current time.

    Raises:
        OSError: Not permitted here.
    """
    if mtime_ns is None:
        os.utime(name, dir_fd=folder_fd, follow_symlinks=False)
    else:
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder_fd, follow_symlinks=False)


def _write_at(fd: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)


def set_executable(folder_fd: int, name: str, *, executable: bool) -> None:
    """Give a regular file the owner's execute bit, and group and others theirs where they may read; or take all.

    Raises:
        OSError: As `open_regular`, or the file is not ours.
    """
    fd = open_regular(folder_fd, name)
    try:
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if executable:
            os.fchmod(fd, mode | stat.S_IXUSR | (mode & 0o044) >> 2)
        else:
            os.fchmod(fd, mode & ~0o111)
    finally:
        os.close(fd)
