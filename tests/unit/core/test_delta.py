"""Deltas: what was made is applied, and nothing else is."""

import hashlib
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import delta, zstd


def source(size: int, seed: int = 1) -> bytes:
    """Return text that does not repeat itself but looks like a program."""
    chosen = random.Random(seed)
    words = [bytes(chosen.choices(b"abcdefgh_()", k=chosen.randint(2, 9))) for _ in range(3000)]
    out = bytearray()
    while len(out) < size:
        out += chosen.choice(words) + b" "
    return bytes(out[:size])


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_a_delta_between_any_two_contents_gives_the_second(base: bytes, new: bytes) -> None:
    assert delta.apply(base, delta.make(base, new), len(new)) == new


def test_two_edits_in_a_large_file_take_a_few_hundred_bytes() -> None:
    base = source(948_000)
    new = b"import os\n" + base[:500_000] + b"# edited by a developer" + base[500_020:]
    made = delta.make(base, new)
    assert len(made) < 500
    assert delta.apply(base, made, len(new)) == new


def test_a_move_over_the_whole_window_is_found() -> None:
    base = os.urandom(8 << 20)
    new = base[6 << 20 :] + base[: 2 << 20]
    made = delta.make(base, new)
    assert len(made) < 10_000
    assert delta.apply(base, made, len(new)) == new


def test_the_content_comes_in_small_pieces() -> None:
    base = source(1 << 20)
    new = base + b"more"
    pieces = list(delta.pieces(base, delta.make(base, new), len(new)))
    assert b"".join(pieces) == new
    assert max(map(len, pieces)) <= 128 * 1024


def test_another_base_never_gives_the_new_content() -> None:
    base, new = source(100_000), source(100_000) + b"x"
    made = delta.make(base, new)
    try:
        result = delta.apply(source(100_000, seed=2), made, len(new))
    except delta.DeltaError:
        return
    assert hashlib.sha256(result).digest() != hashlib.sha256(new).digest()


@pytest.mark.parametrize("size", [0, 99, 101, 1 << 30])
def test_another_size_than_declared_is_refused(size: int) -> None:
    made = delta.make(b"a" * 90, b"a" * 100)
    with pytest.raises(delta.DeltaError):
        delta.apply(b"a" * 90, made, size)


def test_a_bomb_stops_at_its_declared_size() -> None:
    bomb = delta.make(b"", bytes(1 << 26))
    made = 0
    with pytest.raises(delta.DeltaError):
        for piece in delta.pieces(b"", bomb, 1000):
            made += len(piece)
    assert made <= 1000


def test_a_window_above_16_mib_is_refused() -> None:
    options: dict[int, int] = {
        zstd.library.CompressionParameter.window_log: 27,
        zstd.library.CompressionParameter.content_size_flag: 0,
    }
    huge = zstd.library.ZstdCompressor(options=options)
    made = huge.compress(b"x" * 1000) + huge.flush()
    with pytest.raises(delta.DeltaError, match="damaged"):
        delta.apply(b"", made, 1000)


@pytest.mark.parametrize("raw", [b"", b"garbage", b"\x28\xb5\x2f\xfd\x00"])
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(delta.DeltaError):
        delta.apply(b"base", raw, 10)


def test_cut_and_prolonged_deltas_are_refused() -> None:
    base = source(10_000)
    made = delta.make(base, base + b"x")
    for broken in (made[:-1], made[:5], made + b"x", made + made):
        with pytest.raises(delta.DeltaError):
            delta.apply(base, broken, len(base) + 1)
