"""A carrier for tests: it dials servers on this machine, and can be told to fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from devloop import errors
from devloop.ports import way

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stream:
    """A channel over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._ended: set[str] = set()

    async def read(self) -> bytes:
        try:
            data = await asyncio.get_running_loop().sock_recv(self.socket, 65536)
        except OSError:
            raise ConnectionResetError("the stream was reset") from None
        if not data:
            self._end("read")
        return data

    async def write(self, data: bytes | memoryview) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except OSError:
            raise ConnectionResetError("the stream was reset") from None

    async def write_eof(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self._end("write")

    def _end(self, way_: str) -> None:
        self._ended.add(way_)
        if len(self._ended) == 2:
            self.socket.close()

    def reset(self, why: str = "") -> None:
        if self.socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()


class Loopback:
    """Dials 127.0.0.1, whatever host is asked for.

    Attributes:
        asked: The hosts and ports.
        failing: Raised by the next dials, one each.
        opened: What was opened.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []
        self.failing: list[Exception] = []
        self.opened: list[Stream] = []

    async def dial(self, host: str, port: int, *, timeout_s: float) -> Stream:
        self.asked.append((host, port))
        if self.failing:
            raise self.failing.pop(0)
        made = socket.socket()
        made.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self.port or port))
        except OSError:
            made.close()
            raise errors.DialError(f"port {port} refused the connection", why=errors.Refused.PORT) from None
        self.opened.append(Stream(made))
        return self.opened[-1]

    def way(self, port: int = 80, *, settled: bool = True, host: str = "127.0.0.1") -> way.Way:
        return way.Way(self, host, port, way.AGENT, "web-1", settled)


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[int]:
    """Serve on a free port for as long as the block runs; yields the port."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0, backlog=512)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, and end after the other side."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def free_port() -> int:
    """Return a port that was free on both loopbacks a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
