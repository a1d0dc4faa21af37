"""Dialling what is an agent, what is none, and what does not listen."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from websockets.asyncio import server

from devloop import errors
from devloop.protocol import codec
from devloop.transport import dial
from tests.unit.wire import wired
from tests.unit.wire.peers import serving


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


async def test_a_byte_stream_serves_as_well(tmp_path: Path) -> None:
    async def greet(connection: server.ServerConnection) -> None:
        await connection.send(b"hello")
        await connection.wait_closed()

    path = str(tmp_path / "s")
    async with serving(path, greet):
        stream = await wired.to_unix(path)
        link = await dial.over(stream, "a pod")
        assert await link.recv() == b"hello"
        await link.close()
        assert stream.resets


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"])
async def test_what_answers_on_a_byte_stream_is_no_agent(tmp_path: Path, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(talk, path):
        stream = await wired.to_unix(path)
        with pytest.raises(errors.LinkError, match="no agent answers at a pod"):
            await dial.over(stream, "a pod")
        assert stream.resets == 1


async def test_what_never_answers_on_a_byte_stream_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "DIAL_TIMEOUT_S", 0.05)
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(path)
        silent.listen()
        stream = await wired.to_unix(path)
        with pytest.raises(errors.LinkError, match="no agent answers at a pod"):
            await dial.over(stream, "a pod")
        assert stream.resets == 1


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
