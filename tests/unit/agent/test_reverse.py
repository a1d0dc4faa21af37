"""Ports of the pod that lead to the laptop: listening, refusing, handing over, closing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from agent import reverse
from devloop import errors
from devloop.protocol import messages
from devloop.wire import streams


class FakeChannel:
    """What the laptop's end would be: says back what it is told."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue(8)
        self.was_reset = False

    async def read(self) -> bytes:
        return await self.inbox.get()

    async def write(self, data: bytes | memoryview) -> None:
        await self.inbox.put(bytes(data))

    async def write_eof(self) -> None:
        await self.inbox.put(b"")

    def reset(self, why: str = "") -> None:
        self.was_reset = True


class FakeStreams:
    """The link's streams as a listener needs them."""

    def __init__(self) -> None:
        self.said: list[tuple[int, str, str]] = []
        self.announced: list[tuple[int, str]] = []
        self.refuse = False

    def listening(self, number: int, error: str = "", hint: str = "") -> None:
        self.said.append((number, error, hint))

    async def announce(self, number: int, peer: str, *, timeout_s: float) -> FakeChannel:
        self.announced.append((number, peer))
        if self.refuse:
            raise errors.DialError("nothing listens on the laptop", why=errors.Refused.PORT)
        return FakeChannel()


@contextlib.asynccontextmanager
async def opened(own_port: int = 0) -> AsyncIterator[tuple[reverse.Reverse, FakeStreams]]:
    told = FakeStreams()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        subject = reverse.Reverse(group, own_port)
        subject.use(cast(streams.Streams, cast(Any, told)))
        try:
            yield subject, told
        finally:
            subject.end()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_connection_is_handed_over(host: str) -> None:
    port = free_port()
    async with opened() as (subject, told):
        subject.take(messages.Listen(3, port))
        assert told.said == [(3, "", "")]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"ping")
        assert await reader.read(4) == b"ping"
        writer.write_eof()
        assert await reader.read() == b""
        assert told.announced == [(3, f"{host}:{writer.get_extra_info('sockname')[1]}")]
        writer.close()


async def test_nobody_beyond_the_loopback_can_connect() -> None:
    port = free_port()
    async with opened() as (subject, _):
        subject.take(messages.Listen(0, port))
        await asyncio.sleep(0)
        with socket.create_server(("127.0.0.2", port)):
            # The same port of another address is free: nothing listens on all of them.
            pass


async def test_a_connection_that_the_laptop_refuses_is_reset() -> None:
    port = free_port()
    async with opened() as (subject, told):
        told.refuse = True
        subject.take(messages.Listen(0, port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_that_is_taken_is_said(host: str) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.create_server((host, 0), family=family) as other:
        port = other.getsockname()[1]
        async with opened() as (subject, told):
            subject.take(messages.Listen(0, port))
            ((number, error, hint),) = told.said
    assert (number, error) == (0, f"port {port} of the pod is taken")
    assert hint


async def test_the_agents_own_port_is_refused() -> None:
    port = free_port()
    async with opened(own_port=port) as (subject, told):
        subject.take(messages.Listen(0, port))
        assert told.said[0][1] == f"port {port} of the pod is taken"


async def test_a_listener_that_is_closed_leaves_its_connections() -> None:
    port = free_port()
    async with opened() as (subject, _):
        subject.take(messages.Listen(0, port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one")
        assert await reader.read(3) == b"one"
        subject.take(messages.Unlisten(0))
        subject.take(messages.Unlisten(7))
        await _until_closed(port)
        writer.write(b"two")
        assert await reader.read(3) == b"two"
        writer.close()


async def test_the_end_of_the_link_closes_and_resets_everything() -> None:
    port = free_port()
    async with opened() as (subject, _):
        subject.take(messages.Listen(0, port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"one")
        assert await reader.read(3) == b"one"
        subject.end()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await _until_closed(port)
        writer.close()


async def _until_closed(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            # It was in the backlog when the listener was closed.
            continue
        writer.close()
        await asyncio.sleep(0)
