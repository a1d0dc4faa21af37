"""A file's content on its way to the target, checked while it is read.

Used by the sender, in a worker thread. What is sent is what the entry promised, or the sender is told before the
last byte: a file that changed after it was scanned never arrives as if it were whole.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Self

from devloop.core.entry import Entry
from devloop.fs import hashing


class BodyChanged(Exception):
    """The file is not what the entry says any more; it will be scanned and planned again.

    Args:
        path: The entry's path.
        why: What is different.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class Body:
    """The content of one file, in chunks. Not safe for use from several threads at once.

    A link in place of the file is not followed. A parent that was swapped for a link is not noticed, and need not be:
    only bytes with the expected digest pass.

    Args:
        path: The entry's path, for messages.
        absolute: Where the file is.
        expected: What it must be.
        offset: Where to begin; the bytes before are read for the digest only.

    Raises:
        BodyChanged: There is no such file, it cannot be opened, or its size differs.
    """

    def __init__(self, path: str, absolute: str, expected: Entry, offset: int = 0) -> None:
        self.path = path
        self._expected = expected
        self._sum = hashlib.sha256()
        self._left = expected.size
        try:
            self._fd = os.open(absolute, hashing.OPEN_FLAGS)
        except OSError as error:
            raise BodyChanged(path, error.strerror or str(error)) from error
        try:
            self._check_kind()
            self._skip(offset)
        except BaseException:
            self.close()
            raise

    def read(self, limit: int) -> bytes:
        """Return up to `limit` bytes, and nothing only at the end. The last bytes are returned after the check.

        Raises:
            BodyChanged: The content is not what the entry says.
        """
        if not self._left:
            return b""
        try:
            chunk = os.read(self._fd, min(limit, self._left))
        except OSError as error:
            raise BodyChanged(self.path, error.strerror or str(error)) from error
        if not chunk:
            raise BodyChanged(self.path, "it became shorter")
        self._sum.update(chunk)
        self._left -= len(chunk)
        if not self._left and self._sum.digest() != self._expected.digest:
            raise BodyChanged(self.path, "its content changed")
        return chunk

    @property
    def left_bytes(self) -> int:
        """How many bytes are still to come."""
        return self._left

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_kind(self) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise BodyChanged(self.path, "it is no file any more")
        if status.st_size != self._expected.size:
            raise BodyChanged(self.path, f"it has {status.st_size} bytes instead of {self._expected.size}")

    def _skip(self, offset: int) -> None:
        if offset > self._expected.size:
            raise ValueError(f"offset {offset} in a body of {self._expected.size} bytes")
        end = self._expected.size - offset
        while self._left > end:
            self.read(min(hashing.BUFFER_BYTES, self._left - end))
