"""zstd with a bound on both sides: the one home of the library.

`compress_if_smaller` and `Compressor` serve whoever sends, `decompress` whoever receives: it takes the size that
the sender declared and never makes more than that, so that a kilobyte cannot become a gigabyte. The library is
the standard library's `compression.zstd` from Python 3.14 on, and its backport before.
"""

from __future__ import annotations

import sys
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd as library
else:
    from backports import zstd as library

__all__ = ["Compressor", "ZstdError", "decompress", "library"]

# A sample tells whether data is worth compressing: 8 KiB cost about 30 us, a whole incompressible pack 1 ms.
_SAMPLE_BYTES: Final = 8 * 1024
_SAMPLE_WORTH_PERCENT: Final = 90

# Smaller data is left as it is: it fits one network packet, and each side saves about 20 us of setting up.
_SMALL_BYTES: Final = 512


class ZstdError(ValueError):
    """Data that is not what its sender declared it to be."""


class Compressor:
    """Makes whole zstd frames that say how long their content is, reusing one context for all of them.

    A fresh context costs 20 us, five times what it takes to compress a small file. Not for use from several threads.

    Args:
        level: zstd's level; 1 is the fastest that is worth it, 3 the library's default.
    """

    __slots__ = ("_compressor",)

    def __init__(self, level: int) -> None:
        self._compressor = library.ZstdCompressor(level=level)

    def compress(self, data: bytes) -> bytes:
        """Return one zstd frame that holds `data`."""
        # the size lets the receiver get by with a window as small as the content
        self._compressor.set_pledged_input_size(len(data))
        return self._compressor.compress(data, self._compressor.FLUSH_FRAME)

    def compress_if_smaller(self, data: bytes) -> bytes | None:
        """Return one zstd frame, or None where sending the data as it is costs about the same.

        Adapts to the data: what is small, or whose first 8 KiB hardly shrink, is not compressed at all.
        """
        if len(data) < _SMALL_BYTES:
            return None
        if len(data) > 4 * _SAMPLE_BYTES:
            sample = self.compress(data[:_SAMPLE_BYTES])
            if len(sample) * 100 > _SAMPLE_BYTES * _SAMPLE_WORTH_PERCENT:
                return None
        packed = self.compress(data)
        return packed if len(packed) < len(data) else None


def decompress(data: bytes, size: int) -> bytes:
    """Return the content of exactly one zstd frame.

    Costs memory in proportion to `size`, whatever the frame holds or claims: output stops one byte above it, and
    a frame that asks for a larger window is refused.

    Args:
        data: The frame.
        size: How many bytes the sender declared; the caller has bounded it.

    Raises:
        ZstdError: It is no zstd frame, is cut short, is followed by something, or holds another number of bytes.
    """
    # 10 is the smallest window that zstd knows; `Compressor` declares the size, so the window never exceeds it
    window_log = max(10, (max(size, 1) - 1).bit_length())
    decompressor = library.ZstdDecompressor(options={library.DecompressionParameter.window_log_max: window_log})
    try:
        content = decompressor.decompress(data, size + 1)
    except library.ZstdError as error:
        raise ZstdError(f"not valid zstd data: {error}") from error
    if len(content) != size:
        more = "more" if len(content) > size else "less"
        raise ZstdError(f"{more} than the declared {size} bytes")
    if not decompressor.eof:
        raise ZstdError("zstd data is cut short")
    if decompressor.unused_data:
        raise ZstdError(f"{len(decompressor.unused_data)} bytes behind the zstd data")
    return content
