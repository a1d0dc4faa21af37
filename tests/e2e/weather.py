"""The line between the laptop and the API server, and what happens to it: stalled, cut, back again.

A relay on this machine stands in the middle, so that the weather of one test is nobody else's. A stalled line takes
nothing and gives nothing, both ways, and closes nothing, as when packets are dropped; a cut one is reset. The relay
has a thread and a loop of its own, so that tests may block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

PIECE_BYTES: Final = 64 * 1024
CONNECT_S: Final = 10.0


class Line:
    """A relay to one address. Its public methods are for other threads than its own.

    Args:
        address: Host and port of the other end.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.server = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        """The address to use instead of the API server's own."""
        self._loop = asyncio.new_event_loop()
        self._fair = asyncio.Event()
        self._fair.set()
        self._stop = asyncio.Event()
        self._refusing = False
        self._open: set[asyncio.StreamWriter] = set()

    def stall(self) -> None:
        """Let nothing through any more, and close nothing; new connections are taken and lead nowhere."""
        self._do(self._fair.clear)

    def cut(self, *, refuse: bool = False) -> None:
        """Reset every connection.

        Args:
            refuse: New ones are reset as well, until `clear`.
        """
        self._do(lambda: self._cut(refuse=refuse))

    def clear(self) -> None:
        """Let everything through again, what waited included, and take connections."""
        self._do(self._clear)

    def close(self) -> None:
        """Stop: `run` returns."""
        self._do(self._stop.set)

    def run(self) -> None:
        """Take connections until `close`."""
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    def _do(self, action: Callable[[], None]) -> None:
        """Run something in the loop's thread, and wait until it is done."""
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(CONNECT_S)

    def _clear(self) -> None:
        self._refusing = False
        self._fair.set()

    def _cut(self, *, refuse: bool) -> None:
        self._refusing = refuse
        for each in self._open:
            reset(each)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, sock=self._listening)
        await self._stop.wait()
        server.close()
        self._fair.set()
        self._cut(refuse=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=CONNECT_S)

    async def _carry(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """Carry one connection, both ways, until either end is done."""
        if self._refusing:
            reset(near)
            return
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                far_reader, far = await asyncio.open_connection(*self._address)
            self._open |= {near, far}
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far))
                    group.create_task(self._pump(far_reader, near))
            finally:
                self._open -= {near, far}
                far.close()
        near.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                # what was read before the weather changed waits too
                await self._fair.wait()
                writer.write(piece)
                await writer.drain()
        # an end is weather as well: a stalled line does not tell of it
        await self._fair.wait()
        writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a router without patience does: by a reset, with nothing sent before."""
    opened = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def line_to(server: str) -> Iterator[Line]:
    """Stand between this machine and a server.

    Args:
        server: Its URL, such as a kubeconfig has it.
    """
    found = urlsplit(server)
    assert found.hostname is not None
    line = Line((found.hostname, found.port or 443))
    thread = threading.Thread(target=line.run, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join(2 * CONNECT_S)
