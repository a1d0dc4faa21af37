"""Bounded compression."""

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import zstd


@given(st.binary(max_size=4096), st.integers(1, 50))
def test_what_was_compressed_comes_back(piece: bytes, times: int) -> None:
    raw = piece * times
    compressor = zstd.Compressor(1)
    # twice, since the context is used again
    for _ in range(2):
        assert zstd.decompress(compressor.compress(raw), len(raw)) == raw


def test_small_data_and_noise_are_left_as_they_are() -> None:
    compressor = zstd.Compressor(1)
    assert compressor.compress_if_smaller(b"a" * 511) is None
    assert compressor.compress_if_smaller(os.urandom(20_000)) is None
    assert compressor.compress_if_smaller(os.urandom(200_000)) is None
    assert compressor.compress_if_smaller(os.urandom(8192) + bytes(200_000)) is None


def test_text_is_compressed() -> None:
    raw = b"the quick brown fox\n" * 10_000
    packed = zstd.Compressor(3).compress_if_smaller(raw)
    assert packed is not None
    assert len(packed) < 1000
    assert zstd.decompress(packed, len(raw)) == raw


@pytest.mark.parametrize("declared", [0, 1, 9, 11, 1 << 20])
def test_another_size_than_declared_is_refused(declared: int) -> None:
    with pytest.raises(zstd.ZstdError, match=r"declared|too much memory"):
        zstd.decompress(zstd.Compressor(1).compress(b"x" * 10), declared)


def test_a_bomb_costs_nothing() -> None:
    bomb = zstd.library.compress(bytes(1 << 27))
    assert len(bomb) < 20_000
    tracemalloc.start()
    try:
        for declared in (10, 240 * 1024):
            with pytest.raises(zstd.ZstdError):
                zstd.decompress(bomb, declared)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_with_a_small_window_stops_at_its_declared_size() -> None:
    options: dict[int, int] = {
        zstd.library.CompressionParameter.window_log: 10,
        zstd.library.CompressionParameter.content_size_flag: 0,
    }
    bomb = zstd.library.compress(bytes(1 << 22), options=options)
    with pytest.raises(zstd.ZstdError, match="more than the declared 1000 bytes"):
        zstd.decompress(bomb, 1000)


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_cut_data_is_refused(cut: int) -> None:
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(zstd.Compressor(1).compress(b"hello " * 100)[:-cut], 600)


def test_a_frame_without_its_end_is_refused() -> None:
    whole = zstd.library.compress(b"hello " * 100, options={zstd.library.CompressionParameter.checksum_flag: 1})
    with pytest.raises(zstd.ZstdError, match="cut short"):
        zstd.decompress(whole[:-1], 600)


@pytest.mark.parametrize("raw", [b"", b"garbage", b"\x28\xb5\x2f\xfd" + bytes(20)])
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(raw, 10)


def test_something_behind_the_frame_is_refused() -> None:
    one = zstd.Compressor(1).compress(b"hello")
    with pytest.raises(zstd.ZstdError, match="behind"):
        zstd.decompress(one + one, 5)
