"""Lines from bytes, and the bounded queue."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.proc import lines


def split(raw: bytes, max_bytes: int = 100) -> list[str]:
    splitter = lines.Splitter(max_bytes)
    return splitter.feed(raw) + splitter.finish()


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\r\n\r\n", ["", ""]),
        (b"10%\r20%\r100%\n", ["100%"]),
        (b"10%\r20%\r\ndone\n", ["20%", "done"]),
        (b"10%\r20%\r", ["20%"]),
        (b"\xff\xfea\n", ["\ufffd\ufffda"]),
        ("grün\n".encode(), ["grün"]),
        (b"x" * 250 + b"\n", ["x" * 100, "x" * 100, "x" * 50]),
        (b"x" * 100 + b"\n", ["x" * 100]),
    ],
)
def test_bytes_become_lines(raw: bytes, texts: list[str]) -> None:
    assert split(raw) == texts


def test_a_long_line_is_cut_between_characters() -> None:
    assert split("a€€€".encode(), 5) == ["a€", "€", "€"]


def test_a_line_is_given_up_as_soon_as_it_ends() -> None:
    splitter = lines.Splitter()
    assert splitter.feed(b"one\ntw") == ["one"]
    assert splitter.feed(b"o\n") == ["two"]
    assert splitter.finish() == []


def test_an_endless_line_is_not_kept() -> None:
    splitter = lines.Splitter(100)
    assert [len(text) for text in splitter.feed(b"x" * 1000)] == [100] * 9
    assert splitter.finish() == ["x" * 100]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_it_does_not_matter_in_which_pieces_bytes_arrive(raw: bytes, cuts: list[int]) -> None:
    raw = raw.replace(b"x", b"\n").replace(b"y", b"\r")
    splitter = lines.Splitter(1000)
    texts: list[str] = []
    borders = [0, *sorted(cuts), len(raw)]
    for start, end in itertools.pairwise(borders):
        texts += splitter.feed(raw[start:end])
    assert texts + splitter.finish() == split(raw, 1000)


@given(st.binary(max_size=300).filter(lambda raw: b"\r" not in raw))
def test_nothing_is_lost_by_cutting(raw: bytes) -> None:
    cut = split(raw, 8)
    assert all(len(text) <= 8 for text in cut)
    valid = raw.decode("utf-8", "ignore")
    assert split(valid.encode()) == valid.removesuffix("\n").split("\n") or not valid
    assert "".join(split(valid.encode(), 8)) == valid.replace("\n", "")


def line(text: str) -> lines.Line:
    return lines.Line("app", lines.Stream.STDOUT, text)


async def test_a_full_queue_drops_the_oldest_and_counts_them() -> None:
    queue = lines.LineQueue(max_lines=3)
    assert queue.put(map(line, "abcde")) == 2
    assert await queue.take() == lines.Taken((line("c"), line("d"), line("e")), 2)
    queue.put([line("f")])
    assert await queue.take() == lines.Taken((line("f"),), 0)


async def test_a_queue_is_bounded_in_characters_too() -> None:
    queue = lines.LineQueue(max_chars=10)
    assert queue.put([line("x" * 6), line("y" * 6)]) == 1
    assert queue.put([line("z" * 50)]) == 1
    assert await queue.take() == lines.Taken((line("z" * 50),), 2)


async def test_take_waits_for_lines() -> None:
    queue = lines.LineQueue()
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(queue.take())
        await asyncio.sleep(0)
        assert not taking.done()
        queue.note("hook", "hello")
    assert taking.result() == lines.Taken((lines.Line("hook", lines.Stream.NOTE, "hello"),))


async def test_a_closed_queue_gives_up_what_it_has_and_then_ends() -> None:
    queue = lines.LineQueue()
    queue.put([line("last")])
    queue.close()
    assert await queue.take() == lines.Taken((line("last"),))
    assert await queue.take() is None
