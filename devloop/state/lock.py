"""One devloop per project: a lock that dies with its process.

The lock is flock(2) on a file; what the file says (JSON) is only for people and for readers such as `devloop status`.
The file is never deleted: whoever opened it a moment before would then hold a lock on a file that nobody else sees.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import Final, Self

import msgspec

from devloop import errors
from devloop.proc import identity as processes
from devloop.state import identity

# What a holder writes is some 200 bytes and a path; anything longer is not one of ours.
_MAX_BYTES: Final = 64 * 1024

_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})


class Holder(msgspec.Struct, frozen=True):
    """Who holds a project.

    Attributes:
        pid: Its process id, on its own host.
        host: The host's name.
        user: The user's name.
        since: When it took the lock, in seconds since 1970.
        folder: The project's folder as it was given.
        process: Tells this process from a later one with the same id; None where the system did not say.
    """

    pid: int
    host: str
    user: str
    since: float
    folder: str = ""
    process: processes.Identity | None = None

    def name(self) -> str:
        """Return `user@host`."""
        return f"{self.user}@{self.host}"


class ProjectLock:
    """Holds a project for as long as its context lasts. Not re-entrant; entered and left by one thread at a time.

    Args:
        path: The lock file; its folder exists.
        folder: The project's folder, for messages.
    """

    def __init__(self, path: str, folder: str) -> None:
        self._path = path
        self._folder = folder
        self._fd = -1

    def __enter__(self) -> Self:
        """Take the lock, or fail at once.

        Raises:
            OwnedError: Someone else holds it.
            LocalError: The file cannot be opened or locked.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(fd, self._ourselves())
        except OSError as error:
            seen = _read(fd)
            os.close(fd)
            raise (self._owned(seen) if error.errno in _HELD else self._unusable(error)) from error
        self._fd = fd
        return self

    def __exit__(self, *_: object) -> None:
        # Emptied first, so that no reader takes us for the holder any more.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
        os.close(self._fd)
        self._fd = -1

    def _ourselves(self) -> Holder:
        pid = os.getpid()
        return Holder(
            pid=pid,
            host=identity.host(),
            user=identity.user(),
            since=time.time(),
            folder=self._folder,
            process=processes.of(pid),
        )

    def _owned(self, seen: Holder | None) -> errors.OwnedError:
        who = f"{seen.name()} (process {seen.pid})" if seen else "another devloop"
        return errors.OwnedError(
            f"{self._folder} is already watched by {who}",
            hint="see what it does with `devloop status`, or end it with `devloop stop`",
            owner=seen.name() if seen else "",
        )

    def _unusable(self, error: OSError) -> errors.LocalError:
        return errors.LocalError(
            f"the lock file {self._path} cannot be used: {error.strerror}",
            hint="set DEVLOOP_STATE_DIR to a folder on a local disk that you may write to",
        )


def holder(path: str) -> Holder | None:
    """Return who holds the project, or None where nobody does (or takes it at this very moment).

    Never takes the lock itself, so that looking does not keep anybody from starting; a holder that was killed is told
    from a living one by its process. Only one on another host, with the state folder on a shared disk, is believed as
    long as the lock is taken.

    Args:
        path: The lock file.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        seen = _read(fd)
        if seen is None:
            return None
        if seen.host == identity.host() and seen.process is not None:
            return seen if processes.is_same(seen.process) else None
        return seen if _is_locked(fd) else None
    finally:
        os.close(fd)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    return False


def _write(fd: int, ourselves: Holder) -> None:
    raw = msgspec.json.encode(ourselves)
    os.ftruncate(fd, 0)
    os.pwrite(fd, raw, 0)


def _read(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, _MAX_BYTES, 0), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None
