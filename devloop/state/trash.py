"""Where a pull puts the laptop's file that it replaces (rule 1), so that no one loses work to a pod.

Each file lies in a folder of its own, named by the moment (UTC) and a random suffix, at its path in the sync:
`20261120T140248Z-1f0c9a3e/migrations/0001.py`. It is a copy, whole on the disk before `keep` returns; a link would
share its mode and later edits in place with the laptop's file.
"""

from __future__ import annotations

import calendar
import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import time
from typing import Final

import msgspec

from devloop.core import paths
from devloop.fs import atomic

MAX_AGE_S: Final = 14 * 24 * 3600.0
MAX_BYTES: Final = 1024**3

_STAMP: Final = "%Y%m%dT%H%M%SZ"
_FOLDER: Final = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{8}")


class Item(msgspec.Struct, frozen=True):
    """One file in the trash.

    Attributes:
        path: What it was in its sync.
        where: Where it lies now.
        kept_s: When it was put there, in seconds since 1970.
        size_bytes: Its length.
    """

    path: str
    where: str
    kept_s: float
    size_bytes: int


class Trash:
    """The trash of one project. Safe for use from several threads.

    Args:
        folder: Where it is; made when missing.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def keep(self, path: str, source: str) -> str:
        """Copy a file into the trash, and return where it lies now.

        Args:
            path: Its path in the sync.
            source: Where it is, as an absolute path; not followed where it is a link.

        Raises:
            OSError: It could not be kept; then nothing may be replaced.
            UnsafePathError: `path` could lead out of the trash.
        """
        paths.check(path)
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        home = os.path.join(self._folder, f"{time.strftime(_STAMP, time.gmtime())}-{secrets.token_hex(4)}")
        # Fails where it exists: no two files share a folder.
        os.mkdir(home, 0o700)
        try:
            where = os.path.join(_make_folders(home, paths.parent(path)), paths.name(path))
            _copy(source, where)
        except OSError:
            shutil.rmtree(home, ignore_errors=True)
            raise
        return where

    def items(self) -> list[Item]:
        """Return what is in the trash, oldest first; what cannot be read is left out."""
        found = [item for home, kept_s in self._homes() for item in _items_in(home, kept_s)]
        return sorted(found, key=lambda item: (item.kept_s, item.where))

    def prune(self, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES) -> None:
        """Remove what is too old, then the oldest until the rest is small enough; what cannot be removed stays.

        Args:
            max_age_s: How old a file may be.
            max_bytes: How much all files may have together.
        """
        oldest_s = time.time() - max_age_s
        left_bytes = 0
        # The newest are counted first, so that the oldest are those that do not fit any more.
        for home, kept_s in sorted(self._homes(), key=lambda one: one[1], reverse=True):
            left_bytes += sum(item.size_bytes for item in _items_in(home, kept_s))
            if kept_s < oldest_s or left_bytes > max_bytes:
                shutil.rmtree(home, ignore_errors=True)

    def _homes(self) -> list[tuple[str, float]]:
        """Return the folders that `keep` made, each with its moment; anything else in the trash is not ours."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        homes = []
        for name in names:
            match = _FOLDER.fullmatch(name)
            if match:
                with contextlib.suppress(ValueError):
                    kept_s = float(calendar.timegm(time.strptime(match[1], _STAMP)))
                    homes.append((os.path.join(self._folder, name), kept_s))
        return homes


def _items_in(home: str, kept_s: float) -> list[Item]:
    found = []
    for folder, _, names in os.walk(home):
        for name in names:
            where = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                found.append(Item(os.path.relpath(where, home), where, kept_s, os.lstat(where).st_size))
    return found


def _make_folders(home: str, folder: str) -> str:
    """Make a folder below `home`, every part of it private, and return its path."""
    at = home
    for segment in filter(None, folder.split("/")):
        at = os.path.join(at, segment)
        os.mkdir(at, 0o700)
    return at


def _copy(source: str, where: str) -> None:
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", source)
        out = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(out, "wb") as file:
            for data in atomic.chunks(fd):
                file.write(data)
            file.flush()
            # This may be the only copy of someone's work a moment later.
            os.fsync(out)
    finally:
        os.close(fd)
