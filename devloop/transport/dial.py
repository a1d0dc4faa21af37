"""Opening the connection to an agent: a websocket over a unix socket, or over a socket that somebody else made.

No compression (bodies are compressed by the protocol, and permessage-deflate would cost 95 % of the throughput), no
proxy (the connection is inside a tunnel or on this machine), no websocket pings (the protocol has its own).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final

import websockets
from websockets.asyncio import client

from devloop import errors
from devloop.protocol import codec

# How long opening may take before the agent counts as not there.
DIAL_TIMEOUT_S: Final = 10.0

# How long the closing handshake may take: nothing depends on it.
CLOSE_TIMEOUT_S: Final = 1.0

# The agent's own name in the upgrade request; nothing is resolved.
URI: Final = "ws://agent/devloop"

# What using a connection that is gone raises. The AttributeError is asyncio's: a transport that was closed before its
# buffer was empty forgets its loop, and aborting it again, as websockets does, trips over that (seen with 3.11).
_LOST: Final = (websockets.ConnectionClosed, AttributeError)


class WebSocket:
    """A websocket as the driver wants it: binary messages, and ConnectionError at the end.

    Args:
        connection: Open.
    """

    def __init__(self, connection: client.ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: bytes) -> None:
        """Send one binary message; wait while the buffer is full."""
        try:
            await self._connection.send(message)
        except _LOST as error:
            raise ConnectionError(str(error)) from error

    async def recv(self) -> bytes:
        """Return the next binary message.

        Raises:
            ConnectionError: The connection has ended.
            RemoteProtocolError: A text message came.
        """
        try:
            message = await self._connection.recv()
        except _LOST as error:
            raise ConnectionError(str(error)) from error
        if isinstance(message, str):
            raise errors.RemoteProtocolError("a text message where frames are binary", where="websocket")
        return message

    async def close(self) -> None:
        """Close the connection, without waiting long for the peer."""
        try:
            # websockets' own deadline begins when its buffer is empty, which a peer that does not read prevents.
            with contextlib.suppress(TimeoutError, *_LOST):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._connection.close()
        finally:
            with contextlib.suppress(*_LOST):
                self._connection.transport.abort()


async def unix(path: str) -> WebSocket:
    """Connect to an agent's unix socket.

    Args:
        path: The socket.

    Raises:
        LinkError: Nothing listens there, or what listens is no agent.
    """
    return await _open(lambda: client.unix_connect(path, URI, **_options()), path)


async def over(connected: socket.socket, name: str) -> WebSocket:
    """Speak to an agent over a socket that is connected already, such as one end of a socket pair.

    Args:
        connected: Taken over; closed with the websocket.
        name: What it leads to, for messages.

    Raises:
        LinkError: What is at the other end is no agent.
    """
    return await _open(lambda: client.connect(URI, sock=connected, **_options()), name)


def _options() -> dict[str, Any]:
    return {
        "compression": None,
        "proxy": None,
        "max_size": codec.MAX_FRAME_BYTES,
        "ping_interval": None,
        "open_timeout": DIAL_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        "user_agent_header": None,
    }


async def _open(connect: Callable[[], client.connect], name: str) -> WebSocket:
    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            return WebSocket(await connect())
    except (OSError, TimeoutError, websockets.WebSocketException) as error:
        raise errors.LinkError(f"no agent answers at {name}: {error}") from error
