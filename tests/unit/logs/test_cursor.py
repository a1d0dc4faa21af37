"""Every line exactly once, in the order of the file, however often the reading is cut."""

from __future__ import annotations

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.logs import cursor, lines
from tests.unit.logs import kubelet

S = 1_000_000_000
BASE = 1_750_000_000 * S


class Reader:
    """Reads a log by a cursor, in readings that end somewhere."""

    def __init__(self, log: kubelet.Log, **options: int) -> None:
        self.log = log
        self.cursor = cursor.Cursor(**options)
        self.got: list[bytes] = []
        self.notes = 0

    def read(self, cut: int | None = None, *, fresh: bool = False, tail: int | None = None) -> None:
        since = ""
        if fresh:
            self.cursor.restart()
        else:
            since = self.cursor.resume()
        splitter = lines.Splitter()
        raw = self.log.read(since, tail)
        whole = splitter.feed(raw if cut is None else raw[: cut % (len(raw) + 1)])
        taken = self.cursor.take(whole)
        self.notes += self.cursor.lost
        self.got += [line.split(b" ", 1)[1] for line in taken]


# Mostly forward, sometimes not at all, sometimes back: what clocks and two streams do.
STEPS = st.sampled_from([0, 0, 1, 1000, S // 3, S, S, 5 * S, 3600 * S, -1000, -S, -7 * S])
TEXTS = st.sampled_from([b"", b"a", b"a", b"b", b"2025-01-01T00:00:00Z x"])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """Lines that are written, and readings that are cut, in any order."""
    write = st.tuples(st.just("write"), STEPS, TEXTS)
    read = st.tuples(st.just("read"), st.integers(0, 10_000), st.just(b""))
    return draw(st.lists(st.one_of(write, write, read), max_size=60))


@settings(deadline=None)
@given(histories())
def test_every_line_comes_once_and_in_order(history: list[tuple[str, int, bytes]]) -> None:
    log = kubelet.Log()
    reader = Reader(log)
    at = highest = BASE
    for what, number, text in history:
        if what == "write":
            # By how much stamps may be out of order while nobody reads; while the log is read there is no limit.
            at = max(at + number, highest - (cursor.OVERLAP_S - 1) * S)
            highest = max(at, highest)
            log.write(at, text)
        else:
            reader.read(number)
    reader.read()
    assert reader.got == [text for _, text in log.lines]
    assert reader.notes == 0


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, TEXTS), max_size=80), st.integers(1, 7))
def test_a_clock_that_jumps_while_the_log_is_read_hides_nothing(written: list[tuple[int, bytes]], every: int) -> None:
    log = kubelet.Log()
    reader = Reader(log)
    at = BASE
    for number, (step, text) in enumerate(written):
        at += step
        log.write(at, text)
        follow(reader, log.lines[-1])
        if number % every == 0:
            reader.read()
    reader.read()
    assert reader.got == [text for _, text in log.lines]


def follow(reader: Reader, line: tuple[int, bytes]) -> None:
    """Bring a line on a reading that has not ended."""
    whole = [kubelet.stamp(line[0]) + b" " + line[1]]
    reader.got += [each.split(b" ", 1)[1] for each in reader.cursor.take(whole)]


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, TEXTS), min_size=1, max_size=40), st.integers(1, 10), st.integers(0, 500))
def test_a_reading_that_began_at_the_end_brings_nothing_older(
    written: list[tuple[int, bytes]], tail: int, cut: int
) -> None:
    log = kubelet.Log()
    at = BASE
    for number, (step, text) in enumerate(written):
        at += abs(step)
        # Two equal lines with one stamp, of which one was asked for, cannot be told apart.
        log.write(at, text + b"%d" % number)
    begun = Reader(log)
    begun.read(tail=tail)
    expected = [text for _, text in log.lines][-tail:]
    assert begun.got == expected
    log.write(at, b"more")
    begun.read(cut)
    log.write(at + 1, b"and more")
    begun.read()
    assert begun.got == [*expected, b"more", b"and more"]


@settings(deadline=None)
@given(st.lists(st.tuples(STEPS, TEXTS), min_size=20, max_size=80), st.integers(3, 9))
def test_with_little_memory_nothing_comes_twice_either(written: list[tuple[int, bytes]], every: int) -> None:
    log = kubelet.Log()
    reader = Reader(log, capacity=4)
    at = BASE
    for number, (step, text) in enumerate(written):
        at += abs(step) + 1
        log.write(at, text + b"%d" % number)
        if number % every == 0:
            reader.read()
    reader.read()
    assert reader.got == [text for _, text in log.lines]


def test_a_rotation_between_two_readings_is_told() -> None:
    log = kubelet.Log()
    reader = Reader(log)
    for number in range(5):
        log.write(BASE + number * S, b"%d" % number)
    reader.read()
    for number in range(5, 8):
        log.write(BASE + number * S, b"%d" % number)
    log.rotate(2)
    reader.read()
    assert reader.got == [b"0", b"1", b"2", b"3", b"4", b"6", b"7"]
    assert reader.notes == 1


def test_a_rotation_after_the_last_line_is_told_only_where_something_may_be_missing() -> None:
    log = kubelet.Log()
    reader = Reader(log)
    for number in range(5):
        log.write(BASE + number * S, b"%d" % number)
    reader.read()
    log.rotate(1)
    log.write(BASE + 6 * S, b"6")
    reader.read()
    assert reader.got[-2:] == [b"4", b"6"] and reader.notes == 0


def test_the_next_run_is_read_from_its_beginning_and_what_was_read_of_it_is_known() -> None:
    old, new = kubelet.Log(), kubelet.Log()
    reader = Reader(old)
    old.write(BASE, b"old")
    reader.read()
    new.write(BASE + 1, b"new")
    reader.log = new
    reader.read()  # Nobody knows yet that this is another run.
    assert reader.got == [b"old", b"new"]
    new.write(BASE + 2, b"newer")
    reader.log = old
    reader.read()
    reader.log = new
    reader.read(fresh=True)
    assert reader.got == [b"old", b"new", b"newer"]


def test_the_rest_of_a_line_that_was_stored_in_parts_is_no_line() -> None:
    made = cursor.Cursor()
    at = BASE + S
    whole = [kubelet.stamp(at + number) + b" line %d" % number for number in range(3)]
    assert made.take(whole) == whole
    since = made.resume()
    boundary = int(datetime.datetime.fromisoformat(since).timestamp()) * S
    torn = [kubelet.stamp(boundary) + b" rest of a part"]
    assert made.take([*torn, *whole]) == []
    assert not made.lost


def test_lines_without_a_stamp_pass() -> None:
    made = cursor.Cursor()
    assert made.take([b"no stamp", b""]) == [b"no stamp", b""]
    assert made.is_fresh and made.resume() == ""


def test_a_stamp_of_no_calendar_is_no_stamp() -> None:
    made = cursor.Cursor()
    assert made.take([b"2025-13-45T99:99:99Z x"]) == [b"2025-13-45T99:99:99Z x"]
    assert made.resume() == ""


def test_the_offset_of_the_node_counts() -> None:
    made = cursor.Cursor(overlap_s=0)
    made.take([b"2025-06-01T12:00:00.5+02:00 x"])
    assert made.resume() == "2025-06-01T10:00:00Z"


def test_what_is_remembered_is_bounded() -> None:
    made = cursor.Cursor(capacity=1000)
    for second in range(100):
        made.take([kubelet.stamp(BASE + second * S + number) + b" x" for number in range(100)])
    assert sum(map(len, made._seen.values())) <= 1100
