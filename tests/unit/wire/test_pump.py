"""A channel and a socket joined: bytes, ends and resets pass at once, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from devloop.wire import channel, pump


class Fake:
    """A channel whose other end the test plays."""

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[bytes | Exception] = asyncio.Queue(64)
        self.written = bytearray()
        self.ended = asyncio.Event()
        self.reset_with: list[str] = []
        self.stall: asyncio.Event | None = None
        self.wrote = asyncio.Event()
        self.watching: asyncio.Future[None] | None = None
        self.watched = asyncio.Event()

    async def read(self) -> bytes:
        what = await self.arriving.get()
        if isinstance(what, Exception):
            raise what
        return what

    async def write(self, data: bytes | memoryview) -> None:
        self.written += data
        self.wrote.set()
        if self.stall is not None:
            await self.stall.wait()

    async def write_eof(self) -> None:
        self.ended.set()

    def reset(self, why: str = "") -> None:
        self.reset_with.append(why)

    def watch(self, waiting: asyncio.Future[None]) -> None:
        self.watching = waiting
        self.watched.set()


class Joined:
    """A pump at work, and both its ends."""

    def __init__(self, peer: socket.socket, fake: Fake, traffic: pump.Traffic, task: asyncio.Task[str]) -> None:
        self.peer = peer
        self.fake = fake
        self.traffic = traffic
        self.task = task


@contextlib.asynccontextmanager
async def joined() -> AsyncIterator[Joined]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = socket.create_connection(server.getsockname())
        taken, _ = server.accept()
    taken.setblocking(False)
    peer.setblocking(False)
    fake, traffic = Fake(), pump.Traffic()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        with peer:
            task = group.create_task(pump.join(fake, taken, traffic))
            yield Joined(peer, fake, traffic, task)
            task.cancel()


async def received(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(peer, size - len(data))
        assert more
        data += more
    return data


async def test_bytes_pass_both_ways_and_are_counted() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        await loop.sock_sendall(both.peer, b"question")
        await both.fake.wrote.wait()
        assert both.fake.written == b"question"
        await both.fake.arriving.put(b"the answer")
        assert await received(both.peer, 10) == b"the answer"
        assert (both.traffic.sent_bytes, both.traffic.received_bytes) == (8, 10)


async def test_the_end_of_one_way_leaves_the_other() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        both.peer.shutdown(socket.SHUT_WR)
        await both.fake.ended.wait()
        await both.fake.arriving.put(b"late")
        assert await received(both.peer, 4) == b"late"
        await both.fake.arriving.put(b"")
        assert await loop.sock_recv(both.peer, 1) == b""
        assert await both.task == ""
        assert both.fake.reset_with == []


async def test_the_end_of_the_channel_leaves_the_socket_to_speak() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        await both.fake.arriving.put(b"")
        assert await loop.sock_recv(both.peer, 1) == b""
        await loop.sock_sendall(both.peer, b"more")
        await both.fake.wrote.wait()
        both.peer.shutdown(socket.SHUT_WR)
        assert await both.task == ""
        assert both.fake.written == b"more"


async def test_a_reset_of_the_channel_is_one_of_the_socket() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        await both.fake.arriving.put(ConnectionResetError("gone"))
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(both.peer, 1)
        assert await both.task == "gone"


async def test_a_reset_of_the_socket_is_one_of_the_channel() -> None:
    async with joined() as both:
        await asyncio.sleep(0)
        pump.abort(both.peer)
        assert "reset" in (await both.task).lower()
        assert both.fake.reset_with


async def test_a_reset_passes_a_socket_that_takes_nothing() -> None:
    """Its reader stands still, so nobody reads the channel either: it is told by `watch`."""
    loop = asyncio.get_running_loop()
    async with joined() as both:
        for _ in range(64):
            await both.fake.arriving.put(bytes(1 << 20))
        await both.fake.watched.wait()
        assert both.fake.watching is not None
        both.fake.watching.set_result(None)
        assert "reset" in await both.task
        with pytest.raises(ConnectionResetError):
            while await loop.sock_recv(both.peer, 1 << 20):
                pass


async def test_a_channel_that_takes_nothing_stops_the_socket() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        both.fake.stall = asyncio.Event()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await loop.sock_sendall(both.peer, bytes(64 << 20))
        assert len(both.fake.written) <= pump.MAX_READ_BYTES
        both.fake.stall.set()


async def test_what_is_cancelled_is_reset_on_both_sides() -> None:
    loop = asyncio.get_running_loop()
    async with joined() as both:
        await loop.sock_sendall(both.peer, b"x")
        await both.fake.wrote.wait()
        both.task.cancel()
        with pytest.raises(ConnectionResetError):
            await loop.sock_recv(both.peer, 1)
        assert both.fake.reset_with == ["cancelled"]


async def test_a_peer_that_closed_does_not_break_the_end() -> None:
    async with joined() as both:
        both.peer.close()
        await both.fake.ended.wait()
        await both.fake.arriving.put(b"")
        assert await both.task == ""


async def test_a_channel_of_another_kind_is_carried_too() -> None:
    class Plain:
        """A channel that cannot be watched."""

        async def read(self) -> bytes:
            return b""

        async def write(self, data: bytes | memoryview) -> None: ...

        async def write_eof(self) -> None: ...

        def reset(self, why: str = "") -> None: ...

    one, other = socket.socketpair()
    one.setblocking(False)
    plain: channel.Channel = Plain()
    with other:
        other.shutdown(socket.SHUT_WR)
        assert await pump.join(plain, one) == ""
        assert other.recv(1) == b""
