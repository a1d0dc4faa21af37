"""What a websocket tells the driver of its peer: messages, their end, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from websockets.asyncio import client, server

from devloop import errors
from devloop.protocol import codec
from devloop.wire import websocket
from tests.unit.wire.peers import serving


async def connect(path: str) -> websocket.WebSocket:
    return websocket.WebSocket(await client.unix_connect(path, **websocket.options()))


async def test_the_end_of_the_connection_is_a_connection_error(tmp_path: Path) -> None:
    async def leave(connection: server.ServerConnection) -> None:
        await connection.close(1011, "enough")

    path = str(tmp_path / "s")
    async with serving(path, leave):
        link = await connect(path)
        with pytest.raises(ConnectionError, match="enough"):
            await link.recv()
        with pytest.raises(ConnectionError):
            await link.send(b"x")
        await link.close()


async def test_a_text_message_is_refused(tmp_path: Path) -> None:
    async def talk(connection: server.ServerConnection) -> None:
        await connection.send("text")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, talk):
        link = await connect(path)
        with pytest.raises(errors.RemoteProtocolError, match="text"):
            await link.recv()
        await link.close()


async def test_a_message_larger_than_any_frame_ends_the_connection(tmp_path: Path) -> None:
    async def flood(connection: server.ServerConnection) -> None:
        await connection.send(bytes(codec.MAX_FRAME_BYTES + 1))
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, flood):
        link = await connect(path)
        with pytest.raises(ConnectionError, match="too big"):
            await link.recv()
        await link.close()


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
        link = await connect(path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await link.send(bytes(200_000))
        async with asyncio.timeout(10):
            await link.close()
        over.set()
