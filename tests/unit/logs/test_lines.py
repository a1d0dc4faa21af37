"""Lines out of bytes, cut anywhere; long ones in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devloop.logs import lines

STAMP = b"2026-05-01T10:00:00.000000001Z "
MORE = b"2026-05-01T10:00:00.000000002Z "


def cut(text: bytes, at: list[int]) -> list[bytes]:
    places = sorted({each % (len(text) + 1) for each in at})
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


def fed(*pieces: bytes, max_bytes: int = lines.MAX_LINE_BYTES) -> list[bytes]:
    splitter = lines.Splitter(max_bytes)
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.finish()


def joined(found: list[bytes]) -> list[bytes]:
    """Put the pieces of long lines together again."""
    whole: list[bytes] = []
    goes_on = False
    for line in found:
        text = line.removesuffix(b"\n")
        if goes_on:
            assert text.startswith(STAMP)
            whole[-1] += text.removeprefix(STAMP)
        else:
            whole.append(text)
        goes_on = lines.goes_on(line)
    assert not goes_on
    return whole


@given(
    st.lists(st.binary(max_size=20).map(lambda each: each.replace(b"\n", b"")), max_size=20), st.lists(st.integers())
)
def test_lines_are_found_however_the_bytes_come(texts: list[bytes], at: list[int]) -> None:
    whole = [STAMP + text for text in texts]
    assert fed(*cut(b"".join(line + b"\n" for line in whole), at)) == whole


@given(st.integers(0, 300_000), st.lists(st.integers(), max_size=6), st.booleans())
def test_a_long_line_is_cut_at_the_same_places_however_it_comes(size: int, at: list[int], stamped_parts: bool) -> None:
    text = bytes(range(65, 91)) * (size // 26 + 1)
    parts = [text[begin : begin + lines.PART_BYTES] for begin in range(0, size, lines.PART_BYTES)] or [b""]
    sent = STAMP + (MORE if stamped_parts else b"").join(parts) + b"\n" + STAMP + b"next\n"
    found = fed(*cut(sent, at))
    assert found == fed(sent)
    assert joined(found) == [STAMP + b"".join(parts), STAMP + b"next"]
    assert max(map(len, found)) <= lines.MAX_LINE_BYTES + len(STAMP) + 1


def test_a_line_without_end_does_not_grow() -> None:
    splitter = lines.Splitter()
    found = splitter.feed(STAMP)
    for _ in range(100):
        found += splitter.feed(b"x" * 10_000)
        assert len(splitter._rest) < 2 * lines.MAX_LINE_BYTES
    assert len(found) == 1_000_000 // lines.MAX_LINE_BYTES and all(map(lines.goes_on, found))
    assert joined(found + splitter.finish()) == [STAMP + b"x" * 1_000_000]


def test_a_stamp_in_a_text_stays_where_no_part_ends() -> None:
    text = STAMP + b"x" * 20_000 + MORE + b"y" * 20_000
    assert joined(fed(text + b"\n")) == [text]


def test_a_long_line_without_a_stamp_is_cut_as_well() -> None:
    found = fed(b"x" * 200_000 + b"\n")
    assert b"".join(each.removesuffix(b"\n") for each in found) == b"x" * 200_000


def test_what_has_no_end_is_kept_until_it_is_known_to_be_whole() -> None:
    splitter = lines.Splitter()
    assert splitter.feed(b"a\nb") == [b"a"]
    assert splitter.finish() == [b"b"]
    assert splitter.finish() == []
