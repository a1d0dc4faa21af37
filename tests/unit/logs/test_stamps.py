"""Stamps of lines, and the moments that people write."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.logs import stamps

NOW_S = datetime.datetime(2026, 5, 1, 12, 0, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1970-01-01T00:00:01.000000002Z x", 1_000_000_002),
        (b"1970-01-01T00:00:01.5Z x", 1_500_000_000),
        (b"1970-01-01T00:00:01Z x", 1_000_000_000),
        (b"1970-01-01T02:00:01.000000001+02:00 x", 1_000_000_001),
        (b"1970-01-01T00:00:01.000000002Z", None),
        (b"1970-13-01T00:00:01Z x", None),
        (b"not a stamp", None),
        (b"", None),
    ],
)
def test_the_moment_of_a_line(line: bytes, expected: int | None) -> None:
    assert stamps.nanoseconds(line) == expected


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999_999))
def test_a_later_moment_is_greater(second: int, fraction: int) -> None:
    moment = stamps.of_epoch(second).removesuffix("Z")
    assert stamps.nanoseconds(f"{moment}.{fraction:09d}Z ".encode()) == second * 1_000_000_000 + fraction


def test_a_line_and_its_stamp() -> None:
    assert stamps.split(b"2026-05-01T10:00:00Z a b") == (b"2026-05-01T10:00:00Z", b"a b")
    assert stamps.split(b"2026-05-01T10:00:00Z ") == (b"2026-05-01T10:00:00Z", b"")
    assert stamps.split(b"a b") == (b"", b"a b")


def test_the_longest_stamp_is_no_longer_than_said() -> None:
    found = stamps.STAMP.match(b"2026-05-01T10:00:00.123456789+02:00 x")
    assert found is not None and found.end() == stamps.LONGEST


def test_earlier_goes_over_midnight() -> None:
    assert stamps.earlier(b"2026-03-01T00:00:01", 3) == b"2026-02-28T23:59:58"
    assert stamps.utc(b"2026-03-01T00:00:01", b"+02:00") == "2026-02-28T22:00:01Z"


@pytest.mark.parametrize(
    ("text", "age_s"),
    [("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("90s", 90), ("1.5h", 5400), (" 10s ", 10), ("500ms", 0.5)],
)
def test_an_age_is_counted_back(text: str, age_s: float) -> None:
    assert stamps.parse_since(text, NOW_S) == pytest.approx(NOW_S - age_s)


@pytest.mark.parametrize("text", ["2026-05-01T10:15:00Z", "2026-05-01T12:15:00+02:00", "2026-05-01 10:15+00:00"])
def test_a_moment_with_an_offset(text: str) -> None:
    assert stamps.parse_since(text, NOW_S) == NOW_S - 105 * 60


def test_what_has_no_offset_is_of_this_machine() -> None:
    today = datetime.datetime.fromtimestamp(NOW_S).date()
    expected = datetime.datetime.combine(today, datetime.time(0, 1)).timestamp()
    assert stamps.parse_since("0:01", NOW_S) == stamps.parse_since("00:01:00", NOW_S) == expected
    assert stamps.parse_since("2026-04-30", NOW_S) == datetime.datetime(2026, 4, 30).timestamp()


@pytest.mark.parametrize("text", ["", "foo", "5", "5 m", "-5m", "25:00", "10:99", "2026-13-01", "99999999999d", "m"])
def test_nonsense_is_refused_with_what_can_be_written(text: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        stamps.parse_since(text, NOW_S)
    assert "5m" in caught.value.hint


def test_the_future_is_refused() -> None:
    with pytest.raises(errors.UsageError, match="future"):
        stamps.parse_since("2027-01-01T00:00:00Z", NOW_S)
