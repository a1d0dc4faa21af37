"""A websocket as the driver wants it, the same at both ends: binary messages, and ConnectionError at the end.

`devloop.transport` opens connections and the agent listens for them; both put what they get in here. Nothing is
compressed (the protocol compresses bodies, and permessage-deflate would cost 95 % of the throughput), and there are
no websocket pings (the protocol has its own).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import websockets
from websockets.asyncio import connection

from devloop import errors
from devloop.protocol import codec

# How long the closing handshake may take: nothing depends on it.
CLOSE_TIMEOUT_S: Final = 1.0

# What using a connection that is gone raises. The AttributeError is asyncio's: a transport that was closed before its
# buffer was empty forgets its loop, and aborting it again, as websockets does, trips over that (seen with 3.11).
_LOST: Final = (websockets.ConnectionClosed, AttributeError)


class WebSocket:
    """One connection.

    Args:
        opened: Open; made with `options`.
    """

    def __init__(self, opened: connection.Connection) -> None:
        self._connection = opened

    async def send(self, *messages: bytes) -> None:
        """Send binary messages; wait while the buffer is full.

        Raises:
            ConnectionError: The connection has ended.
        """
        try:
            for message in messages:
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


def options() -> dict[str, Any]:
    """Return the arguments of websockets that both ends must agree on."""
    return {
        "compression": None,
        "max_size": codec.MAX_FRAME_BYTES,
        "ping_interval": None,
        "close_timeout": CLOSE_TIMEOUT_S,
    }
