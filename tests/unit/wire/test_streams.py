"""The streams of a link: opening, refusing, giving up, ports of the pod, and the end of the link."""

from __future__ import annotations

import asyncio

import pytest

from devloop import errors
from devloop.protocol import messages
from tests.unit.wire import carried

MIB = 1 << 20


async def test_what_the_other_side_refuses_is_raised() -> None:
    async with carried.linked() as (one, other):
        with pytest.raises(errors.DialError, match="no") as caught:
            await one.streams.dial("refused", 80, timeout_s=20)
        assert (caught.value.why, caught.value.hint) == (errors.Refused.RULE, "ask")
        with pytest.raises(errors.DialError, match="given up"):
            await one.streams.dial("forgotten", 80, timeout_s=20)
        with pytest.raises(errors.DialError, match="is not a name"):
            await one.streams.dial("x" * 300, 80, timeout_s=20)
        assert len(one.streams) == len(other.streams) == 0


async def test_a_reason_of_a_later_version_is_not_a_failure() -> None:
    async with carried.linked() as (one, other):
        other.hold = asyncio.Event()
        dialling = carried.Started(one, one.streams.dial("db", 80, timeout_s=20))
        while not other.streams._calls:
            await asyncio.sleep(0)
        other.streams.answer(messages.Dialled(messages.FIRST_STREAM, "weather", "rain"))
        with pytest.raises(errors.DialError, match="rain") as caught:
            await dialling.result()
        assert caught.value.why is errors.Refused.UNREACHABLE


async def test_one_that_is_not_answered_in_time_is_given_up_on_both_sides() -> None:
    async with carried.linked() as (one, other):
        other.hold = asyncio.Event()
        with pytest.raises(errors.DialError, match="did not answer"):
            await one.streams.dial("db", 80, timeout_s=0.05)
        while not other.cancelled:
            await asyncio.sleep(0)
        other.hold = None
        await carried.open_one(one, other)


async def test_one_that_nobody_waits_for_any_more_is_given_up() -> None:
    async with carried.linked() as (one, other):
        other.hold = asyncio.Event()
        dialling = carried.Started(one, one.streams.dial("db", 80, timeout_s=20))
        while not other.streams._calls:
            await asyncio.sleep(0)
        dialling.task.cancel()
        while not other.cancelled:
            await asyncio.sleep(0)
        assert len(one.streams) == 0


async def test_there_are_only_so_many() -> None:
    async with carried.linked(messages.StreamLimits(max_open=16)) as (one, other):
        opened = [await carried.open_one(one, other) for _ in range(16)]
        with pytest.raises(errors.DialError, match="16 connections") as caught:
            await one.streams.dial("db", 80, timeout_s=20)
        assert caught.value.why is errors.Refused.LIMIT
        opened[0][0].reset()
        await carried.open_one(one, other)


async def test_the_end_of_the_link_ends_everything() -> None:
    async with carried.linked() as (one, other):
        here, there = await carried.open_one(one, other)
        reading = carried.Started(one, here.read())
        writing = carried.Started(one, there.write(bytes(64 * MIB)))
        other.hold = asyncio.Event()
        dialling = carried.Started(one, one.streams.dial("db", 80, timeout_s=20))
        while not other.streams._calls:
            await asyncio.sleep(0)
        one.end.cut()
        with pytest.raises(errors.LinkError):
            await dialling.result()
        for use in (reading, writing):
            with pytest.raises(ConnectionResetError):
                await use.result()
        with pytest.raises(errors.LinkError):
            await one.streams.dial("db", 80, timeout_s=20)
        with pytest.raises(errors.LinkError):
            await one.streams.listen(80, one.serve)


async def test_a_port_of_the_pod_leads_to_the_laptop() -> None:
    async with carried.linked() as (one, other):
        listening = carried.Started(one, one.streams.listen(9003, one.serve))
        while not other.listens:
            await asyncio.sleep(0)
        assert other.listens == [messages.Listen(0, 9003)]
        other.streams.listening(0)
        listener = await listening.result()
        there = await other.streams.announce(0, "127.0.0.1:5", timeout_s=20)
        here = await one.taken.get()
        await there.write(b"hello")
        assert await here.read() == b"hello"
        listener.close()
        listener.close()
        # One that was taken before the listener was closed there crosses that.
        with pytest.raises(errors.DialError, match="nobody takes"):
            await other.streams.announce(0, "127.0.0.1:6", timeout_s=20)
        while len(other.listens) < 2:
            await asyncio.sleep(0)
        assert other.listens[1] == messages.Unlisten(0)
        here.reset()


async def test_a_port_that_cannot_be_had_is_said() -> None:
    async with carried.linked() as (one, other):
        listening = carried.Started(one, one.streams.listen(9003, one.serve))
        while not other.listens:
            await asyncio.sleep(0)
        other.streams.listening(0, "port 9003 of the pod is taken", "use another")
        with pytest.raises(errors.DialError, match="taken") as caught:
            await listening.result()
        assert (caught.value.hint, caught.value.why) == ("use another", errors.Refused.PORT)


async def test_a_side_that_dials_nothing_refuses() -> None:
    async with carried.linked() as (one, other):
        other.streams._on_dial = None
        with pytest.raises(errors.DialError, match="nobody takes"):
            await one.streams.dial("db", 80, timeout_s=20)
