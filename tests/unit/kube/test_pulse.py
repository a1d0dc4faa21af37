"""The heartbeat: who answers lives, who does not is found, and who is kept waiting is not counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from devloop.kube import channels, client, pulse
from tests.unit.kube import fake_api

PATH = "/ping"
EVERY_S = 0.02


@contextlib.asynccontextmanager
async def connected(
    server: fake_api.FakeApi, api: client.Client, *, pong: bool
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async def answer(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(protocols=[channels.V4], autoping=pong)
        await websocket.prepare(request)
        async for _ in websocket:
            pass
        return websocket

    server.on("GET", PATH, answer)
    websocket = await api.websocket(PATH, {}, [channels.V4], max_bytes=1000, timeout_s=10)
    try:
        yield websocket
    finally:
        await websocket.close()


async def test_nobody_answers(server: fake_api.FakeApi, api: client.Client) -> None:
    async with connected(server, api, pong=False) as websocket:
        with pytest.raises(pulse.Silent, match="nothing comes"):
            async with asyncio.timeout(10):
                await pulse.Pulse(websocket, EVERY_S).run()


async def test_pongs_are_a_sign_of_life(server: fake_api.FakeApi, api: client.Client) -> None:
    async with connected(server, api, pong=True) as websocket:
        beat = pulse.Pulse(websocket, EVERY_S)

        async def listen() -> None:
            for _ in range(12):
                await websocket.receive()
                beat.heard()

        async with asyncio.TaskGroup() as group:
            beating = group.create_task(beat.run())
            await listen()
            beating.cancel()


async def test_while_messages_are_held_nothing_is_counted(server: fake_api.FakeApi, api: client.Client) -> None:
    async with connected(server, api, pong=False) as websocket:
        beat = pulse.Pulse(websocket, EVERY_S)
        with beat.held(), pytest.raises(TimeoutError):
            async with asyncio.timeout(EVERY_S * 20):
                await beat.run()


async def test_what_is_closed_cannot_be_asked(server: fake_api.FakeApi, api: client.Client) -> None:
    async with connected(server, api, pong=True) as websocket:
        await websocket.close()
        with pytest.raises(pulse.Silent):
            async with asyncio.timeout(10):
                await pulse.Pulse(websocket, EVERY_S).run()
