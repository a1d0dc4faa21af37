"""A mapping from paths to values that persists every change at the cost of that change.

It is a record log of updates, replayed at opening and rewritten when most of it is history. It keeps the laptop's
stat cache and baselines, and the agent's manifest. A damaged or foreign file is an empty table, never an error:
everything in a table can be found again on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from devloop.core import paths
from devloop.fs import recordlog

V = TypeVar("V")

# Entries per record in a rewritten table: some 100 KiB each, so that writing one never takes long.
_CHUNK: Final = 1000

# A log is rewritten when it holds more than twice its live entries, and more than this many dead ones.
_DEAD_FLOOR: Final = 4096


class Table(Generic[V]):
    """A persistent `dict[str, V]`, where `V` is a msgspec type. Not safe for use from several threads.

    Args:
        path: The file.
        value_type: The type of the values.
    """

    def __init__(self, path: str, value_type: type[V]) -> None:
        self._log = recordlog.RecordLog(path)
        row: Any = list[tuple[bytes, value_type | None]]  # type: ignore[valid-type]
        self._decoder: msgspec.msgpack.Decoder[list[tuple[bytes, V | None]]] = msgspec.msgpack.Decoder(row)
        self._encoder = msgspec.msgpack.Encoder()
        self._logged = 0
        self.rows: dict[str, V] = {}

    def open(self) -> dict[str, V]:
        """Read the file and return its rows: the live mapping, for reading only.

        Raises:
            OSError: The file cannot be opened.
        """
        rows: dict[str, V] = {}
        logged = 0
        for record in self._log.open():
            try:
                updates = self._decoder.decode(record)
            except msgspec.DecodeError:
                # Written by another version: start again.
                self._log.rewrite(())
                rows, logged = {}, 0
                break
            logged += len(updates)
            for raw, value in updates:
                key = raw.decode("utf-8", "surrogateescape")
                if value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = value
        self.rows, self._logged = rows, logged
        return rows

    def update(self, changes: Mapping[str, V | None]) -> None:
        """Write and apply changes, all or none of them; None removes a row.

        Raises:
            OSError: The disk refused; neither file nor rows are changed.
        """
        if not changes:
            return
        items = list(changes.items())
        for at in range(0, len(items), _CHUNK * 10):
            part = items[at : at + _CHUNK * 10]
            self._log.append(self._encode(part))
            self._logged += len(part)
            for key, value in part:
                if value is None:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = value
        if self._logged > 2 * len(self.rows) + _DEAD_FLOOR:
            self.compact()

    def compact(self) -> None:
        """Rewrite the file so that it holds the live rows only.

        Raises:
            OSError: The disk refused; the old file stays in use.
        """
        self._log.rewrite(self._chunks())
        self._logged = len(self.rows)

    def clear(self) -> None:
        """Drop every row."""
        self._log.rewrite(())
        self.rows.clear()
        self._logged = 0

    def close(self) -> None:
        """Close the file."""
        self._log.close()

    def _chunks(self) -> Iterator[bytearray]:
        items: list[tuple[str, V | None]] = list(self.rows.items())
        for at in range(0, len(items), _CHUNK):
            yield self._encode(items[at : at + _CHUNK])

    def _encode(self, items: list[tuple[str, V | None]]) -> bytearray:
        # A list of msgpack, made row by row: as one of Python's it would be in memory twice more, in small pieces that
        # leave holes. Its head is that of an array 32: what follows is as many values.
        raw = bytearray(b"\xdd" + len(items).to_bytes(4, "big"))
        for key, value in items:
            self._encoder.encode_into((paths.to_wire(key), value), raw, -1)
        return raw
