"""The proxy on real sockets: both languages on one port, refusals told, and those who say nothing or too much."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from devloop import errors
from devloop.ports import hold, listener, proxy, way
from tests.unit.ports import loopback


class Proxied:
    def __init__(self, head_s: float = 10.0, hold_s: float = 20.0) -> None:
        self.carrier = loopback.Loopback()
        self.signal = way.Signal()
        self.there = True
        self.port = loopback.free_port()
        holder = hold.Holder(self.signal, hold_s=hold_s)
        self.proxy = proxy.Proxy(self.ways, holder, head_s=head_s)
        where = listener.Where("127.0.0.1", self.port, self.port)
        self.listener = listener.Listener(where, self.proxy.serve)

    def ways(self, host: str, port: int) -> list[way.Way]:
        return [self.carrier.way(port, host=host)] if self.there else []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(25), asyncio.TaskGroup() as group:
            task = group.create_task(self.listener.run())
            while not self.listener.port:
                await asyncio.sleep(0)
            yield
            task.cancel()

    async def said(self, *parts: bytes, read: int = -1) -> bytes:
        """Say something and return what comes back, to its end or so many bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await (reader.readexactly(read) if read >= 0 else reader.read())
        finally:
            writer.close()


def named(host: bytes, port: int) -> bytes:
    return b"\x05\x01\x00" + bytes([5, 1, 0, 3, len(host)]) + host + port.to_bytes(2, "big")


OK = b"\x05\x00" + b"\x05\x00\x00\x01" + bytes(6)


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + asked)
    writer.close()


async def test_socks_carries_names_as_they_are_and_what_was_said_early() -> None:
    made = Proxied()
    async with loopback.serving(loopback.echo) as port, made.running():
        assert await made.said(named(b"web.shop.svc", port) + b"early", read=len(OK) + 5) == OK + b"early"
        assert made.carrier.asked == [("web.shop.svc", port)]
        while made.listener.counts.open:
            await asyncio.sleep(0)
        assert made.listener.counts.by == "agent"


async def test_connect_opens_a_tunnel_and_a_plain_request_goes_on() -> None:
    made = Proxied()
    async with loopback.serving(page) as port, made.running():
        tunnelled = await made.said(b"CONNECT web:%d HTTP/1.1\r\nHost: web\r\n\r\nGET / HTTP/1.0\r\n\r\n" % port)
        assert tunnelled.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK")
        plain = await made.said(b"GET http://web:%d/x HTTP/1.1\r\n" % port, b"Accept: a\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 200 OK") and b"GET /x HTTP/1.1\r\nHost: web:" in plain


RULE = errors.DialError("169.254.169.254 is never dialled", hint="no list widens that", why=errors.Refused.RULE)


async def test_a_refusal_is_told_in_the_clients_language() -> None:
    made = Proxied()
    async with made.running():
        made.carrier.failing = [RULE]
        assert (await made.said(named(b"metadata", 80)))[3] == 2
        made.carrier.failing = [RULE]
        told = await made.said(b"CONNECT metadata:80 HTTP/1.1\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 403 ") and b"never dialled\nno list widens that" in told
        assert "metadata:80: 169.254" in made.listener.counts.error
        made.carrier.failing = [RULE]
        assert (await made.said(b"GET http://metadata/ HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 403 ")


async def test_a_connection_waits_for_an_agent_and_is_told_when_none_comes() -> None:
    made = Proxied(hold_s=0.05)
    made.there = False
    async with made.running():
        assert (await made.said(named(b"web", 80)))[3] == 4
        assert (await made.said(b"CONNECT web:80 HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"\x05",),
        (b"\x05\x01\x00", b"\x05\x01"),
        (b"GET http://web/ HTTP/1.1\r\n", b"X: "),
        (b"G",),
    ],
)
async def test_who_does_not_say_what_it_wants_in_time_is_left(parts: tuple[bytes, ...]) -> None:
    made = Proxied(head_s=0.1)
    async with made.running():
        assert await made.said(*parts) in {b"", b"\x05\x00"}
        assert made.carrier.asked == []


async def test_one_byte_at_a_time_does_not_prolong_the_time() -> None:
    made = Proxied(head_s=0.2)
    async with made.running(), asyncio.TaskGroup() as group:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)

        async def until_end() -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read()

        ended = group.create_task(until_end())
        while not ended.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"G")
                await writer.drain()
            await asyncio.wait({ended}, timeout=0.01)
        writer.close()
        assert made.carrier.asked == []


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET http://web/ HTTP/1.1\r\n" + b"X: " + b"a" * 40_000, b"431"),
        (b"GET http://web/ HTTP/1.1\r\n" + b"X: a\r\n" * 120 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"403"),
        (b"GET http://web/ HTTP/3\r\n\r\n", b"400"),
    ],
)
async def test_what_is_too_much_or_not_for_a_proxy_is_answered_and_closed(raw: bytes, status: bytes) -> None:
    made = Proxied()
    async with made.running():
        assert (await made.said(raw)).startswith(b"HTTP/1.1 " + status)
        assert made.carrier.asked == []


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00", b"\x00" * 100, b"\xff\xfe", b"\r\n\r\n"])
async def test_another_language_is_not_answered(raw: bytes) -> None:
    made = Proxied()
    async with made.running():
        assert await made.said(raw) == b""


async def test_a_body_that_follows_a_refused_head_is_no_request() -> None:
    made = Proxied()
    smuggled = b"CONNECT db:5432 HTTP/1.1\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:1080\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    async with made.running():
        assert (await made.said(head + smuggled)).startswith(b"HTTP/1.1 403 ")
        assert made.carrier.asked == []


async def test_only_so_many_may_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "MAX_ASKING", 1)
    made = Proxied()
    async with made.running():
        _, silent = await asyncio.open_connection("127.0.0.1", made.port)
        while made.proxy._asking != 1:
            await asyncio.sleep(0)
        assert await made.said(b"") == b""
        silent.close()


async def test_who_leaves_early_leaves_nothing() -> None:
    made = Proxied()
    made.there = False
    async with made.running():
        _, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(named(b"web", 80))
        while made.listener.counts.held != 1:
            await asyncio.sleep(0)
        writer.close()
        while made.listener.counts.open:
            await asyncio.sleep(0)
        assert made.listener.counts.held == 0


async def test_a_stream_that_is_cut_resets_the_connection() -> None:
    made = Proxied()
    async with loopback.serving(loopback.echo) as port, made.running():
        reader, writer = await asyncio.open_connection("127.0.0.1", made.port)
        writer.write(named(b"web", port) + b"x")
        assert await reader.readexactly(len(OK) + 1) == OK + b"x"
        made.carrier.opened[0].reset()
        writer.write(b"more")
        with pytest.raises(ConnectionResetError):
            while await reader.read(100):
                pass
        writer.close()
        assert made.listener.counts.error
