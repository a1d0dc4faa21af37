"""A real agent process and the laptop's side of a link to it, as replicas make it; and servers to dial."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from devloop import errors
from devloop.protocol import laptop, messages, session, version
from devloop.transport import dial
from devloop.wire import driver, pump, stream, streams
from tests.behaviour import agents
from tests.unit.agent import linked

PATIENCE_S = 120.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Link:
    """The laptop's side of one link.

    Attributes:
        streams: Its byte streams.
        driver: Its driver.
        agent: The process at the other end, where it is one of this machine.
    """

    def __init__(self, key: bytes, connection: driver.Connection, to: str) -> None:
        half = laptop.LaptopSession(key, secrets.token_bytes(32), asyncio.get_running_loop().time())
        self.to = to
        self.agent: agents.Process
        self.streams: streams.Streams
        self.driver = driver.Driver(half, connection, self._on_event)
        self.group: asyncio.TaskGroup | None = None
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self.error: errors.DevloopError | None = None

    async def run(self) -> None:
        try:
            await self.driver.run()
        except errors.DevloopError as error:
            self.error = error
        finally:
            self.ended.set()

    def _on_event(self, event: session.Event) -> None:
        if self.opened.is_set() and self.streams.take(event):
            return
        if isinstance(event, messages.AgentHello):
            syncs = (messages.SyncSpec(self.to),)
            self.driver.send(linked.hello(secrets.token_hex(4), epoch=event.epoch + 1, syncs=syncs))
        elif isinstance(event, session.Opened):
            assert version.STREAMS in event.features
            assert self.group is not None
            self.streams = streams.Streams(self.driver, self.group)
            self.opened.set()

    async def dial(self, port: int, host: str = "127.0.0.1") -> stream.Stream:
        return await self.streams.dial(host, port, timeout_s=PATIENCE_S)


@contextlib.asynccontextmanager
async def linked_to(agent: agents.Process) -> AsyncIterator[Link]:
    """Open a link; on leaving, end it."""
    async with linked_by(agent.key, await dial.unix(agent.socket)) as link:
        link.agent = agent
        yield link


@contextlib.asynccontextmanager
async def linked_by(key: bytes, connection: driver.Connection, to: str = "/r") -> AsyncIterator[Link]:
    """The same over a connection that is there already."""
    link = Link(key, connection, to)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        link.group = group
        running = group.create_task(link.run())
        await link.opened.wait()
        try:
            yield link
        finally:
            running.cancel()


@contextlib.asynccontextmanager
async def tunnel(folder: Path) -> AsyncIterator[Link]:
    """Run an agent and open a link to it."""
    with agents.running(folder) as agent:
        async with linked_to(agent) as link:
            yield link


@contextlib.asynccontextmanager
async def serving(serve: Serve, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run a TCP server on the loopback; yield its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, host, 0, limit=1 << 20, backlog=1024)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def forwarded(link: Link, port: int) -> AsyncIterator[int]:
    """Listen on the laptop's loopback for what a port of the pod serves, the plainest forward there is."""
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)

    async def carry(taken: socket.socket) -> None:
        try:
            channel = await link.dial(port)
        except errors.DevloopError:
            pump.abort(taken)
            return
        await pump.join(channel, taken)

    async def accept(group: asyncio.TaskGroup) -> None:
        while True:
            taken, _ = await loop.sock_accept(listening)
            group.create_task(carry(taken))

    with listening:
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(accept(group))
            try:
                yield listening.getsockname()[1]
            finally:
                accepting.cancel()


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
