"""The last acknowledged bodies of larger files, so that the next version can be sent as a delta against them.

A cache: bodies are kept under their digest, read back only if they still have it, and dropped oldest-used first.
Several syncs and processes share one store without a lock, because a body never changes under its name and every file
arrives by rename. Losing any of it costs bandwidth and nothing else, so no method raises for the disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from typing import Final, NamedTuple

from devloop import errors
from devloop.state import private

# Below, a whole file costs no more than the delta's round of thought; above, the zstd window and memory end.
MIN_BODY_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
TOTAL_BYTES: Final = 256 * 1024 * 1024

# After eviction this part of the limit is in use, so that the next walk is some time away.
_KEEP: Final = 0.9
# This process looks at what the others added when it has added this part of the limit itself.
_RECOUNT: Final = 0.125
_STALE_S: Final = 3600
_SUFFIX: Final = ".new"


class _Kept(NamedTuple):
    used_ns: int
    path: str
    size: int


class BaseStore:
    """One user's bodies. Synchronous: to be called in a worker thread, by one thread at a time.

    Args:
        folder: Its folder, within the cache.
        total_bytes: How much it keeps; several processes together may exceed it by an eighth each, for a while.
        min_bytes: Smaller bodies are not kept.
        max_bytes: Larger ones neither.
    """

    def __init__(
        self,
        folder: str,
        *,
        total_bytes: int = TOTAL_BYTES,
        min_bytes: int = MIN_BODY_BYTES,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._folder = folder
        self._limit = total_bytes
        self._min = min_bytes
        self._max = max_bytes
        self._used = 0
        self._added = 0
        self._counted = False

    def wants(self, size: int) -> bool:
        """Say whether a body of this many bytes is kept."""
        return self._min <= size <= self._max

    def put(self, digest: bytes, body: bytes) -> bool:
        """Keep a body.

        Args:
            digest: Its sha256; the caller has just checked it.
            body: The content.

        Returns:
            Whether it is kept: not if its size is out of bounds, or the disk refuses.
        """
        if not self.wants(len(body)):
            return False
        path = self._path(digest)
        try:
            os.utime(path)
        except OSError:
            if not self._write(path, body):
                return False
            self._account(len(body))
        return True

    def get(self, digest: bytes) -> bytes | None:
        """Return a body, and note that it was used; None if it is not there. A damaged one is removed."""
        path = self._path(digest)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(fd, "rb") as file:
                body = file.read(self._max + 1)
        except OSError:
            return None
        if hashlib.sha256(body).digest() != digest:
            self._remove(path, 0)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return body

    def __contains__(self, digest: bytes) -> bool:
        return os.path.exists(self._path(digest))

    @property
    def used_bytes(self) -> int:
        """What the store holds, as far as this process knows."""
        if not self._counted:
            self._recount()
        return self._used

    def _path(self, digest: bytes) -> str:
        name = digest.hex()
        return f"{self._folder}/{name[:2]}/{name}"

    def _write(self, path: str, body: bytes) -> bool:
        fresh = f"{path}.{secrets.token_hex(6)}{_SUFFIX}"
        try:
            private.folder(self._folder)
            private.folder(os.path.dirname(path))
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private.FILE_MODE)
            try:
                with open(fd, "wb") as file:
                    file.write(body)
                os.rename(fresh, path)
            except OSError:
                self._remove(fresh, 0)
                raise
        except (OSError, errors.LocalError):
            return False
        return True

    def _account(self, size: int) -> None:
        self._used += size
        self._added += size
        if not self._counted or self._used > self._limit or self._added > self._limit * _RECOUNT:
            self._recount()

    def _recount(self) -> None:
        """Walk the store, and make room if it is too full."""
        kept = self._walk()
        self._used = sum(one.size for one in kept)
        self._added, self._counted = 0, True
        if self._used <= self._limit:
            return
        kept.sort()
        for one in kept:
            if self._used <= self._limit * _KEEP:
                break
            self._remove(one.path, one.size)

    def _walk(self) -> list[_Kept]:
        found = []
        stale_s = time.time() - _STALE_S
        for shelf in _listing(self._folder):
            for file in _listing(shelf.path):
                try:
                    status = file.stat(follow_symlinks=False)
                except OSError:
                    continue
                if file.name.endswith(_SUFFIX) and status.st_mtime < stale_s:
                    # Left behind by a process that was killed.
                    self._remove(file.path, 0)
                else:
                    found.append(_Kept(status.st_mtime_ns, file.path, status.st_size))
        return found

    def _remove(self, path: str, size: int) -> None:
        with contextlib.suppress(OSError):
            os.unlink(path)
        self._used -= size


def _listing(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as listing:
            return list(listing)
    except OSError:
        return []
