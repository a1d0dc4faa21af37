"""Commands that are talked to: the framing both ways, backpressure, and every end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json

import pytest
from aiohttp import WSMsgType, web

from devloop import errors
from devloop.kube import channels, client, execute, interactive
from tests.unit.kube import fake_api

WHERE = execute.Where("dev", "web", "app")
PATH = "/api/v1/namespaces/dev/pods/web/exec"
ASKED = interactive.Asked(("cat", "-"), "cat in pod web", stdin=True)
OK = b"\x03" + json.dumps({"status": "Success"}).encode()


class Pod:
    """The other end: says its messages, then echoes stdin to stdout until stdin ends, then says how it ended."""

    def __init__(self, *messages: bytes, protocol: str = channels.V5, end: str = "status", pong: bool = True) -> None:
        self.messages, self.protocol, self.end, self.pong = messages, protocol, end, pong
        self.sizes: list[object] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=[self.protocol], autoping=self.pong, max_msg_size=0)
        await websocket.prepare(request)
        await websocket.ping()
        for message in self.messages:
            await websocket.send_bytes(message)
        if self.end == "text":
            await websocket.send_str("x")
        if self.end == "close":
            await websocket.close()
        if self.end == "cut":
            assert request.transport is not None
            request.transport.abort()
        async for frame in websocket:
            if frame.type is not WSMsgType.BINARY:
                continue
            if frame.data == b"\xff\x00":
                await websocket.send_bytes(b"\xff\x01")
                await websocket.send_bytes(OK)
            elif frame.data[0] == channels.RESIZE:
                self.sizes.append(json.loads(frame.data[1:]))
            else:
                await websocket.send_bytes(b"\x01" + frame.data[1:])
        return websocket


async def test_bytes_go_both_ways_and_the_end_of_stdin_arrives(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = Pod(b"\x01", b"\x02", b"\x02warned\xff")
    server.on("GET", PATH, pod)
    sent = bytes(range(256)) * 1024 * 16
    got = {channels.STDOUT: bytearray(), channels.STDERR: bytearray()}

    async with interactive.opened(api, WHERE, ASKED) as session, asyncio.TaskGroup() as group:
        assert session.ends_stdin

        async def send() -> None:
            await session.resize(80, 24)
            for at in range(0, len(sent), interactive.CHUNK_BYTES):
                await session.send(memoryview(sent)[at : at + interactive.CHUNK_BYTES])
            await session.end_stdin()

        group.create_task(send())
        while not isinstance(piece := await session.receive(), int):
            got[piece.channel] += piece.data
        assert piece == 0
    assert hashlib.sha256(got[channels.STDOUT]).digest() == hashlib.sha256(sent).digest()
    assert got[channels.STDERR] == b"warned\xff" and pod.sizes == [{"Width": 80, "Height": 24}]
    query = server.requests[0].query
    assert query.getall("command") == ["cat", "-"] and query["stdin"] == "true" and "tty" not in query


async def test_a_terminal_has_one_output(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(OK, protocol=channels.V4))
    asked = interactive.Asked(("sh",), "sh", stdin=True, tty=True)
    async with interactive.opened(api, WHERE, asked) as session:
        assert not session.ends_stdin
        assert await session.receive() == 0
    query = server.requests[0].query
    assert query["tty"] == "true" and "stderr" not in query


@pytest.mark.parametrize(
    ("pod", "error", "words"),
    [
        (Pod(end="close"), errors.CutError, "was cut: the API server, the node or the pod"),
        (Pod(end="cut"), errors.CutError, "was cut"),
        (Pod(end="text"), errors.ExecError, "sent text"),
        (Pod(b"\x07x"), errors.ExecError, "channel 7"),
        (Pod(b"\x03[]"), errors.ExecError, "did not say how"),
        (Pod(b"\x03" + json.dumps({"status": "Failure", "message": "no"}).encode()), errors.NotRunError, "be run: no"),
    ],
)
async def test_every_other_end_is_an_error(
    server: fake_api.FakeApi, api: client.Client, pod: Pod, error: type[errors.ExecError], words: str
) -> None:
    server.on("GET", PATH, pod)
    with pytest.raises(error, match=words) as caught:
        async with interactive.opened(api, WHERE, ASKED) as session:
            await session.receive()
    assert caught.value.exit_status == (errors.Exit.UNREACHABLE if error is errors.CutError else errors.Exit.ERROR)


async def test_a_silent_connection_is_found(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(pong=False))
    with pytest.raises(errors.CutError, match="nothing comes"):
        async with interactive.opened(api, WHERE, ASKED, ping_every_s=0.02) as session:
            await session.receive()


async def test_sending_into_what_is_gone_is_a_cut(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(end="cut"))
    with pytest.raises(errors.CutError):
        async with interactive.opened(api, WHERE, ASKED) as session:
            with contextlib.suppress(errors.CutError):
                await session.receive()
            await session.send(b"x")


async def test_who_does_not_receive_holds_the_command_back(server: fake_api.FakeApi, api: client.Client) -> None:
    sent = 0
    total = 64 * 1024 * 1024
    everything = asyncio.Event()

    async def flooding(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        websocket = web.WebSocketResponse(protocols=[channels.V5])
        await websocket.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < total:
                await websocket.send_bytes(b"\x01" + bytes(256 * 1024))
                sent += 256 * 1024
            await websocket.send_bytes(OK)
            everything.set()
            await websocket.receive()
        return websocket

    server.on("GET", PATH, flooding)
    async with interactive.opened(api, WHERE, ASKED, ping_every_s=0.02) as session:
        with session.held(), pytest.raises(TimeoutError):
            # Many rounds of the heartbeat pass.
            await asyncio.wait_for(everything.wait(), 0.5)
        assert sent < total
        got = 0
        while not isinstance(piece := await session.receive(), int):
            got += len(piece.data)
        assert got == total and piece == 0


async def test_leaving_early_closes_the_connection(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(b"\x01half"))
    with pytest.raises(RuntimeError, match="mine"):
        async with interactive.opened(api, WHERE, ASKED) as session:
            assert not isinstance(await session.receive(), int)
            raise RuntimeError("mine")
