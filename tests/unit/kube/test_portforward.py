"""Port-forwards: bytes both ways, backpressure, and every way in which they end."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from websockets.asyncio import server as serving

from devloop import errors
from devloop.kube import client, portforward
from devloop.transport import dial
from tests.unit.kube import fake_api

PATH = "/api/v1/namespaces/dev/pods/web/portforward"
HEADS = [b"\x00\x24\x1d", b"\x01\x24\x1d"]


class Pod:
    """The other end: what it got, and what it does after the heads."""

    def __init__(self, *messages: bytes, echo: bool = False, end: str = "hold", pong: bool = True) -> None:
        self.messages, self.echo, self.end, self.pong = messages, echo, end, pong
        self.got = bytearray()
        self.closed = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"], autoping=self.pong, max_msg_size=0)
        await websocket.prepare(request)
        await websocket.ping()
        for message in self.messages:
            await websocket.send_bytes(message)
        if self.end == "close":
            await websocket.close()
        if self.end == "cut":
            assert request.transport is not None
            request.transport.abort()
        if self.end == "text":
            await websocket.send_str("x")
        async for frame in websocket:
            if frame.type is WSMsgType.BINARY:
                self.got += frame.data[1:]
                if self.echo:
                    await websocket.send_bytes(frame.data)
        self.closed.set()
        return websocket


async def read_all(end: portforward.Forward) -> bytes:
    found = bytearray()
    async with asyncio.timeout(20):
        while data := await end.read():
            found += data
    return bytes(found)


async def read(end: portforward.Forward, size: int) -> bytes:
    found = bytearray()
    async with asyncio.timeout(20):
        while len(found) < size:
            found += await end.read()
    return bytes(found)


async def test_bytes_go_both_ways_and_closing_ends_it(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = Pod(*HEADS, echo=True)
    server.on("GET", PATH, pod)
    sent = bytes(range(256)) * 8192
    async with portforward.forward(api, "dev", "web", 7460) as open_:
        async with asyncio.TaskGroup() as group:
            group.create_task(open_.write(sent))
            assert await read(open_, len(sent)) == sent
        assert open_.failure is None
    assert server.requests[0].query["ports"] == "7460"
    await asyncio.wait_for(pod.closed.wait(), 10)


async def test_what_came_before_the_end_is_delivered_and_the_end_has_a_reason(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    server.on("GET", PATH, Pod(*HEADS, b"\x00bye", end="close"))
    async with portforward.forward(api, "dev", "web", 7460) as open_:
        assert await read_all(open_) == b"bye"
        assert open_.failure is not None and "ended" in open_.failure.message


@pytest.mark.parametrize(
    ("pod", "words", "hint"),
    [
        (
            Pod(*HEADS, b"\x01dial tcp4 127.0.0.1:7460: connect: connection refused"),
            "refused in the pod",
            "nothing listens",
        ),
        (Pod(*HEADS, b"\x01lost the\nnetwork"), "failed: lost the network", ""),
        (Pod(*HEADS, b"\x05x"), "channel 5", ""),
        (Pod(*HEADS, b""), "without a channel", ""),
        (Pod(*HEADS, end="text"), "sent text", ""),
        (Pod(*HEADS, end="cut"), "ended", "node"),
    ],
)
async def test_every_end_has_its_reason(
    server: fake_api.FakeApi, api: client.Client, pod: Pod, words: str, hint: str
) -> None:
    server.on("GET", PATH, pod)
    async with portforward.forward(api, "dev", "web", 7460) as open_:
        assert await read_all(open_) == b""
        assert open_.failure is not None and open_.failure.error_code == "DL0750"
        assert words in open_.failure.message and hint in open_.failure.hint


async def test_the_reason_goes_before_the_links_own_words(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(*HEADS, b"\x01broken"))
    with pytest.raises(errors.ForwardError, match="broken") as caught:
        async with portforward.forward(api, "dev", "web", 7460) as open_:
            await read_all(open_)
            raise errors.LinkError("the link ended")
    assert isinstance(caught.value.__cause__, errors.LinkError)


async def test_the_blocks_own_errors_come_out_as_they_are(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(*HEADS))
    with pytest.raises(errors.LinkError, match="mine"):
        async with portforward.forward(api, "dev", "web", 7460):
            raise errors.LinkError("mine")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            async with portforward.forward(api, "dev", "web", 7460):
                await asyncio.Event().wait()


@pytest.mark.parametrize("messages", [(), HEADS[:1], (b"\x00\x24",)])
async def test_a_forward_that_is_not_confirmed_is_given_up(
    server: fake_api.FakeApi, api: client.Client, messages: tuple[bytes, ...]
) -> None:
    server.on("GET", PATH, Pod(*messages))
    with pytest.raises(errors.ForwardError, match="not confirmed"):
        async with portforward.forward(api, "dev", "web", 7460, timeout_s=0.2):
            pass


async def test_another_port_than_asked_for_is_refused(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(b"\x00\x01\x00"))
    with pytest.raises(errors.ForwardError, match="port 1, not 7460"):
        async with portforward.forward(api, "dev", "web", 7460):
            pass


async def test_a_peer_that_answers_no_ping_is_found(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(*HEADS, pong=False))
    async with portforward.forward(api, "dev", "web", 7460, ping_every_s=0.02) as open_:
        assert await read_all(open_) == b""
        assert open_.failure is not None and "silent" in open_.failure.message


async def test_a_caller_that_does_not_read_holds_the_pod_back_and_is_not_called_silent(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    sent = 0
    everything = asyncio.Event()
    total = 64 * 1024 * 1024

    async def flooding(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await websocket.prepare(request)
        for head in HEADS:
            await websocket.send_bytes(head)
        chunk = b"\x00" + bytes(256 * 1024)
        with contextlib.suppress(ConnectionError):
            while sent < total:
                await websocket.send_bytes(chunk)
                sent += len(chunk) - 1
            everything.set()
            await websocket.receive()
        return websocket

    server.on("GET", PATH, flooding)
    async with portforward.forward(api, "dev", "web", 7460, ping_every_s=0.02) as open_:
        # Many rounds of the heartbeat pass without a byte from the pod.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(everything.wait(), 0.5)
        assert open_.failure is None and sent < total
        assert len(await read(open_, total)) == total


async def test_what_comes_with_the_greeting_is_not_lost(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(b"\x00\x24", b"\x00\x1dearly", HEADS[1], b"\x00late", end="close"))
    async with portforward.forward(api, "dev", "web", 7460) as open_:
        assert await open_.read() == b"early"
        assert await read_all(open_) == b"late"


async def test_a_reset_ends_both_ways_and_is_no_failure(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = Pod(*HEADS)
    server.on("GET", PATH, pod)
    async with portforward.forward(api, "dev", "web", 7460) as open_:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            reading = group.create_task(open_.read())
            await asyncio.sleep(0)
            await open_.write_eof()
            assert await reading == b""
        with pytest.raises(ConnectionResetError):
            await open_.write(b"x")
        assert open_.failure is None
        await asyncio.wait_for(pod.closed.wait(), 10)


async def test_a_peer_that_is_quiet_but_there_stays(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(*HEADS, echo=True))
    async with portforward.forward(api, "dev", "web", 7460, ping_every_s=0.01) as open_:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await open_.read()
        await open_.write(b"still here")
        assert await read(open_, 10) == b"still here"


async def test_what_the_caller_sent_into_a_dead_forward_does_not_make_its_end_an_error(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    async def deaf(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"], autoping=False)
        await websocket.prepare(request)
        for head in HEADS:
            await websocket.send_bytes(head)
        await websocket.send_bytes(b"\x00last")
        assert request.transport is not None
        # Nothing is read any more, so that what comes piles up all the way back to the caller.
        request.transport.pause_reading()
        await gone.wait()
        return websocket

    gone = asyncio.Event()
    server.on("GET", PATH, deaf)
    async with portforward.forward(api, "dev", "web", 7460, ping_every_s=0.02) as open_:

        async def flood() -> None:
            with pytest.raises(ConnectionResetError):
                while True:
                    await open_.write(bytes(1024 * 1024))

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(flood())
            assert await read_all(open_) == b"last"
        assert open_.failure is not None and "silent" in open_.failure.message
    gone.set()


async def test_a_link_to_an_agent_is_spoken_over_it(
    server: fake_api.FakeApi, api: client.Client, tmp_path: Path
) -> None:
    async def echo(connection: serving.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def kubelet(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"], max_msg_size=0)
        await websocket.prepare(request)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "agent")

        async def down() -> None:
            for head in HEADS:
                await websocket.send_bytes(head)
            while data := await reader.read(32 * 1024):
                await websocket.send_bytes(b"\x00" + data)
            await websocket.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(down())
            async for frame in websocket:
                writer.write(frame.data[1:])
            writer.close()
        return websocket

    server.on("GET", PATH, kubelet)
    async with serving.unix_serve(echo, str(tmp_path / "agent"), compression=None, max_size=None):
        async with portforward.forward(api, "dev", "web", 7460) as open_:
            link = await dial.over(open_, "the pod")
            for message in (b"x", bytes(200_000)):
                await link.send(message)
                assert await link.recv() == message
            await link.close()
