"""A listener stays open whatever becomes of what carries its connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import AsyncIterator

import pytest

from devloop import errors
from devloop.ports import client, hold, listener, tally, way
from tests.unit.ports import loopback


class Forwarded:
    """A listener, and what carries its connections."""

    def __init__(self, hold_s: float = 20.0, limit: int = 256) -> None:
        self.signal = way.Signal()
        self.ways: list[way.Way] = []
        self.carrier = loopback.Loopback()
        self.holder = hold.Holder(self.signal, hold_s=hold_s, limit=limit)
        self.port = loopback.free_port()
        self.changes = 0
        self.listener = listener.Listener(
            listener.Where("", self.port, self.port), listener.forwarding(lambda: self.ways, self.holder), self.changed
        )

    def changed(self) -> None:
        self.changes += 1

    async def dial(self, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(host, self.port)

    async def ask(self, said: bytes, host: str = "127.0.0.1") -> bytes:
        reader, writer = await self.dial(host)
        try:
            writer.write(said)
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(25), asyncio.TaskGroup() as group:
            task = group.create_task(self.listener.run())
            while not self.listener.port:
                await asyncio.sleep(0)
            yield
            task.cancel()


async def test_connections_are_carried_and_counted_on_both_loopbacks() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        assert await made.ask(b"hello") == b"hello"
        for family, _, _, _, address in socket.getaddrinfo("localhost", made.port, type=socket.SOCK_STREAM):
            if family is socket.AF_INET6:
                assert await made.ask(b"six", str(address[0])) == b"six"
        counts = made.listener.counts
        assert counts.total >= 1 and counts.traffic.sent_bytes == counts.traffic.received_bytes >= 5
        assert (counts.by, counts.target, counts.error) == ("agent", "web-1", "")
        assert made.listener.address == f"localhost:{made.port}"


async def test_a_refused_connection_is_reset_and_the_others_go_on() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        reader, writer = await made.dial()
        writer.write(b"a")
        assert await reader.read(1) == b"a"
        made.carrier.failing = [errors.DialError("refused in the pod", why=errors.Refused.PORT)]
        with pytest.raises(ConnectionResetError):
            await made.ask(b"x")
        assert (made.listener.counts.error, made.listener.counts.code) == ("refused in the pod", "DL0620")
        writer.write(b"b")
        assert await reader.read(1) == b"b"
        writer.close()
        assert await made.ask(b"again") == b"again"
        assert made.listener.counts.error == ""


async def test_a_connection_waits_while_there_is_no_pod() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running(), asyncio.TaskGroup() as group:
        asking = group.create_task(made.ask(b"patient"))
        while made.listener.counts.held != 1:
            await asyncio.sleep(0)
        made.ways = [made.carrier.way(port)]
        made.signal.fire()
        assert await asking == b"patient"
        assert made.listener.counts.held == 0


async def test_a_connection_that_waited_in_vain_is_reset() -> None:
    made = Forwarded(hold_s=0.05)
    async with made.running():
        with pytest.raises(ConnectionResetError):
            await made.ask(b"x")
        assert made.listener.counts.code == "DL0621"


async def test_a_stream_that_is_cut_resets_its_own_connection_only() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        (one, one_writer), (two, two_writer) = await made.dial(), await made.dial()
        for reader, writer in ((one, one_writer), (two, two_writer)):
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        made.carrier.opened[0].socket.shutdown(socket.SHUT_RDWR)
        two_writer.write(b"y")
        assert await two.read(1) == b"y"
        one_writer.close()
        two_writer.close()


async def test_a_taken_port_is_told_and_taken_when_it_is_free() -> None:
    made = Forwarded()
    other = socket.socket()
    other.bind(("127.0.0.1", made.port))
    other.listen()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(made.listener.run())
        while not made.changes:
            await asyncio.sleep(0)
        assert isinstance(made.listener.failure, errors.LocalError) and made.listener.port == 0
        assert made.listener.failure.error_code == "DL0370"
        other.close()
        while not made.listener.port:
            await asyncio.sleep(0.01)
        assert made.changes == 2
        task.cancel()


async def test_more_connections_than_the_bound_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "MAX_OPEN", 1)
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        reader, writer = await made.dial()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        with pytest.raises(ConnectionResetError):
            await made.ask(b"y")
        assert "open already" in made.listener.counts.error
        writer.close()


async def test_many_at_once_and_many_in_a_row_leave_nothing_behind() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        assert await made.ask(b"warm") == b"warm"
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for _ in range(5):
            found = await asyncio.gather(*(made.ask(b"%d" % number) for number in range(100)))
            assert found == [b"%d" % number for number in range(100)]
        while made.listener.counts.open:
            await asyncio.sleep(0)
        gc.collect()
        if before:
            assert len(os.listdir("/proc/self/fd")) <= before + 8
        assert made.listener.counts.total == 501


async def test_the_end_of_the_listener_ends_its_connections() -> None:
    made = Forwarded()
    async with loopback.serving(loopback.echo) as port:
        async with made.running():
            made.ways = [made.carrier.way(port)]
            reader, writer = await made.dial()
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert made.listener.port == 0


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (listener.Where("", 80, 80), "localhost:80"),
        (listener.Where("", 80, 90), "localhost:80-90"),
        (listener.Where("::1", 80, 80), "[::1]:80"),
        (listener.Where("127.0.0.1", 80, 80), "127.0.0.1:80"),
    ],
)
def test_where_it_is_is_told_as_people_write_it(where: listener.Where, told: str) -> None:
    assert str(where) == told


async def test_an_accept_that_fails_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Forwarded()
    loop = asyncio.get_running_loop()
    real, failing = loop.sock_accept, [OSError(24, "Too many open files"), OSError(103, "aborted")]

    async def accept(listening: socket.socket) -> object:
        if failing:
            raise failing.pop(0)
        return await real(listening)

    monkeypatch.setattr(loop, "sock_accept", accept)
    monkeypatch.setattr(listener, "_ACCEPT_AGAIN_S", 0.01)
    async with loopback.serving(loopback.echo) as port, made.running():
        made.ways = [made.carrier.way(port)]
        while failing:
            await asyncio.sleep(0)
        assert await made.ask(b"x") == b"x"


async def test_what_serves_sees_each_connection() -> None:
    seen: list[client.Client] = []

    async def serve(one: client.Client, counts: tally.Tally) -> None:
        seen.append(one)

    port = loopback.free_port()
    made = listener.Listener(listener.Where("127.0.0.1", port, port), serve)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        while not made.port:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"" and len(seen) == 1
        writer.close()
        task.cancel()
