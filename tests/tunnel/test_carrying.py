"""What a connection is to its owner it is through the tunnel: bytes in order, ends, resets, refusals."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from devloop import errors
from tests.tunnel import rig

MIB = 1 << 20


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def shout_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer only when the other way has ended."""
    writer.write((await reader.read()).upper())
    await writer.drain()


async def test_bytes_come_back(tmp_path: Path) -> None:
    async with rig.tunnel(tmp_path) as link, rig.serving(echo) as port:
        channel = await link.dial(port)
        assert channel.address == f"127.0.0.1:{port}"
        await channel.write(b"hello")
        assert await channel.read() == b"hello"
        await channel.write_eof()
        assert await channel.read() == b""


async def test_the_answer_comes_after_the_end_of_the_question(tmp_path: Path) -> None:
    """`nc -N`: send, end, then read."""
    async with rig.tunnel(tmp_path) as link, rig.serving(shout_at_the_end) as port:
        async with rig.forwarded(link, port) as local:
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            writer.write(b"question")
            writer.write_eof()
            assert await reader.read() == b"QUESTION"
            writer.close()


async def test_a_refused_port_is_said_and_the_link_is_well(tmp_path: Path) -> None:
    async with rig.tunnel(tmp_path) as link, rig.serving(echo) as port:
        with pytest.raises(errors.DialError, match=r"nothing listens at 127\.0\.0\.1:1") as caught:
            await link.dial(1)
        assert caught.value.why is errors.Refused.PORT
        channel = await link.dial(port)
        await channel.write(b"still here")
        assert await channel.read() == b"still here"
        channel.reset()


@pytest.mark.parametrize("megabytes", [256, pytest.param(1024, marks=pytest.mark.slow)])
async def test_much_comes_through_whole(tmp_path: Path, megabytes: int) -> None:
    block = os.urandom(MIB)
    sent = hashlib.sha256()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(megabytes):
            sent.update(block)
            writer.write(block)
            await writer.drain()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port:
        channel = await link.dial(port)
        got = hashlib.sha256()
        while data := await channel.read():
            got.update(data)
        assert got.digest() == sent.digest()
