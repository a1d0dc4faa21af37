"""One stream over a link: bytes both ways, ends, resets, credit and turns."""

from __future__ import annotations

import asyncio

import pytest

from devloop.protocol import messages
from tests.unit.wire import carried

MIB = 1 << 20


async def test_bytes_and_ends_pass_both_ways() -> None:
    async with carried.linked() as (one, other):
        here, there = await carried.open_one(one, other)
        assert here.address == "there:1"
        await here.write(b"question")
        assert await there.read() == b"question"
        await here.write_eof()
        await here.write_eof()
        assert await there.read() == b""
        await there.write(memoryview(b"answer"))
        assert await here.read() == b"answer"
        await there.write_eof()
        assert await here.read() == b""
        assert len(one.streams) == len(other.streams) == 0
        here.reset()


async def test_small_pieces_are_read_together() -> None:
    async with carried.linked() as (one, other):
        here, there = await carried.open_one(one, other)
        for piece in (b"a", b"b", b"c"):
            await here.write(piece)
        await here.write_eof()
        data = b""
        while more := await there.read():
            data += more
        assert data == b"abc"
        await there.write_eof()


async def test_nothing_is_written_after_the_end() -> None:
    async with carried.linked() as (one, other):
        here, _ = await carried.open_one(one, other)
        await here.write_eof()
        with pytest.raises(ConnectionResetError, match="ended"):
            await here.write(b"x")


async def test_a_reset_is_seen_at_the_other_end_at_once() -> None:
    async with carried.linked() as (one, other):
        here, there = await carried.open_one(one, other)
        await here.write(b"never read")
        reading = carried.Started(one, here.read())
        await asyncio.sleep(0)
        there.reset("had enough")
        with pytest.raises(ConnectionResetError, match="had enough"):
            await reading.result()
        for use in (here.read(), here.write(b"x"), here.write_eof(), there.read(), there.write(b"x")):
            with pytest.raises(ConnectionResetError):
                await use
        assert len(one.driver.session.streams) == len(other.driver.session.streams) == 0


async def test_a_reader_that_stands_still_stops_its_writer_and_nobody_else() -> None:
    async with carried.linked() as (one, other):
        stuck, unread = await carried.open_one(one, other)
        writing = carried.Started(one, stuck.write(bytes(64 * MIB)))
        here, there = await carried.open_one(one, other)
        for _ in range(200):
            await here.write(bytes(100_000))
            got = 0
            while got < 100_000:
                got += len(await there.read())
        assert not writing.task.done()
        held = other.driver.session.statistics().held_bytes
        limits = messages.StreamLimits()
        assert limits.own_bytes <= held <= 2 * limits.own_bytes + limits.shared_bytes
        unread.reset()
        with pytest.raises(ConnectionResetError):
            await writing.result()


async def test_credit_comes_back_only_for_what_was_taken() -> None:
    async with carried.linked() as (one, other):
        here, there = await carried.open_one(one, other)
        await here.write(bytes(50_000))
        while not there._inbox:
            await asyncio.sleep(0)
        account = other.driver.session.streams
        assert account.held_bytes == 50_000 + messages.FRAME_COST_BYTES
        await there.read()
        assert account._streams[messages.FIRST_STREAM].waiting == 0
        reading = carried.Started(one, there.read())
        while account.held_bytes:
            await asyncio.sleep(0)
        reading.task.cancel()


async def test_many_writers_take_turns() -> None:
    async with carried.linked() as (one, other):
        pairs = [await carried.open_one(one, other) for _ in range(20)]
        sizes = [0] * 20

        async def read(index: int) -> None:
            while data := await pairs[index][1].read():
                sizes[index] += len(data)
            await pairs[index][1].write_eof()

        async def write(index: int) -> None:
            await pairs[index][0].write(bytes(2 * MIB))
            await pairs[index][0].write_eof()

        async with asyncio.TaskGroup() as group:
            for index in range(20):
                group.create_task(read(index))
                group.create_task(write(index))
        assert sizes == [2 * MIB] * 20
