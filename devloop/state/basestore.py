"""Bodies that agents acked, kept so that the next version of each can be sent as a difference to it.

One folder for all projects of the user: a file per body, named by its sha256, least recently used ones evicted first.
The time of use is the file's mtime, so that several processes agree on it. It is only a shortcut: a body that is
missing or damaged means that a file is sent whole, and trouble with the disk never raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import threading
import time
from typing import Final

from devloop.fs import atomic
from devloop.protocol import bodies

DEFAULT_LIMIT_BYTES: Final = 256 * 1024 * 1024

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_TEMPORARY: Final = ".new-"

# A temporary file this old was left by a process that was killed: writing one takes a fraction of a second.
_STALE_S: Final = 3600.0

# Evicting goes on to this share of the limit, so that not every put has to walk the folder.
_LOW_WATER: Final = 0.9

# What others put is seen by walking; each process walks after it has put this share of the limit.
_WALK_SHARE: Final = 0.25


class BaseStore:
    """The store. Safe for use from several threads and processes; nothing is touched before the first call.

    Args:
        folder: Where it is; made when missing.
        limit_bytes: How much it may hold; several processes may exceed it by a quarter each for a while.
    """

    def __init__(self, folder: str, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._held_bytes = -1
        self._since_walk_bytes = 0

    def get(self, digest: bytes) -> bytes | None:
        """Return the body with this digest, verified, and mark it as used; None where there is none.

        Args:
            digest: Its sha256.
        """
        path = self._path(digest)
        try:
            content = _read(path)
        except OSError:
            return None
        if content is None or hashlib.sha256(content).digest() != digest:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        _mark_used(path)
        return content

    def has(self, digest: bytes) -> bool:
        """Say whether there is a body with this digest, without a look at its content."""
        try:
            return stat.S_ISREG(os.lstat(self._path(digest)).st_mode)
        except OSError:
            return False

    def put(self, digest: bytes, content: bytes) -> None:
        """Keep a body, if it has a size that differences are made for and the disk takes it.

        Args:
            digest: Its sha256.
            content: The body.
        """
        if not bodies.MIN_DELTA_BYTES <= len(content) <= min(bodies.MAX_DELTA_BYTES, self._limit_bytes):
            return
        path = self._path(digest)
        if self.has(digest):
            _mark_used(path)
            return
        with contextlib.suppress(OSError):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            self._write(path, content)
            self._count(len(content))

    def _path(self, digest: bytes) -> str:
        return os.path.join(self._folder, digest.hex())

    def _write(self, path: str, content: bytes) -> None:
        fresh = os.path.join(self._folder, _TEMPORARY + secrets.token_hex(8))
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                file.write(content)
            os.rename(fresh, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise

    def _count(self, added_bytes: int) -> None:
        """Add to the account; walk and evict when it says so."""
        with self._lock:
            self._held_bytes += added_bytes
            self._since_walk_bytes += added_bytes
            unknown = self._held_bytes < added_bytes
            due = self._since_walk_bytes > self._limit_bytes * _WALK_SHARE
            if unknown or due or self._held_bytes > self._limit_bytes:
                self._walk()

    def _walk(self) -> None:
        """Count what is there, and evict the oldest where it is too much."""
        found = _bodies_in(self._folder)
        held_bytes = sum(size for _, size, _ in found)
        if held_bytes > self._limit_bytes:
            for _, size, path in sorted(found):
                if held_bytes <= self._limit_bytes * _LOW_WATER:
                    break
                with contextlib.suppress(OSError):
                    os.unlink(path)
                held_bytes -= size
        self._held_bytes = held_bytes
        self._since_walk_bytes = 0


def _bodies_in(folder: str) -> list[tuple[int, int, str]]:
    """Return time of use, size and path of every body; removes what a killed process left behind."""
    found = []
    with os.scandir(folder) as listing:
        for item in listing:
            with contextlib.suppress(OSError):
                status = item.stat(follow_symlinks=False)
                if _NAME.fullmatch(item.name):
                    found.append((status.st_mtime_ns, status.st_size, item.path))
                elif item.name.startswith(_TEMPORARY) and status.st_mtime < time.time() - _STALE_S:
                    os.unlink(item.path)
    return found


def _read(path: str) -> bytes | None:
    """Return what a file holds; None where it is larger than any body, and so none of ours.

    Raises:
        OSError: It is not there, or may not be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        content = atomic.read_upto(fd, bodies.MAX_DELTA_BYTES)
    finally:
        os.close(fd)
    return content if content and len(content) <= bodies.MAX_DELTA_BYTES else None


def _mark_used(path: str) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)
