"""What the laptop's files looked like when they were last hashed, so that an unchanged file is not read again.

A row is a file's stamp (size, mtime, ctime, inode, mode) and the entry that was found under it. Stamps are compared
for equality, never by order, so a clock or an mtime that goes backwards is simply a different stamp.

One stamp does not always mean one content: a file that is written twice within one tick of the file system's clock,
to the same size, has the same stamp both times. git calls such files racily clean. A row is therefore *proven*, and
a hit, only if its file was read after that tick had passed on the file system's own clock (see `settles_at_ns` and
`Ticks`). An unproven file is read again at every look until it is proven.

Rows come from `devloop.fs.scan` and are kept by `devloop.fs.table`; unproven rows are not persisted. Nothing in here
reads the tree.
"""

from __future__ import annotations

import os
import struct
from typing import Final, NamedTuple

import msgspec

from devloop.core.entry import Entry
from devloop.fs import table

_STAMP: Final = struct.Struct("<qqqQI")
_MAX: Final = (1 << 63) - 1

# Linux stamps files from a clock that ticks every 1-10 ms (CONFIG_HZ 1000-100); the rest is margin.
FINE_TICK_NS: Final = 50_000_000
# FAT counts in 2 s, HFS+, sshfs and NFS version 2 in 1 s: told by a time that is a whole second.
COARSE_TICK_NS: Final = 2_000_000_000
_SECOND_NS: Final = 1_000_000_000


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A proven file.

    Attributes:
        stamp: As `stamp`.
        entry: What the file was when it had that stamp.
    """

    stamp: bytes
    entry: Entry


class Unproven(NamedTuple):
    """A file whose stamp does not yet vouch for its content.

    Attributes:
        stamp: Its stamp when it was read.
        seen_ns: The monotonic clock when that stamp was first seen.
    """

    stamp: bytes
    seen_ns: int


def stamp(status: os.stat_result) -> bytes:
    """Return what is compared of a file's status, packed: half the memory of a tuple."""
    mtime_ns, ctime_ns = status.st_mtime_ns, status.st_ctime_ns
    try:
        return _STAMP.pack(status.st_size, mtime_ns, ctime_ns, status.st_ino, status.st_mode)
    except struct.error:
        # A time beyond the year 2262, which anyone may give a file.
        return _STAMP.pack(status.st_size, mtime_ns & _MAX, ctime_ns & _MAX, status.st_ino, status.st_mode)


def settles_at_ns(of: bytes) -> int:
    """Return the file system's time from which on no write can leave this stamp as it is."""
    newest = max(_STAMP.unpack(of)[1:3])
    return int(newest) + tick_ns(of)


def tick_ns(of: bytes) -> int:
    """Return how long the file system's clock may have stood still around this stamp."""
    newest = max(_STAMP.unpack(of)[1:3])
    return COARSE_TICK_NS if newest % _SECOND_NS == 0 else FINE_TICK_NS


class Ticks:
    """What is known of a file system's clock, without asking this machine's: it had reached every ctime seen.

    A ctime in this machine's future is no evidence: it stems from a clock that has been set back, and would make
    everything look old.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    def see(self, device: int, ctime_ns: int, now_ns: int) -> None:
        """Take note of one ctime.

        Args:
            device: The file's `st_dev`.
            ctime_ns: Its `st_ctime_ns`.
            now_ns: This machine's wall clock.
        """
        if self._newest.get(device, 0) < ctime_ns <= now_ns:
            self._newest[device] = ctime_ns

    def reached_ns(self, device: int) -> int:
        """Return a time that the device's clock has certainly reached; 0 where nothing is known."""
        return self._newest.get(device, 0)


class StatCache:
    """The rows of one sync. Not safe for use from several threads.

    Args:
        path: The table's file, whose folder exists; None keeps the rows in memory only.
    """

    def __init__(self, path: str | None = None) -> None:
        self._table = table.Table(path, Row) if path is not None else None
        self._rows: dict[str, Row] = {}
        self._pending: dict[str, Row | None] = {}
        self._unproven: dict[str, Unproven] = {}

    def open(self) -> None:
        """Read what an earlier process has proven.

        Raises:
            OSError: The file cannot be opened.
        """
        if self._table is not None:
            self._rows = self._table.open()

    def __len__(self) -> int:
        return len(self._rows) + len(self._pending)

    def hit(self, path: str, of: bytes) -> Entry | None:
        """Return the entry that this stamp proves, or None if the file must be read."""
        row = self._rows.get(path)
        if self._pending:
            row = self._pending.get(path, row)
        return row.entry if row is not None and row.stamp == of else None

    def prove(self, path: str, of: bytes, entry: Entry) -> None:
        """Keep a row that vouches for its file from now on."""
        self._unproven.pop(path, None)
        self._pending[path] = Row(of, entry)

    def doubt(self, path: str, of: bytes, seen_ns: int) -> None:
        """Remember since when an unproven stamp is known."""
        self._unproven[path] = Unproven(of, seen_ns)

    def first_seen_ns(self, path: str, of: bytes, now_ns: int) -> int:
        """Return the monotonic time at which an unproven file was first seen with this stamp; else `now_ns`."""
        known = self._unproven.get(path)
        return known.seen_ns if known is not None and known.stamp == of else now_ns

    def drop(self, path: str) -> None:
        """Forget a path."""
        self._unproven.pop(path, None)
        if path in self._rows:
            self._pending[path] = None
        else:
            self._pending.pop(path, None)

    @property
    def unproven(self) -> frozenset[str]:
        """The files that the next look will read again whatever their stamp."""
        return frozenset(self._unproven)

    def flush(self) -> None:
        """Persist what changed; its cost is that of the changes. To be called when nobody waits for it.

        Raises:
            OSError: The disk refused; the changes stay in memory and are tried again next time.
        """
        if self._table is None:
            for path, row in self._pending.items():
                if row is None:
                    self._rows.pop(path, None)
                else:
                    self._rows[path] = row
        else:
            self._table.update(self._pending)
        self._pending.clear()

    def close(self) -> None:
        """Close the file without writing; call `flush` before."""
        if self._table is not None:
            self._table.close()
