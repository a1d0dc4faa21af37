"""An append-only file of records that survives a kill at any moment.

Each record is its length, its CRC-32 and its payload. An append is one `write`, so a process that is killed leaves
whole records and at most one torn tail, which the next opening cuts off. Nothing is fsynced: what is stored here
(stat caches, manifests, the apply journal) protects against a killed process, and is rebuilt from the disk after a
lost machine.

Used by `devloop.fs.table`, the agent's store and its journal. Knows nothing of what the payloads mean.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterable
from typing import Final, Self

MAGIC: Final = b"devlooplog1\n"
_HEAD: Final = struct.Struct(">II")

# A length beyond this is damage, not data: the largest record is a chunk of a manifest, well below 16 MiB.
MAX_RECORD_BYTES: Final = 64 * 1024 * 1024


def frame(payload: bytes | bytearray) -> bytes:
    """Return the bytes of one record."""
    return b"".join((_HEAD.pack(len(payload), zlib.crc32(payload)), payload))


def parse(data: bytes) -> tuple[list[bytes], int]:
    """Return the whole records at the start of `data`, and where the first torn or damaged one begins.

    Args:
        data: A log's content, with its magic.
    """
    if not data.startswith(MAGIC):
        return [], 0
    records = []
    at = len(MAGIC)
    while at + _HEAD.size <= len(data):
        length, crc = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        payload = data[at + _HEAD.size : end]
        if length > MAX_RECORD_BYTES or end > len(data) or zlib.crc32(payload) != crc:
            break
        records.append(payload)
        at = end
    return records, at


class RecordLog:
    """One open log. Not safe for use from several threads or processes; callers hold a lock.

    Args:
        path: The file; its folder exists. It is made with mode 0600.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._size = 0

    def open(self) -> list[bytes]:
        """Open or make the file, cut off a torn tail, and return its records.

        Raises:
            OSError: The file cannot be read or written.
        """
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(self._fd, "rb", closefd=False) as file:
            records, self._size = parse(file.read())
        if not self._size:
            self._size = len(MAGIC)
            os.ftruncate(self._fd, 0)
            _write_all(self._fd, MAGIC, 0)
        else:
            os.ftruncate(self._fd, self._size)
        return records

    def append(self, payload: bytes | bytearray) -> None:
        """Add one record.

        Raises:
            OSError: It could not be written whole; the log is as it was before.
        """
        raw = frame(payload)
        try:
            _write_all(self._fd, raw, self._size)
        except OSError:
            # The tail of a failed write would be cut off at the next opening anyway; do it now so that a later,
            # smaller record does not land behind it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(raw)

    def rewrite(self, payloads: Iterable[bytes | bytearray]) -> None:
        """Replace the whole content, atomically.

        Raises:
            OSError: The new file could not be written; the old one is untouched.
        """
        fresh = self.path + ".new"
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = _write_all(fd, MAGIC, 0)
            for payload in payloads:
                size += _write_all(fd, frame(payload), size)
            os.rename(fresh, self.path)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size = fd, size

    @property
    def size_bytes(self) -> int:
        """The length of the file."""
        return self._size

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(fd: int, data: bytes, at: int) -> int:
    view = memoryview(data)
    done = 0
    while done < len(data):
        done += os.pwrite(fd, view[done:], at + done)
    return done
