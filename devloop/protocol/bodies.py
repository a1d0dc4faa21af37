"""The laptop's side of batches: ops and file contents into messages that fit frames.

Small files go together in packs, compressed as one piece, since source files resemble each other; large ones go in
chunks; a changed file whose last content both sides have goes as a delta. Data that does not shrink is sent as it is.
Everything here is pure: the caller reads the files, and asks the session how much may go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from devloop.core import delta, ops, paths, zstd
from devloop.protocol import inbound, messages

MAX_PACKED_BYTES: Final = 64 * 1024
"""Files up to this size go into packs; a larger one fills frames by itself."""

MIN_DELTA_BYTES: Final = 64 * 1024
MAX_DELTA_BYTES: Final = 8 * 1024 * 1024
"""A file between these sizes may go as a delta: below, the whole file costs no more time; above, zstd's window ends."""

_PACK_OPS: Final = 2048
"""The most bodies in one pack: their numbers take 10 KiB of the frame."""

_FAST_LINK_BYTES_PER_S: Final = 200_000_000
"""Compressing has to keep up with a link that carries so much: see `level_for`."""

_SLOW_LINK_BYTES_PER_S: Final = 6_000_000

_wire: Final = msgspec.msgpack.Encoder()


class Encoder:
    """Makes the messages of batches. Holds a compressor, so it is not for use from several threads.

    Args:
        level: zstd's level, 1 to 19; 0 does not compress.
    """

    def __init__(self, level: int = 1) -> None:
        self._compressor = zstd.Compressor(level) if level else None

    def encode(self, raw: bytes) -> tuple[messages.Codec, bytes]:
        """Return data as it is to be sent: compressed where that makes it smaller."""
        packed = self._compressor.compress_if_smaller(raw) if self._compressor else None
        return (messages.Codec.RAW, raw) if packed is None else (messages.Codec.ZSTD, packed)

    def ops(self, batch: int, changes: Iterable[ops.Op]) -> Iterator[messages.Ops]:
        """Yield a batch's ops as messages; takes no more of them than the message that is being made needs."""
        rows = (messages.WireOp(int(op.action), op.root, paths.to_wire(op.path), op.entry) for op in changes)
        for listing in listings(rows):
            encoding, data = self.encode(listing)
            yield messages.Ops(batch, len(listing), encoding, data)

    def packs(
        self, batch: int, contents: Iterable[tuple[int, bytes]], limit_bytes: int = messages.MAX_DATA_BYTES
    ) -> Iterator[messages.Pack]:
        """Yield whole bodies as packs; takes no more of them than the pack that is being made needs.

        Args:
            batch: The batch.
            contents: Pairs of an op's number and its body, of 1 byte to `MAX_PACKED_BYTES`.
            limit_bytes: How much one pack may hold before it is compressed; at least one body is in each.
        """
        numbers: list[int] = []
        pieces: list[bytes] = []
        size = 0
        for op, content in contents:
            if numbers and (size + len(content) > limit_bytes or len(numbers) == _PACK_OPS):
                yield self._pack(batch, numbers, pieces)
                numbers, pieces, size = [], [], 0
            numbers.append(op)
            pieces.append(content)
            size += len(content)
        if numbers:
            yield self._pack(batch, numbers, pieces)

    def chunk(self, batch: int, op: int, offset: int, raw: bytes) -> messages.Chunk:
        """Return one piece of a large body.

        Args:
            batch: The batch.
            op: The op's number.
            offset: Where the piece begins.
            raw: The piece, of 1 byte to `messages.MAX_DATA_BYTES`; `Session.frame_bytes` says how much is good now.
        """
        encoding, data = self.encode(raw)
        return messages.Chunk(batch, op, offset, len(raw), encoding, data)

    def _pack(self, batch: int, numbers: list[int], pieces: list[bytes]) -> messages.Pack:
        raw = b"".join(pieces)
        encoding, data = self.encode(raw)
        return messages.Pack(batch, tuple(numbers), len(raw), encoding, data)


def deltas(
    batch: int, op: int, base_digest: bytes, base: bytes, new: bytes, limit_bytes: int = messages.MAX_DATA_BYTES
) -> list[messages.Delta]:
    """Return a body as the messages of a delta, or nothing where it is better sent whole.

    It is worth it for files of 64 KiB to 8 MiB, where the delta is less than half of the file and 1 MiB at most.

    Args:
        batch: The batch.
        op: The op's number.
        base_digest: sha256 of `base`.
        base: What the target has.
        new: What it is to have.
        limit_bytes: How much one message may hold.
    """
    if not (MIN_DELTA_BYTES <= len(new) <= MAX_DELTA_BYTES and len(base) <= MAX_DELTA_BYTES):
        return []
    difference = delta.make(base, new)
    if len(difference) * 2 >= len(new) or len(difference) > inbound.MAX_DELTA_BYTES:
        return []
    starts = range(0, len(difference), limit_bytes)
    return [
        messages.Delta(batch, op, base_digest, start == starts[-1], difference[start : start + limit_bytes])
        for start in starts
    ]


def level_for(rate_bytes_per_s: float) -> int:
    """Return the compression level for a link of this measured rate; 0 means unknown.

    Level 1 makes 47 MB of 130 MB of source code, at some 400 MB/s on one core. Each byte of a link through an API
    server costs four processes more than compressing does, so only on a link that would carry the bytes faster than
    they are compressed are they sent as they are. On a slow one level 3 is worth its 25 % more work, for it saves 4 %
    of the bytes.
    """
    if rate_bytes_per_s >= _FAST_LINK_BYTES_PER_S:
        return 0
    return 1 if not rate_bytes_per_s or rate_bytes_per_s > _SLOW_LINK_BYTES_PER_S else 3


def listings(rows: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    """Yield msgpack lists of the rows, each of at most `messages.MAX_DATA_BYTES`.

    A row of the longest path and link target takes under 9 KiB.
    """
    encoded: list[bytes] = []
    size = 0
    for row in rows:
        one = _wire.encode(row)
        # 5 bytes are the longest head of a list
        if encoded and size + len(one) + 5 > messages.MAX_DATA_BYTES:
            yield _listing(encoded)
            encoded, size = [], 0
        encoded.append(one)
        size += len(one)
    if encoded:
        yield _listing(encoded)


def _listing(encoded: Sequence[bytes]) -> bytes:
    # msgpack's array 32: what follows is as many values
    return b"".join((b"\xdd", len(encoded).to_bytes(4, "big"), *encoded))
