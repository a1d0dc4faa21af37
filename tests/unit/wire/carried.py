"""Streams over two real drivers on a line in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from devloop import errors
from devloop.protocol import agent, laptop, messages, session
from devloop.wire import driver, stream, streams
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
        self.taken: asyncio.Queue[stream.Stream] = asyncio.Queue(10_000)
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


async def open_one(one: Side, other: Side, host: str = "db") -> tuple[stream.Stream, stream.Stream]:
    made = await one.streams.dial(host, 80, timeout_s=20)
    return made, await other.taken.get()
