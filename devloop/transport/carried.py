"""A websocket over a byte stream of this process's own, such as a port-forward, instead of over a socket.

The protocol is websockets' without its I/O: what the driver sends is framed, and written by whoever sent it; what
comes is read by whoever receives. So a frame on its way costs no task, no socket pair and no wake-up of the loop, and
frames that leave together are one write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final

import websockets
from websockets import client as protocols
from websockets import frames, http11, uri

from devloop import errors
from devloop.protocol import codec
from devloop.wire import channel, websocket

_DATA: Final = frozenset({frames.Opcode.BINARY, frames.Opcode.CONT})


class Carried:
    """One connection; a `devloop.wire.driver.Connection`.

    Args:
        stream: What carries it. Taken over: it is reset with the connection.
        address: What the upgrade request asks for.
    """

    def __init__(self, stream: channel.Channel, address: str) -> None:
        self._stream = stream
        self._protocol = protocols.ClientProtocol(uri.parse_uri(address), max_size=codec.MAX_FRAME_BYTES)
        self._messages: deque[bytes | errors.RemoteProtocolError] = deque()
        self._parts: list[bytes] = []

    async def open(self) -> None:
        """Upgrade.

        Raises:
            WebSocketException: What answers speaks no websocket, or refuses.
            ConnectionError: It ended.

        Cancellation: the caller resets the stream.
        """
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while self._protocol.state is websockets.State.CONNECTING:
            data = await self._stream.read()
            self._feed(data)
            if self._protocol.handshake_exc is not None:
                raise self._protocol.handshake_exc
            if not data:
                raise ConnectionResetError("it ended the connection")
        # What came in the same breath may want an answer.
        await self._flush()

    async def send(self, *messages: bytes) -> None:
        """Send binary messages, in one write; wait while the stream takes no more.

        Raises:
            ConnectionError: The connection has ended.
        """
        for message in messages:
            try:
                self._protocol.send_binary(message)
            except websockets.InvalidState as error:
                raise self._ended() from error
        await self._flush()

    async def recv(self) -> bytes:
        """Return the next binary message.

        Raises:
            ConnectionError: The connection has ended.
            RemoteProtocolError: A text message came.
        """
        while not self._messages:
            if self._protocol.state is websockets.State.CLOSED:
                raise self._ended()
            self._feed(await self._stream.read())
            # Whoever said goodbye need not listen any more; what it sent before is read all the same.
            with contextlib.suppress(ConnectionError):
                await self._flush()
        message = self._messages.popleft()
        if isinstance(message, errors.RemoteProtocolError):
            raise message
        return message

    async def close(self) -> None:
        """Close the connection, without waiting long for the peer."""
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(websocket.CLOSE_TIMEOUT_S):
                    if self._protocol.state is websockets.State.OPEN:
                        self._protocol.send_close()
                        await self._flush()
                    while self._protocol.state is not websockets.State.CLOSED:
                        self._feed(await self._stream.read())
        finally:
            self._stream.reset()

    def _feed(self, data: bytes) -> None:
        """Take up what came; nothing is the end."""
        if self._protocol.state is websockets.State.CLOSED:
            return
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, frames.Frame):
                self._take(event)
            else:
                assert isinstance(event, http11.Response), "a client gets no requests"

    def _take(self, frame: frames.Frame) -> None:
        if frame.opcode is frames.Opcode.TEXT:
            text = errors.RemoteProtocolError("a text message where frames are binary", where="websocket")
            self._messages.append(text)
        if frame.opcode not in _DATA:
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            self._messages.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()

    async def _flush(self) -> None:
        # The empty piece means the end of this way, which is the stream's own end here.
        data = b"".join(self._protocol.data_to_send())
        if data:
            await self._stream.write(data)

    def _ended(self) -> ConnectionError:
        if self._protocol.state is websockets.State.CLOSED:
            return ConnectionResetError(str(self._protocol.close_exc))
        return ConnectionResetError("the connection is being closed")
