"""One open byte stream: a `channel.Channel` over a link's driver, on either side.

What has come waits here until it is read, within the credit that the stream has; credit is given back only for what was
taken. What is written goes at once where the stream has credit and the link has room; else the streams of a link take
turns, and what is urgent (`devloop.protocol.streams`) passes those that wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from devloop import errors
from devloop.protocol import messages
from devloop.wire import driver

READ_BYTES: Final = 256 * 1024
"""`Stream.read` joins what has come in small pieces up to this much."""

LINK_ENDED: Final = "the link has ended"
"""Why everything of a link that is gone is gone."""


class Stream:
    """One open stream; made by `streams.Streams` only.

    Args:
        link: What carries it.
        turn: Held by the one stream of the link that waits for room.
        number: Its number.
        forget: Called with the number when nothing more can come.

    Attributes:
        address: What the other side is connected to, for people; empty where it did not say.
    """

    def __init__(self, link: driver.Driver, turn: asyncio.Lock, number: int, forget: Callable[[int], None]) -> None:
        self.address = ""
        self._link = link
        self._turn = turn
        self._number = number
        self._forget = forget
        self._inbox: deque[bytes] = deque()
        self._taken = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._got_eof = self._said_eof = False
        self._broken = ""
        self._watching: asyncio.Future[None] | None = None

    # ---- channel.Channel -------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Return the next bytes, at most `READ_BYTES`; empty at the end of the other side's way.

        Raises:
            ConnectionResetError: The stream was reset, or the link has ended.
        """
        if self._taken:
            self._link.consumed(self._number, self._taken)
            self._taken = 0
        while not self._inbox and not self._got_eof and not self._broken:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._broken:
            raise ConnectionResetError(self._broken)
        return self._next() if self._inbox else b""

    async def write(self, data: bytes | memoryview) -> None:
        """Send bytes; wait while the stream has no credit or the link no room.

        Raises:
            ConnectionResetError: The stream was reset, or the link has ended.
        """
        left = memoryview(data)
        while left:
            self._require_open()
            size = self._link.session.stream_room(self._number, len(left))
            if not size:
                self._writer = asyncio.get_running_loop().create_future()
                await self._writer
            elif self._may_pass(size) and self._link.try_bulk(_data(self._number, left[:size])):
                left = left[size:]
            else:
                left = left[await self._in_turn(left) :]

    async def write_eof(self) -> None:
        """End this side's way; does nothing when it has ended.

        Raises:
            ConnectionResetError: The stream was reset, or the link has ended.
        """
        if not self._said_eof:
            self._require_open()
            self._said_eof = True
            self._link.send(messages.Eof(self._number))
            self._forget_if_done()

    def reset(self, why: str = "") -> None:
        """End both ways at once, and tell the other side; does nothing on a stream that has ended."""
        if not self._broken and not self.is_complete:
            # A stream that has ended both ways may still have its credit in what nobody will read.
            self._link.send(messages.Reset(self._number, why[: messages.MAX_WORDS_CHARS]))
            self.break_off("the stream was reset")

    # ---- for streams.Streams ---------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Both ways have ended, and everything that came was taken."""
        return self._said_eof and self._got_eof and not self._inbox

    def take_data(self, data: bytes) -> None:
        """Keep bytes that came until they are read."""
        self._inbox.append(data)
        self._wake_reader()

    def take_eof(self) -> None:
        """Take up that the other side's way has ended."""
        self._got_eof = True
        self._forget_if_done()
        self._wake_reader()

    def take_grant(self) -> None:
        """Take up that there may be credit again."""
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def break_off(self, why: str) -> None:
        """Take up that the stream is gone: reading and writing raise from now on, and nothing is kept."""
        self._broken = self._broken or why
        self._inbox.clear()
        self._taken = 0
        self._forget(self._number)
        self._wake_reader()
        self.take_grant()
        if self._watching is not None and not self._watching.done():
            self._watching.set_result(None)

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Set a future when the stream is reset, for somebody who waits for something else meanwhile; see `pump`."""
        self._watching = waiting
        if self._broken and not waiting.done():
            waiting.set_result(None)

    # ---- its own ---------------------------------------------------------------------------------------------

    def _next(self) -> bytes:
        data = self._inbox.popleft()
        self._taken = len(data) + messages.FRAME_COST_BYTES
        if not self._inbox or len(data) + len(self._inbox[0]) > READ_BYTES:
            return data
        parts, size = [data], len(data)
        while self._inbox and size + len(self._inbox[0]) <= READ_BYTES:
            parts.append(self._inbox.popleft())
            size += len(parts[-1])
        self._taken = size + len(parts) * messages.FRAME_COST_BYTES
        return b"".join(parts)

    def _may_pass(self, size: int) -> bool:
        """Say whether a message need not queue behind the streams that wait for room."""
        return not self._turn.locked() or self._link.session.is_stream_urgent(self._number, size)

    async def _in_turn(self, data: memoryview) -> int:
        """Wait for this stream's turn and for room on the link, and send one message; return how much it holds."""
        async with self._turn:
            while True:
                self._require_open()
                size = self._link.session.stream_room(self._number, len(data))
                if not size or self._link.try_bulk(_data(self._number, data[:size])):
                    return size
                try:
                    await self._link.room()
                except errors.LinkError as error:
                    raise ConnectionResetError(LINK_ENDED) from error

    def _require_open(self) -> None:
        if self._broken or self._said_eof or self._link.closed:
            raise ConnectionResetError(self._broken or (LINK_ENDED if self._link.closed else "this way has ended"))

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _forget_if_done(self) -> None:
        if self._said_eof and self._got_eof:
            self._forget(self._number)


def _data(number: int, piece: memoryview) -> messages.Data:
    """Return a message that is encoded at once: the encoder copies from any buffer, so that nobody else has to."""
    return messages.Data(number, cast(bytes, piece))
