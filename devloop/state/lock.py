"""One devloop for each project on this machine.

The lock is `flock`, which ends with its process: a lock that is left behind by a crash holds nobody up. Who holds it
is written into the file, for `status`, `stop` and the error message.

Asking whether the lock is held must not disturb someone who is taking it at that moment, so both do it behind a second
lock, the gate, that is held for microseconds only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final, Self

import msgspec

from devloop import errors
from devloop.state import identity, private

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Owner(msgspec.Struct, frozen=True):
    """Who holds a lock.

    Attributes:
        pid: The process.
        started: When it started, in the system's own terms, so that a later process with the same number is told
            apart; empty where that cannot be known.
        user: The account.
        host: The machine.
        since_s: When it took the lock, in seconds since 1970.
    """

    pid: int
    started: str
    user: str
    host: str
    since_s: float

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since_s))
        return f"{self.user}@{self.host}, process {self.pid}, since {when}"


class ProjectLock:
    """The lock of one project, held from `acquire` to `release`, or to the end of the process.

    Args:
        path: Its file; the folder exists.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1

    def acquire(self) -> Owner:
        """Take the lock, without waiting; return what others will see.

        Raises:
            OwnedError: Another process holds it.
            LocalError: The file cannot be opened or written.
        """
        try:
            with _gate(self.path):
                return self._acquire()
        except OSError as error:
            raise _unusable(self.path, error) from error

    def release(self) -> None:
        """Give the lock back; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _acquire(self) -> Owner:
        fd = os.open(self.path, _FLAGS, private.FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owner = current()
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(owner), 0)
        except BlockingIOError:
            held_by = _read(fd)
            os.close(fd)
            raise _owned(held_by) from None
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return owner


def holder(path: str) -> Owner | None:
    """Return who holds the lock, or None if nobody does.

    Args:
        path: Its file.

    Raises:
        LocalError: The file is there and cannot be read.
    """
    try:
        with _gate(path):
            return _holder(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error) from error


def current() -> Owner:
    """Return this process as an owner."""
    return Owner(os.getpid(), started(os.getpid()), identity.user(), identity.host(), time.time())


def started(pid: int) -> str:
    """Return when a process started, in the system's own terms; empty where that cannot be known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # Field 22 (proc_pid_stat(5)); the name before it is in brackets and may hold anything.
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


@contextlib.contextmanager
def _gate(path: str) -> Iterator[None]:
    fd = os.open(path + ".gate", _FLAGS, private.FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _holder(path: str) -> Owner | None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd) or Owner(0, "", "unknown", "unknown", 0.0)
    finally:
        os.close(fd)
    return None


def _read(fd: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=Owner)
    except msgspec.DecodeError:
        return None


def _owned(owner: Owner | None) -> errors.OwnedError:
    who = str(owner) if owner is not None else "another process"
    return errors.OwnedError(
        f"this project is already held by {who}",
        hint="`devloop status` shows what it does, `devloop stop` ends it",
        owner=who,
    )


def _unusable(path: str, error: OSError) -> errors.LocalError:
    hint = "free its disk or correct its permissions, or set DEVLOOP_STATE_DIR"
    return errors.LocalError(f"cannot use the lock {path}: {error.strerror or error}", hint=hint)
