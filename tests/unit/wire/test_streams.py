"""Streams over two real drivers on a line in memory: opening, credit, turns, ends, and the end of the link."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from devloop import errors
from devloop.protocol import agent, laptop, messages, session
from devloop.wire import driver, streams
from tests.protocol import playbook
from tests.unit.wire import line

MIB = 1 << 20


class Side:
    """One side of a link.

    Attributes:
        streams: Its streams.
        taken: The streams that the other side has opened.
        listens: What it was told to listen on.
    """

    def __init__(self, half: session.Session, end: line.End, limits: messages.StreamLimits) -> None:
        self.end = end
        self.limits = messages.Limits(streams=limits)
        self.driver = driver.Driver(half, end, self._on_event)
        self.streams: streams.Streams
        self.group: asyncio.TaskGroup | None = None
        self.opened = asyncio.Event()
        self.taken: asyncio.Queue[streams.Stream] = asyncio.Queue(10_000)
        self.listens: list[messages.Listen | messages.Unlisten] = []
        self.hold: asyncio.Event | None = None
        self.cancelled = 0

    async def run(self) -> None:
        with contextlib.suppress(errors.DevloopError):
            await self.driver.run()

    def _on_event(self, event: session.Event) -> None:
        if self.opened.is_set() and self.streams.take(event):
            return
        match event:
            case session.Authenticated() if isinstance(self.driver.session, agent.AgentSession):
                self.driver.send(playbook.agent_hello(limits=self.limits))
            case messages.AgentHello():
                self.driver.send(playbook.laptop_hello(self.limits))
            case messages.LaptopHello():
                self.driver.send(messages.Welcome(1))
            case session.Opened():
                assert self.group is not None
                self.streams = streams.Streams(
                    self.driver, self.group, on_dial=self.serve, on_listen=self.listens.append
                )
                self.opened.set()
            case _:
                pass

    async def serve(self, call: streams.Call) -> None:
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if call.host == "refused":
            raise errors.DialError("no", hint="ask", why=errors.Refused.RULE)
        if call.host == "forgotten":
            return
        stream = call.accept("there:1")
        await self.taken.put(stream)
        while not stream.is_complete and not stream._broken:
            await asyncio.sleep(0)


class Started:
    """Something that goes on beside the test; what it raises is raised where its result is asked for."""

    def __init__(self, side: Side, work: Coroutine[Any, Any, Any]) -> None:
        assert side.group is not None
        self.task = side.group.create_task(self._caught(work))

    async def _caught(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await work
        except (OSError, errors.DevloopError) as error:
            return error

    async def result(self) -> Any:
        found = await self.task
        if isinstance(found, Exception):
            raise found
        return found


@contextlib.asynccontextmanager
async def linked(limits: messages.StreamLimits | None = None) -> AsyncIterator[tuple[Side, Side]]:
    here, there = line.pair()
    known = limits or messages.StreamLimits()
    one = Side(laptop.LaptopSession(playbook.KEY, playbook.LAPTOP_NONCE, 0.0), here, known)
    other = Side(agent.AgentSession(playbook.KEY, playbook.AGENT_NONCE, 0.0), there, known)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        one.group = other.group = group
        running = [group.create_task(side.run()) for side in (one, other)]
        await one.opened.wait()
        try:
            yield one, other
        finally:
            for side in (one, other):
                side.streams.end()
            for task in running:
                task.cancel()


async def open_one(one: Side, other: Side, host: str = "db") -> tuple[streams.Stream, streams.Stream]:
    made = await one.streams.dial(host, 80, timeout_s=20)
    return made, await other.taken.get()


async def test_bytes_and_ends_pass_both_ways() -> None:
    async with linked() as (one, other):
        here, there = await open_one(one, other)
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
    async with linked() as (one, other):
        here, there = await open_one(one, other)
        for piece in (b"a", b"b", b"c"):
            await here.write(piece)
        await here.write_eof()
        data = b""
        while more := await there.read():
            data += more
        assert data == b"abc"
        await there.write_eof()


async def test_nothing_is_written_after_the_end() -> None:
    async with linked() as (one, other):
        here, _ = await open_one(one, other)
        await here.write_eof()
        with pytest.raises(ConnectionResetError, match="ended"):
            await here.write(b"x")


async def test_a_reset_is_seen_at_the_other_end_at_once() -> None:
    async with linked() as (one, other):
        here, there = await open_one(one, other)
        await here.write(b"never read")
        reading = Started(one, here.read())
        await asyncio.sleep(0)
        there.reset("had enough")
        with pytest.raises(ConnectionResetError, match="had enough"):
            await reading.result()
        for use in (here.read(), here.write(b"x"), here.write_eof(), there.read(), there.write(b"x")):
            with pytest.raises(ConnectionResetError):
                await use
        assert len(one.driver.session.streams) == len(other.driver.session.streams) == 0


async def test_what_the_other_side_refuses_is_raised() -> None:
    async with linked() as (one, other):
        with pytest.raises(errors.DialError, match="no") as caught:
            await one.streams.dial("refused", 80, timeout_s=20)
        assert (caught.value.why, caught.value.hint) == (errors.Refused.RULE, "ask")
        with pytest.raises(errors.DialError, match="given up"):
            await one.streams.dial("forgotten", 80, timeout_s=20)
        with pytest.raises(errors.DialError, match="is not a name"):
            await one.streams.dial("x" * 300, 80, timeout_s=20)
        assert len(one.streams) == len(other.streams) == 0


async def test_a_reason_of_a_later_version_is_not_a_failure() -> None:
    async with linked() as (one, other):
        other.hold = asyncio.Event()
        dialling = Started(one, one.streams.dial("db", 80, timeout_s=20))
        while not other.streams._calls:
            await asyncio.sleep(0)
        other.streams.answer(messages.Dialled(messages.FIRST_STREAM, "weather", "rain"))
        with pytest.raises(errors.DialError, match="rain") as caught:
            await dialling.result()
        assert caught.value.why is errors.Refused.UNREACHABLE


async def test_one_that_is_not_answered_in_time_is_given_up_on_both_sides() -> None:
    async with linked() as (one, other):
        other.hold = asyncio.Event()
        with pytest.raises(errors.DialError, match="did not answer"):
            await one.streams.dial("db", 80, timeout_s=0.05)
        while not other.cancelled:
            await asyncio.sleep(0)
        other.hold = None
        await open_one(one, other)


async def test_one_that_nobody_waits_for_any_more_is_given_up() -> None:
    async with linked() as (one, other):
        other.hold = asyncio.Event()
        dialling = Started(one, one.streams.dial("db", 80, timeout_s=20))
        while not other.streams._calls:
            await asyncio.sleep(0)
        dialling.task.cancel()
        while not other.cancelled:
            await asyncio.sleep(0)
        assert len(one.streams) == 0


async def test_there_are_only_so_many() -> None:
    async with linked(messages.StreamLimits(max_open=16)) as (one, other):
        opened = [await open_one(one, other) for _ in range(16)]
        with pytest.raises(errors.DialError, match="16 connections") as caught:
            await one.streams.dial("db", 80, timeout_s=20)
        assert caught.value.why is errors.Refused.LIMIT
        opened[0][0].reset()
        await open_one(one, other)


async def test_a_reader_that_stands_still_stops_its_writer_and_nobody_else() -> None:
    async with linked() as (one, other):
        stuck, unread = await open_one(one, other)
        writing = Started(one, stuck.write(bytes(64 * MIB)))
        here, there = await open_one(one, other)
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
    async with linked() as (one, other):
        here, there = await open_one(one, other)
        await here.write(bytes(50_000))
        while not there._inbox:
            await asyncio.sleep(0)
        account = other.driver.session.streams
        assert account.held_bytes == 50_000 + messages.FRAME_COST_BYTES
        await there.read()
        assert account._streams[messages.FIRST_STREAM].waiting == 0
        reading = Started(one, there.read())
        while account.held_bytes:
            await asyncio.sleep(0)
        reading.task.cancel()


async def test_many_writers_take_turns() -> None:
    async with linked() as (one, other):
        pairs = [await open_one(one, other) for _ in range(20)]
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


async def test_the_end_of_the_link_ends_everything() -> None:
    async with linked() as (one, other):
        here, there = await open_one(one, other)
        reading = Started(one, here.read())
        writing = Started(one, there.write(bytes(64 * MIB)))
        other.hold = asyncio.Event()
        dialling = Started(one, one.streams.dial("db", 80, timeout_s=20))
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
    async with linked() as (one, other):
        listening = Started(one, one.streams.listen(9003, one.serve))
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
    async with linked() as (one, other):
        listening = Started(one, one.streams.listen(9003, one.serve))
        while not other.listens:
            await asyncio.sleep(0)
        other.streams.listening(0, "port 9003 of the pod is taken", "use another")
        with pytest.raises(errors.DialError, match="taken") as caught:
            await listening.result()
        assert (caught.value.hint, caught.value.why) == ("use another", errors.Refused.PORT)


async def test_a_side_that_dials_nothing_refuses() -> None:
    async with linked() as (one, other):
        other.streams._on_dial = None
        with pytest.raises(errors.DialError, match="nobody takes"):
            await one.streams.dial("db", 80, timeout_s=20)
