"""A port-forward as a channel: what comes first, what ends it, and what a refusal looks like."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import WSMsgType, web

from devloop import errors
from devloop.kube import client, portchannel
from tests.unit.kube import fake_api

PATH = "/api/v1/namespaces/dev/pods/web/portforward"
HEADS = [b"\x00\x40\x1f", b"\x01\x40\x1f"]
REFUSED = b"\x01error forwarding port 8000 to pod x: dial tcp4 127.0.0.1:8000: connect: connection refused"


class Pod:
    """The other end: what it says after the heads, and what it does then."""

    def __init__(self, *messages: bytes, heads: list[bytes] = HEADS, end: str = "echo", after: int = 0) -> None:
        self.messages, self.heads, self.end, self.after = messages, heads, end, after
        self.got = bytearray()
        self.pings = 0
        self.closed = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"], autoping=False, max_msg_size=0)
        await websocket.prepare(request)
        await websocket.ping()
        for message in (*self.heads, *self.messages):
            await websocket.send_bytes(message)
        if self.end == "close" and not self.after:
            await websocket.close()
        if self.end == "cut":
            assert request.transport is not None
            request.transport.abort()
        async for frame in websocket:
            if frame.type is WSMsgType.PING:
                self.pings += 1
            if frame.type is WSMsgType.BINARY:
                self.got += frame.data[1:]
                if self.end == "echo":
                    await websocket.send_bytes(frame.data)
                elif len(self.got) >= self.after:
                    await websocket.send_bytes(b"\x00answer")
                    await websocket.close()
        self.closed.set()
        return websocket


async def dial(api: client.Client, timeout_s: float = 10.0) -> portchannel.PortChannel:
    return await portchannel.dial(api, "dev", "web", 8000, timeout_s=timeout_s)


async def read(stream: portchannel.PortChannel, size: int) -> bytes:
    found = bytearray()
    async with asyncio.timeout(20):
        while len(found) < size:
            found += await stream.read()
    return bytes(found)


async def test_bytes_go_both_ways_in_order(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = Pod()
    server.on("GET", PATH, pod)
    sent = bytes(range(256)) * 8192
    stream = await dial(api)
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.write(memoryview(sent)))
        assert await read(stream, len(sent)) == sent
    await stream.ping()
    await stream.write(b"")
    stream.reset()
    await asyncio.wait_for(pod.closed.wait(), 10)
    assert server.requests[0].query["ports"] == "8000" and pod.pings == 1


async def test_the_end_of_this_side_does_not_cut_the_answer(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(end="close", after=7))
    stream = await dial(api)
    await stream.write(b"request")
    await stream.write_eof()
    assert await stream.read() == b"answer" and await stream.read() == b"" and await stream.read() == b""
    with pytest.raises(ConnectionResetError, match="has ended"):
        await stream.write(b"more")


async def test_an_answer_that_never_comes_is_given_up_after_silence(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod()
    server.on("GET", PATH, pod)
    stream = await dial(api)
    await stream.write(b"x")
    assert await stream.read() == b"x"
    monkeypatch.setattr(portchannel, "SILENCE_S", 0.05)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        reading = group.create_task(stream.read())
        await asyncio.sleep(0)
        await stream.write_eof()
        await stream.write_eof()
        assert await reading == b""
    await asyncio.wait_for(pod.closed.wait(), 10)


async def test_a_refusal_is_told_to_who_reads(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(REFUSED))
    stream = await dial(api)
    with pytest.raises(ConnectionResetError, match="port 8000 of pod web refused"):
        await stream.read()
    assert stream.refusal is not None and stream.refusal.why is errors.Refused.PORT


async def test_a_refusal_can_be_waited_for_and_nothing_is_lost_where_none_comes(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    server.on("GET", PATH, Pod(REFUSED), Pod(b"\x00hello"), Pod(), Pod(end="cut"))
    with pytest.raises(errors.DialError, match="refused"):
        await (await dial(api)).confirmed(10.0)
    speaks = await dial(api)
    await speaks.confirmed(10.0)
    assert await speaks.read() == b"hello"
    silent = await dial(api)
    await silent.confirmed(0.01)
    await silent.write(b"x")
    assert await silent.read() == b"x"
    with pytest.raises(errors.ForwardError):
        await (await dial(api)).confirmed(10.0)
    speaks.reset()
    silent.reset()


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (Pod(b"\x01lost the\nnetwork"), "failed: lost the network"),
        (Pod(b"\x05x"), "channel 5"),
        (Pod(b""), "without a channel"),
        (Pod(end="cut"), "was cut"),
    ],
)
async def test_every_other_end_is_a_reset(server: fake_api.FakeApi, api: client.Client, pod: Pod, words: str) -> None:
    server.on("GET", PATH, pod)
    stream = await dial(api)
    with pytest.raises(ConnectionResetError, match=words):
        async with asyncio.timeout(10):
            while await stream.read():
                pass
    await stream.ping()


async def test_writing_to_what_was_cut_is_a_reset(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(end="cut"))
    stream = await dial(api)
    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(10):
            while True:
                await stream.write(b"x" * 65536)
                await asyncio.sleep(0)
    stream.reset()


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        (HEADS[:1], "not confirmed in time"),
        ([*HEADS[:1], b"\x00early"], "before it was confirmed"),
        ([b"\x00\x01\x00"], "port 1, not 8000"),
    ],
)
async def test_what_is_not_confirmed_is_no_channel(
    server: fake_api.FakeApi, api: client.Client, heads: list[bytes], words: str
) -> None:
    server.on("GET", PATH, Pod(heads=heads))
    with pytest.raises(errors.ForwardError, match=words):
        await dial(api, 0.2)


async def test_an_end_before_it_was_confirmed_is_told(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, Pod(heads=[], end="close"))
    with pytest.raises(errors.ForwardError, match="ended before"):
        await dial(api)


async def test_a_pod_that_is_gone_is_not_there(server: fake_api.FakeApi, api: client.Client) -> None:
    with pytest.raises(errors.NotThereError):
        await dial(api)
