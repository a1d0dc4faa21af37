"""Opening the connection to an agent: a websocket over a unix socket, or over a byte stream that somebody else made.

No proxy: the connection is inside a tunnel or on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import websockets
from websockets.asyncio import client

from devloop import errors
from devloop.transport import carried
from devloop.wire import channel, websocket

# How long opening may take before the agent counts as not there.
DIAL_TIMEOUT_S: Final = 10.0

# The agent's own name in the upgrade request; nothing is resolved.
URI: Final = "ws://agent/devloop"

_TROUBLE: Final = (OSError, TimeoutError, websockets.WebSocketException)


async def unix(path: str) -> websocket.WebSocket:
    """Connect to an agent's unix socket.

    Args:
        path: The socket.

    Raises:
        LinkError: Nothing listens there, or what listens is no agent.
    """
    return await _open(lambda: client.unix_connect(path, URI, **_options()), path)


async def over(stream: channel.Channel, name: str) -> carried.Carried:
    """Speak to an agent over a byte stream that leads to it, such as a port-forward.

    Args:
        stream: Taken over; reset with the websocket.
        name: What it leads to, for messages.

    Raises:
        LinkError: What is at the other end is no agent.
    """
    connection = carried.Carried(stream, URI)
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            await connection.open()
    except BaseException as error:
        stream.reset()
        if isinstance(error, _TROUBLE):
            raise _nobody(name, error) from error
        raise
    return connection


def _options() -> dict[str, Any]:
    return {**websocket.options(), "proxy": None, "open_timeout": DIAL_TIMEOUT_S, "user_agent_header": None}


async def _open(connect: Callable[[], client.connect], name: str) -> websocket.WebSocket:
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            return websocket.WebSocket(await connect())
    except _TROUBLE as error:
        raise _nobody(name, error) from error


def _nobody(name: str, error: BaseException) -> errors.LinkError:
    return errors.LinkError(f"no agent answers at {name}: {error}")
