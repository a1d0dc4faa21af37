"""Reading a pipe into a queue."""

import asyncio
import os

from devloop.proc import lines, pipes
from tests.unit.proc.commands import PATIENCE_S, Reader


def pipe_into(output: lines.LineQueue) -> tuple[pipes.Pipe, int]:
    reading, writing = os.pipe()
    return pipes.Pipe(reading, "app", lines.Stream.STDERR, output, None), writing


async def test_lines_arrive_as_they_are_written() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    pipe, writing = pipe_into(output)
    os.write(writing, b"one\ntw")
    assert await reader.next() == lines.Line("app", lines.Stream.STDERR, "one")
    os.write(writing, b"o\n")
    assert await reader.text() == "two"
    os.close(writing)
    pipe.close()
    pipe.close()


async def test_the_end_of_the_stream_gives_up_the_last_line() -> None:
    output = lines.LineQueue()
    pipe, writing = pipe_into(output)
    os.write(writing, b"last")
    os.close(writing)
    assert await Reader(output).text() == "last"
    pipe.close()


async def test_close_reads_what_is_there_though_the_writer_lives() -> None:
    output = lines.LineQueue()
    pipe, writing = pipe_into(output)
    os.write(writing, b"one\nlast")
    pipe.close()
    assert await Reader(output).rest() == ["one", "last"]
    os.close(writing)


async def test_a_writer_that_is_held_up_goes_on_after_a_moment() -> None:
    output = lines.LineQueue(max_lines=1)
    reader = Reader(output)
    pipe, writing = pipe_into(output)
    os.write(writing, b"one\ntwo\n")
    assert await reader.text() == "two"
    assert reader.dropped == 1
    os.write(writing, b"three\n")
    assert await reader.text() == "three"
    os.write(writing, b"four\nfive\n")
    assert await reader.text() == "five"
    pipe.close()
    os.close(writing)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.sleep(pipes._HOLD_UP_S * 2)
