"""One accepted connection, while there is nobody yet to carry it and after.

While it waits, what the client sends is taken up here, up to a bound, so that it is seen when the client leaves. The
bytes are not lost: they go first to whoever carries the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final

# A client that waits may say so much; the rest stays in the system's buffers. It is less than what a stream may send
# before the other side reads, so that handing it over never waits.
KEPT_BYTES: Final = 32 * 1024

# Close by a reset, whatever is unsent: `struct linger` with no time to linger.
_RESET: Final = struct.pack("ii", 1, 0)


class Client:
    """An accepted connection.

    Args:
        connection: The socket, not blocking; closed by `close` or `reset`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._kept = bytearray()
        self._gone: asyncio.Future[None] | None = None
        self._looking = False
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def gone(self) -> asyncio.Future[None]:
        """Begin to look whether the client leaves; `unwatch` ends it.

        A client that only ends its own way after it has said something is not gone: it waits for the answer.

        Returns:
            Done once it has left.
        """
        loop = asyncio.get_running_loop()
        if self._gone is None:
            self._gone = loop.create_future()
        if not self._looking and not self._gone.done() and len(self._kept) < KEPT_BYTES:
            self._looking = True
            loop.add_reader(self.socket, self._look)
        return self._gone

    def unwatch(self) -> None:
        """Look no more."""
        if self._looking:
            self._looking = False
            asyncio.get_running_loop().remove_reader(self.socket)

    def kept(self) -> bytes:
        """Return what the client has said while it was watched; it is the caller's from now on."""
        found = bytes(self._kept)
        self._kept.clear()
        return found

    def keep(self, data: bytes) -> None:
        """Put back what was read and belongs to whoever carries the connection."""
        self._kept += data

    def close(self) -> None:
        """End the connection in order."""
        self.unwatch()
        self.socket.close()

    def reset(self) -> None:
        """End the connection at once, so that the client sees an error and not the end of an answer."""
        self.unwatch()
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()

    def _look(self) -> None:
        assert self._gone is not None
        try:
            data = self.socket.recv(KEPT_BYTES - len(self._kept))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._leave()
            return
        self._kept += data
        if not data and not self._kept:
            self._leave()
        elif not data or len(self._kept) >= KEPT_BYTES:
            # It has ended its way, and reading on would find that again and again.
            self.unwatch()

    def _leave(self) -> None:
        self.unwatch()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
