"""Connections for drivers without sockets: two ends of a line in memory that can be full, cut and silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# As much as waits in the buffers below a real connection.
ROOM = 64


class End:
    """One end of a line.

    Attributes:
        sent: How many frames were taken.
        closed: `close` was called.
        on_send: Called with each frame before it is on its way; its answer goes instead, None for nothing.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.closed = False
        self.on_send: Callable[[bytes], bytes | None] = lambda frame: frame
        self.stuck = False
        self.stuck_closing = False
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue(ROOM)
        self._gone = asyncio.Event()
        self.peer: End | None = None

    async def send(self, *messages: bytes) -> None:
        for message in messages:
            await self._send(message)

    async def _send(self, message: bytes) -> None:
        if self._gone.is_set():
            raise ConnectionResetError("the line is cut")
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        self.sent += 1
        frame = self.on_send(message)
        assert self.peer is not None
        if frame is not None:
            await self.peer._put(frame)

    async def recv(self) -> bytes:
        frame = await self._inbox.get()
        if frame is None:
            self._inbox.put_nowait(None)
            raise ConnectionResetError("the line is cut")
        return frame

    async def close(self) -> None:
        self.closed = True
        self.cut()
        if self.stuck_closing:
            await asyncio.get_running_loop().create_future()

    def cut(self) -> None:
        """Let both ends see that the line is gone, at once: what was under way is lost to nobody who still reads."""
        for end in (self, self.peer):
            assert end is not None
            if not end._gone.is_set():
                end._gone.set()
                if end._inbox.full():
                    end._inbox.get_nowait()
                end._inbox.put_nowait(None)

    async def _put(self, frame: bytes) -> None:
        if self._gone.is_set():
            raise ConnectionResetError("the line is cut")
        await self._inbox.put(frame)


def pair() -> tuple[End, End]:
    """Return the two ends of a line."""
    one, other = End(), End()
    one.peer, other.peer = other, one
    return one, other
