"""Finds out what the file system under a root can do, without a trace where the app looks."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import secrets
from typing import Final

import msgspec

from devloop.fs import atomic


class ModeSupport(enum.Enum):
    """How a file gets its executable bit here."""

    BY_OPEN = enum.auto()
    """The mode given at creation counts."""
    BY_CHMOD = enum.auto()
    """It has to be set afterwards."""
    NONE = enum.auto()
    """The file system, or its owner, keeps us from it."""


class Abilities(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        case_sensitive: `a` and `A` are two names.
        modes: How executable bits are set.
        writes_at_rename: Renaming a new file over another waits until its content has been given its blocks.
    """

    case_sensitive: bool
    modes: ModeSupport
    writes_at_rename: bool = False


def same_mount(from_fd: int, to_fd: int) -> bool:
    """Say whether a file can be renamed from one folder to another.

    Two mounts of one file system count as different ones (rename(2), EXDEV). The kernel compares the mounts before it
    looks at the names, so renaming something that is not there tells, and changes nothing.
    """
    if os.fstat(from_fd).st_dev != os.fstat(to_fd).st_dev:
        return False
    missing = secrets.token_hex(16)
    try:
        os.rename(missing, missing, src_dir_fd=from_fd, dst_dir_fd=to_fd)
    except OSError as error:
        return error.errno != errno.EXDEV
    return True


def try_to_write(folder_fd: int) -> None:
    """Make something in a folder that the app sees and take it away again; a nameless file where there are such.

    Raises:
        OSError: Nothing can be made there.
    """
    nameless = getattr(os, "O_TMPFILE", 0)
    if nameless:
        try:
            os.close(os.open(".", nameless | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder_fd))
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
                raise
        else:
            return
    name = f".devloop-{secrets.token_hex(8)}"
    os.mkdir(name, 0o700, dir_fd=folder_fd)
    os.rmdir(name, dir_fd=folder_fd)


def abilities(folder_fd: int) -> Abilities:
    """Try out case and modes with two files in a folder that nobody watches.

    Raises:
        OSError: Files cannot be made there.
    """
    plain, runnable = (f"probe-{secrets.token_hex(8)}-{kind}" for kind in ("p", "x"))
    try:
        atomic.write_new(folder_fd, plain, b"", atomic.file_mode(executable=False))
        atomic.write_new(folder_fd, runnable, b"", atomic.file_mode(executable=True))
        sensitive = atomic.look(folder_fd, plain.upper()) is None
        return Abilities(sensitive, _modes(folder_fd, plain, runnable), _file_system(folder_fd) == _EXT4)
    finally:
        for name in (plain, runnable):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder_fd)


# With `auto_da_alloc`, its default, ext4 gives a file that replaces another its blocks, and begins to write it, within
# the rename (ext4(5)).
_EXT4: Final = "ext4"


def _file_system(folder_fd: int) -> str:
    """Return the type of the file system that a folder lies in; empty where that is not known."""
    device = os.fstat(folder_fd).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            # The third field is the device; the type follows the separator, before which the fields vary (proc(5)).
            before, _, after = line.partition(" - ")
            if before.split(" ")[2] == wanted:
                return after.split(" ")[0]
    return ""


def _modes(folder_fd: int, plain: str, runnable: str) -> ModeSupport:
    if _executable(folder_fd, plain):
        return ModeSupport.NONE
    if _executable(folder_fd, runnable):
        return ModeSupport.BY_OPEN
    with contextlib.suppress(OSError):
        atomic.set_executable(folder_fd, runnable, executable=True)
    return ModeSupport.BY_CHMOD if _executable(folder_fd, runnable) else ModeSupport.NONE


def _executable(folder_fd: int, name: str) -> bool:
    info = atomic.look(folder_fd, name)
    return info is not None and atomic.is_executable(info)
