"""A connected socket as a channel, for tests that reach an agent without a cluster between."""

from __future__ import annotations

import asyncio
import socket


class Wired:
    """A connected socket; a `devloop.wire.channel.Channel`.

    Attributes:
        resets: How often it was reset.
        written: How often it was written to.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self.resets = 0
        self.written = 0

    async def read(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, 256 * 1024)

    async def write(self, data: bytes | memoryview) -> None:
        self.written += 1
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def write_eof(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self, why: str = "") -> None:
        self.resets += 1
        self._socket.close()


async def to_unix(path: str) -> Wired:
    """Return a channel to who listens on a unix socket."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.connect(path)
    return Wired(connected)
