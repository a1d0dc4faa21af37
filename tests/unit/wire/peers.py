"""Websocket servers that a test plays the peer with."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from websockets.asyncio import server

Handler = Callable[[server.ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(path: str, handler: Handler) -> AsyncIterator[None]:
    async with await server.unix_serve(handler, path, compression=None, close_timeout=0.1, max_size=None):
        yield
