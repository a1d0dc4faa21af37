"""Dialling what is an agent, what is none, and what does not listen."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio import server

from devloop import errors
from devloop.protocol import codec
from devloop.transport import dial

Handler = Callable[[server.ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(path: str, handler: Handler) -> AsyncIterator[None]:
    async with await server.unix_serve(handler, path, compression=None, close_timeout=0.1, max_size=None):
        yield


async def test_whole_messages_go_both_ways(tmp_path: Path) -> None:
    async def echo(connection: server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    path = str(tmp_path / "s")
    async with serving(path, echo):
        link = await dial.unix(path)
        big = bytes(range(256)) * (codec.MAX_FRAME_BYTES // 256)
        for message in (b"", b"x", big):
            await link.send(message)
            assert await link.recv() == message
        await link.close()


async def test_a_socket_that_is_connected_already_serves_as_well(tmp_path: Path) -> None:
    async def greet(connection: server.ServerConnection) -> None:
        await connection.send(b"hello")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, greet):
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.connect(path)
        link = await dial.over(connected, "a pod")
        assert await link.recv() == b"hello"
        await link.close()
        assert connected.fileno() == -1


async def test_the_end_of_the_connection_is_a_connection_error(tmp_path: Path) -> None:
    async def leave(connection: server.ServerConnection) -> None:
        await connection.close(1011, "enough")

    path = str(tmp_path / "s")
    async with serving(path, leave):
        link = await dial.unix(path)
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
        link = await dial.unix(path)
        with pytest.raises(errors.RemoteProtocolError, match="text"):
            await link.recv()
        await link.close()


async def test_a_message_larger_than_any_frame_ends_the_connection(tmp_path: Path) -> None:
    async def flood(connection: server.ServerConnection) -> None:
        await connection.send(bytes(codec.MAX_FRAME_BYTES + 1))
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, flood):
        link = await dial.unix(path)
        with pytest.raises(ConnectionError, match="too big"):
            await link.recv()
        await link.close()


async def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(errors.LinkError, match="no agent answers at"):
        await dial.unix(str(tmp_path / "nothing"))


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
async def test_what_answers_is_no_agent(tmp_path: Path, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(talk, path):
        with pytest.raises(errors.LinkError, match="no agent answers at"):
            await dial.unix(path)


async def test_what_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "DIAL_TIMEOUT_S", 0.05)
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(path)
        silent.listen()
        with pytest.raises(errors.LinkError, match="no agent answers at"):
            await dial.unix(path)


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "CLOSE_TIMEOUT_S", 0.05)
    over = asyncio.Event()

    async def sleep(connection: server.ServerConnection) -> None:
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    path = str(tmp_path / "s")
    async with serving(path, sleep):
        link = await dial.unix(path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await link.send(bytes(200_000))
        async with asyncio.timeout(10):
            await link.close()
        over.set()
