"""A websocket over a byte stream tells the driver the same of its peer as one over a socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio import server

from devloop import errors
from devloop.protocol import codec
from devloop.transport import carried, dial
from devloop.wire import websocket
from tests.unit.wire import wired
from tests.unit.wire.peers import Handler, serving


class Linked:
    """An open connection and the stream below it."""

    def __init__(self, stream: wired.Wired) -> None:
        self.stream = stream
        self.link = carried.Carried(stream, dial.URI)


async def connect(path: str) -> Linked:
    made = Linked(await wired.to_unix(path))
    await made.link.open()
    return made


async def echo(connection: server.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_whole_messages_go_both_ways_and_together(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    big = bytes(range(256)) * (codec.MAX_FRAME_BYTES // 256)
    async with serving(path, echo):
        made = await connect(path)
        written = made.stream.written
        await made.link.send(b"", b"x", big)
        assert made.stream.written == written + 1
        async with asyncio.timeout(20):
            assert [await made.link.recv() for _ in range(3)] == [b"", b"x", big]
        await made.link.close()
        assert made.stream.resets


async def test_a_message_in_fragments_is_one(tmp_path: Path) -> None:
    async def talk(connection: server.ServerConnection) -> None:
        await connection.send([b"one ", b"and ", b"two"])
        await connection.send(b"next")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, talk):
        made = await connect(path)
        assert [await made.link.recv(), await made.link.recv()] == [b"one and two", b"next"]
        await made.link.close()


async def leave(connection: server.ServerConnection) -> None:
    await connection.close(1011, "enough")


async def cut(connection: server.ServerConnection) -> None:
    connection.transport.abort()


async def flood(connection: server.ServerConnection) -> None:
    await connection.send(bytes(codec.MAX_FRAME_BYTES + 1))
    await connection.wait_closed()


@pytest.mark.parametrize(("peer", "words"), [(leave, "enough"), (cut, "no close frame"), (flood, "too big")])
async def test_the_end_of_the_connection_is_a_connection_error(tmp_path: Path, peer: Handler, words: str) -> None:
    path = str(tmp_path / "s")
    async with serving(path, peer):
        made = await connect(path)
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError, match=words):
                await made.link.recv()
            with pytest.raises(ConnectionError):
                await made.link.send(b"x")
            with pytest.raises(ConnectionError):
                await made.link.recv()
            await made.link.close()


async def test_what_came_before_the_end_is_received(tmp_path: Path) -> None:
    async def talk(connection: server.ServerConnection) -> None:
        await connection.send(b"last words")
        await connection.close()

    path = str(tmp_path / "s")
    async with serving(path, talk):
        made = await connect(path)
        assert await made.link.recv() == b"last words"
        with pytest.raises(ConnectionError):
            await made.link.recv()
        await made.link.close()


async def test_a_text_message_is_refused(tmp_path: Path) -> None:
    async def talk(connection: server.ServerConnection) -> None:
        await connection.send("text")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, talk):
        made = await connect(path)
        with pytest.raises(errors.RemoteProtocolError, match="text"):
            await made.link.recv()
        await made.link.close()


async def test_pings_are_answered(tmp_path: Path) -> None:
    answered = asyncio.Event()

    async def ask(connection: server.ServerConnection) -> None:
        await (await connection.ping())
        answered.set()
        await connection.send(b"go on")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, ask):
        made = await connect(path)
        async with asyncio.timeout(20):
            assert await made.link.recv() == b"go on"
        assert answered.is_set()
        await made.link.close()


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.05)
    over = asyncio.Event()

    async def sleep(connection: server.ServerConnection) -> None:
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    path = str(tmp_path / "s")
    async with serving(path, sleep):
        made = await connect(path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await made.link.send(bytes(200_000))
        async with asyncio.timeout(10):
            await made.link.close()
        assert made.stream.resets == 1
        over.set()
