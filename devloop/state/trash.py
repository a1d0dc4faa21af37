"""What a pull replaced on the laptop, kept for two weeks.

Every file gets a folder of its own, named after the moment, and keeps its path in it:
`2026-11-20T14-22-33.123456Z-1/migrations/0007.py`. The content belongs to its user: folders have mode 0700 and files
0600.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.core import paths
from devloop.state import private

KEEP_DAYS: Final = 14
TOTAL_BYTES: Final = 1024 * 1024 * 1024

_FORMAT: Final = "%Y-%m-%dT%H-%M-%S.%fZ"


class Kept(msgspec.Struct, frozen=True):
    """One file in the trash.

    Attributes:
        path: Its path in its sync, when it was replaced.
        file: Where it is now; absolute.
        at_s: When it was put there, in seconds since 1970.
        size: In bytes.
    """

    path: str
    file: str
    at_s: float
    size: int


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Trash:
    """The trash of one project. Synchronous: to be called in a worker thread.

    Args:
        folder: Its folder, made when it is needed.
        keep_days: How long a file is kept.
        total_bytes: How much is kept; the oldest go first.
        now: The clock.
    """

    def __init__(
        self,
        folder: str,
        *,
        keep_days: int = KEEP_DAYS,
        total_bytes: int = TOTAL_BYTES,
        now: Callable[[], datetime.datetime] = _now,
    ) -> None:
        self.folder = folder
        self._keep = datetime.timedelta(days=keep_days)
        self._total = total_bytes
        self._now = now

    def keep(self, path: str, source: str | int) -> str:
        """Copy a file into the trash, and return where it is.

        Args:
            path: Its path in its sync.
            source: The file: its absolute path, which is not followed if it is a link, or a descriptor.

        Raises:
            LocalError: It could not be kept; what was to replace it must not.
        """
        try:
            return self._copy(paths.check(path), source)
        except OSError as error:
            hint = f"free space on the disk of {self.folder}"
            raise errors.LocalError(f"cannot keep {path} in the trash: {error.strerror or error}", hint=hint) from error

    def list(self) -> Sequence[Kept]:
        """Return what is in the trash, newest first."""
        found = []
        for name in sorted(self._names(), reverse=True):
            at = _moment(name)
            if at is None:
                continue
            base = f"{self.folder}/{name}"
            for above, _, files in os.walk(base):
                for file in files:
                    absolute = f"{above}/{file}"
                    with contextlib.suppress(OSError):
                        size = os.lstat(absolute).st_size
                        found.append(Kept(absolute[len(base) + 1 :], absolute, at.timestamp(), size))
        return found

    def prune(self) -> int:
        """Remove what is too old, then the oldest while there is too much; return how many files went."""
        oldest_s = (self._now() - self._keep).timestamp()
        left, removed = self._total, 0
        for one in self.list():
            left -= one.size
            if one.at_s < oldest_s or left < 0:
                shutil.rmtree(self._base(one), ignore_errors=True)
                removed += 1
        return removed

    def _base(self, one: Kept) -> str:
        return one.file[: -len(one.path) - 1]

    def _names(self) -> Sequence[str]:
        try:
            return os.listdir(self.folder)
        except OSError:
            return []

    def _copy(self, path: str, source: str | int) -> str:
        base = self._new_base()
        target = f"{base}/{path}"
        try:
            _make_folders(base, paths.parent(path))
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.dup(source) if isinstance(source, int) else os.open(source, flags)
            with open(fd, "rb") as reading:
                _check_is_file(fd, path)
                reading.seek(0)
                made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, private.FILE_MODE)
                with open(made, "wb") as writing:
                    shutil.copyfileobj(reading, writing)
        except BaseException:
            shutil.rmtree(base, ignore_errors=True)
            raise
        return target

    def _new_base(self) -> str:
        private.folder(self.folder)
        moment = self._now().strftime(_FORMAT)
        number = 0
        while True:
            number += 1
            base = f"{self.folder}/{moment}-{number}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(base, private.FOLDER_MODE)
                return base


def _make_folders(base: str, path: str) -> None:
    for folder in (*reversed(list(paths.ancestors(path))), path):
        if folder:
            os.mkdir(f"{base}/{folder}", private.FOLDER_MODE)


def _check_is_file(fd: int, path: str) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise errors.LocalError(f"cannot keep {path} in the trash: it is not a file", hint="move it aside")


def _moment(name: str) -> datetime.datetime | None:
    """Return the moment in a folder's name; None if this is no folder of ours."""
    moment, _, number = name.rpartition("-")
    if not number.isdigit():
        return None
    try:
        return datetime.datetime.strptime(moment, _FORMAT).replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
