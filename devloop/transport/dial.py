"""Opening the connection to an agent: a websocket over a unix socket, or over a socket that somebody else made.

No proxy: the connection is inside a tunnel or on this machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import websockets
from websockets.asyncio import client

from devloop import errors
from devloop.wire import websocket

# How long opening may take before the agent counts as not there.
DIAL_TIMEOUT_S: Final = 10.0

# The agent's own name in the upgrade request; nothing is resolved.
URI: Final = "ws://agent/devloop"


async def unix(path: str) -> websocket.WebSocket:
    """Connect to an agent's unix socket.

    Args:
        path: The socket.

    Raises:
        LinkError: Nothing listens there, or what listens is no agent.
    """
    return await _open(lambda: client.unix_connect(path, URI, **_options()), path)


async def over(connected: socket.socket, name: str) -> websocket.WebSocket:
    """Speak to an agent over a socket that is connected already, such as one end of a socket pair.

    Args:
        connected: Taken over; closed with the websocket.
        name: What it leads to, for messages.

    Raises:
        LinkError: What is at the other end is no agent.
    """
    return await _open(lambda: client.connect(URI, sock=connected, **_options()), name)


def _options() -> dict[str, Any]:
    return {**websocket.options(), "proxy": None, "open_timeout": DIAL_TIMEOUT_S, "user_agent_header": None}


async def _open(connect: Callable[[], client.connect], name: str) -> websocket.WebSocket:
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            return websocket.WebSocket(await connect())
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise errors.LinkError(f"no agent answers at {name}: {error}") from error
