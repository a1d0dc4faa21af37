"""What a connection is to its owner it is through the tunnel: bytes in order, ends, resets, refusals."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import struct
from pathlib import Path

import pytest
from websockets.asyncio import client, server

from devloop import errors
from devloop.transport import dial
from devloop.wire import driver, pump, streams
from tests.behaviour import agents
from tests.tunnel import rig
from tests.unit.wire import wired

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


async def test_much_goes_up_whole(tmp_path: Path) -> None:
    block = os.urandom(MIB)
    got = hashlib.sha256()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(MIB):
            got.update(data)
        writer.write(b"done")
        await writer.drain()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local)
        for _ in range(64):
            writer.write(block)
            await writer.drain()
        writer.write_eof()
        assert await reader.read() == b"done"
        assert got.digest() == hashlib.sha256(block * 64).digest()
        writer.close()


async def test_a_reset_in_the_pod_is_one_on_the_laptop(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local)
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_a_reset_on_the_laptop_is_one_in_the_pod(tmp_path: Path) -> None:
    seen: asyncio.Queue[bool] = asyncio.Queue(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1 << 16):
                pass
        except ConnectionResetError:
            await seen.put(True)
            raise
        await seen.put(False)

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port:
        channel = await link.dial(port)
        await channel.write(b"x")
        channel.reset()
        assert await seen.get()


async def test_a_listener_of_the_pod_that_says_nothing_holds_nobody_up(tmp_path: Path) -> None:
    """A reader that stands still, in either direction, beside one that goes on."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(MIB))
            await writer.drain()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with (
        rig.tunnel(tmp_path) as link,
        rig.serving(pour) as pouring,
        rig.serving(never_read) as deaf,
        rig.serving(echo) as echoing,
        asyncio.TaskGroup() as group,
    ):
        unread = [await link.dial(pouring) for _ in range(20)]
        unheard = [await link.dial(deaf) for _ in range(20)]
        writers = [group.create_task(each.write(bytes(256 * MIB))) for each in unheard]
        before = link.driver.session.statistics()
        channel = await link.dial(echoing)
        for _ in range(50):
            await channel.write(bytes(100_000))
            got = 0
            while got < 100_000:
                got += len(await channel.read())
        after = link.driver.session.statistics()
        assert after.held_bytes <= 48 * MIB
        assert after.received_bytes > before.received_bytes
        assert not any(each.done() for each in writers)
        for task in writers:
            task.cancel()
        for each in (*unread, *unheard, channel):
            each.reset()


async def test_two_hundred_connections_at_once(tmp_path: Path) -> None:
    everybody = asyncio.Event()
    there = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal there
        there += 1
        if there == 200:
            everybody.set()
        question = await reader.readexactly(20_000)
        await everybody.wait()
        writer.write(question[::-1] * 5)
        await writer.drain()

    async def one(local: int, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", local, limit=1 << 20)
        question = number.to_bytes(4, "big") * 5000
        writer.write(question)
        assert await reader.read(-1) == question[::-1] * 5
        writer.close()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(local, number))


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_short_connections_leave_nothing_behind(tmp_path: Path, count: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"answer to " + await reader.readexactly(8))
        await writer.drain()

    async def some(local: int, times: int) -> None:
        for _ in range(times):
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            writer.write(b"question")
            assert await reader.read() == b"answer to question"
            writer.close()
            await writer.wait_closed()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        await some(local, 50)
        await rig.until(lambda: len(link.streams) == 0)
        pid = link.agent.process.pid
        files, own_files = rig.descriptors(pid), rig.descriptors(os.getpid())
        kilobytes = link.agent.figure("VmRSS")
        tasks = len(asyncio.all_tasks())
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(some(local, count // 10))
        await rig.until(lambda: rig.descriptors(pid) <= files and rig.descriptors(os.getpid()) <= own_files)
        await rig.until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert len(link.streams) == 0
        assert len(link.driver.session.streams) <= 32
        assert link.agent.figure("VmRSS") - kilobytes < 4096


async def test_a_killed_agent_is_a_reset_at_once(tmp_path: Path) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()

    process = agents.Process(tmp_path, agents.started(tmp_path), 0)
    with process.process:
        async with rig.linked_to(process) as link, rig.serving(pour) as port, rig.forwarded(link, port) as local:
            reader, writer = await asyncio.open_connection("127.0.0.1", local)
            await reader.readexactly(MIB)
            process.process.kill()
            with pytest.raises(ConnectionResetError):
                while await reader.read(MIB):
                    pass
            writer.close()
            with pytest.raises(errors.LinkError):
                await link.dial(port)


async def test_frames_both_ways_after_an_upgrade(tmp_path: Path) -> None:
    """A websocket through the tunnel, with the connection kept for plain requests before."""

    async def chat(connection: server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message[::-1])

    async with await server.serve(chat, "127.0.0.1", 0) as serving, rig.tunnel(tmp_path) as link:
        port = next(iter(serving.sockets)).getsockname()[1]
        async with rig.forwarded(link, port) as local, client.connect(f"ws://127.0.0.1:{local}/", proxy=None) as talk:
            for number in range(200):
                await talk.send(f"message {number}")
                assert await talk.recv() == f"message {number}"[::-1]


async def test_a_connection_that_is_kept_is_answered_again_and_again(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            body = head.split()[1] * 50
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local)
        for number in range(300):
            writer.write(f"GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.split(b"Content-Length: ")[1].split()[0])
            assert await reader.readexactly(size) == f"/{number}".encode() * 50
        writer.close()


async def test_long_streams_both_ways_at_the_same_time(tmp_path: Path) -> None:
    """As gRPC does it: messages with a length in front, each way at its own pace, many on one connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def ours() -> None:
            for number in range(2000):
                message = number.to_bytes(4, "big") * (number % 300)
                writer.write(len(message).to_bytes(4, "big") + message)
                await writer.drain()
            writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(ours())
            while size := await reader.read(4):
                size += await reader.readexactly(4 - len(size)) if len(size) < 4 else b""
                received.append(len(await reader.readexactly(int.from_bytes(size, "big"))))

    received: list[int] = []
    async with rig.tunnel(tmp_path) as link, rig.serving(serve) as port, rig.forwarded(link, port) as local:
        reader, writer = await asyncio.open_connection("127.0.0.1", local)

        async def theirs() -> None:
            for number in range(2000):
                message = bytes(number % 700)
                writer.write(len(message).to_bytes(4, "big") + message)
                await writer.drain()
            writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(theirs())
            for number in range(2000):
                size = int.from_bytes(await reader.readexactly(4), "big")
                assert await reader.readexactly(size) == number.to_bytes(4, "big") * (number % 300)
            assert await reader.read() == b""
        await rig.until(lambda: len(received) == 2000)
        assert received == [number % 700 for number in range(2000)]
        writer.close()


async def test_a_port_of_the_pod_leads_to_the_laptop(tmp_path: Path) -> None:
    async def debugger(call: streams.Call) -> None:
        assert call.peer.startswith("127.0.0.1:")
        connected = socket.create_connection(("127.0.0.1", ide))
        connected.setblocking(False)
        await pump.join(call.accept(), connected)

    port = agents.free_port()
    async with rig.tunnel(tmp_path) as link, rig.serving(shout_at_the_end) as ide:
        listener = await link.streams.listen(port, debugger)
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"from the pod")
            writer.write_eof()
            assert await reader.read() == b"FROM THE POD"
            writer.close()
        with pytest.raises(errors.DialError, match="is taken"):
            await link.streams.listen(port, debugger)
        listener.close()
        again = await link.streams.listen(port, debugger)
        again.close()


async def test_an_agent_on_a_port_does_not_dial_itself(tmp_path: Path) -> None:
    with agents.running(tmp_path, port=True) as agent:
        connection = await agents_link(agent)
        async with rig.linked_by(agent.key, connection) as link:
            for host in ("127.0.0.1", "localhost", "127.0.0.5"):
                with pytest.raises(errors.DialError, match="agent's own") as caught:
                    await link.dial(agent.port, host)
                assert caught.value.why is errors.Refused.RULE
            with pytest.raises(errors.DialError, match="is taken"):
                await link.streams.listen(agent.port, _nobody)


async def _nobody(call: streams.Call) -> None:
    raise AssertionError


async def agents_link(agent: agents.Process) -> driver.Connection:
    connected = socket.create_connection(("127.0.0.1", agent.port))
    return await dial.over(wired.Wired(connected), "the agent")
