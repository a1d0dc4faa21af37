"""Runs one sans-IO session over one message connection.

Three tasks: a reader that feeds frames in and hands events out, a writer that sends what the session has queued, and
a clock that keeps heartbeats and deadlines. The laptop's link and the agent's server are both this driver with
another session and another connection; neither websockets nor sockets are known here.

Data flows connection -> session -> `on_event`, and `send`/`send_bulk` -> session -> connection. The driver decides
nothing about the protocol: what is legal, what is sent first and when a silent peer is given up is the session's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from devloop import errors
from devloop.protocol import messages, session

# How long the last frames may take to leave, once the session has closed.
CLOSE_TIMEOUT_S: Final = 2.0

# Small frames leave together, up to about this much: every write costs each hop on the way a wake-up.
TOGETHER_BYTES: Final = 64 * 1024

# The clock looks at least this often, in case the loop's time jumps with a sleeping machine.
LONGEST_TICK_S: Final = 1.0


class Connection(Protocol):
    """What the driver needs of a connection: whole binary messages, in order."""

    async def send(self, *messages: bytes) -> None:
        """Send messages; wait while the connection's buffer is full. Raises ConnectionError when it is gone."""

    async def recv(self) -> bytes:
        """Return the next message. Raises ConnectionError at its end."""

    async def close(self) -> None:
        """Close it; never raises. When cancelled it is cut off at once."""


class Driver:
    """One session on one connection.

    Args:
        half: The sans-IO session, fresh.
        connection: Open, and owned by the driver from now on.
        on_event: Called with each event in order, `Closed` last, in the loop's thread. It must not block; a
            `DevloopError` from it ends the link, and the peer is told.
    """

    def __init__(
        self, half: session.Session, connection: Connection, on_event: Callable[[session.Event], None]
    ) -> None:
        self.session = half
        self._connection = connection
        self._on_event = on_event
        self._frames = asyncio.Event()
        self._room = asyncio.Event()
        self._closing = asyncio.Event()
        self._drained = asyncio.Event()
        self._handing_out = False
        self._error: errors.DevloopError | None = None

    async def run(self) -> None:
        """Drive the session until it is closed by either side, then close the connection.

        However the session ends, this does within `CLOSE_TIMEOUT_S` for the last frames and as much for the connection.

        Raises:
            DevloopError: What ended the session, where that is an error for this side: the connection broke, the
                peer broke the protocol, was silent, or refused.

        Cancellation: the peer is told, if it still listens; the connection is closed and nothing is left behind.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part()) for part in (self._read, self._write, self._tick)]
                try:
                    await self._closing.wait()
                except asyncio.CancelledError:
                    self.close(messages.Bye(messages.Refusal.STOPPING, f"the {self.session.role} stops"))
                    raise
                finally:
                    await self._until_drained()
                    for task in tasks:
                        task.cancel()
        finally:
            self._closing.set()
            self._room.set()
            # A connection that does not even close in time has cut itself off when it is cancelled.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._connection.close()
        if self._error is not None:
            raise self._error

    async def _until_drained(self) -> None:
        """Wait until the peer was told what it must still be told, unless it has stopped listening."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._drained.wait()

    def send(self, message: messages.Control) -> None:
        """Send a control message. On a link that has ended it is dropped: `run` tells of the end."""
        self.session.send(message)
        # Sending may be an event too: a session opens when its agent sends `Welcome`.
        self._hand_out()

    async def send_bulk(self, message: messages.Bulk) -> None:
        """Send a bulk message as soon as its stream has credit and the window has room.

        Raises:
            LinkError: The link has ended.
        """
        size = len(message.data)
        while not self._closing.is_set():
            if self.session.can_send(message.stream, size):
                self.session.send_bulk(message)
                self._frames.set()
                return
            self._room.clear()
            await self._room.wait()
        raise errors.LinkError("the link has ended")

    def try_bulk(self, message: messages.Bulk) -> bool:
        """Send a bulk message if it may be sent now; say whether it was."""
        if not self.session.can_send(message.stream, len(message.data)):
            return False
        self.session.send_bulk(message)
        self._frames.set()
        return True

    async def room(self) -> None:
        """Wait until there may be room for what `try_bulk` has refused.

        Raises:
            LinkError: The link has ended.
        """
        if not self._closing.is_set():
            self._room.clear()
            await self._room.wait()
        if self._closing.is_set():
            raise errors.LinkError("the link has ended")

    async def can_begin(self, ops: int) -> None:
        """Wait until the peer takes another batch.

        Args:
            ops: How many ops it has.

        Raises:
            LinkError: The link has ended.
        """
        while not self._closing.is_set():
            if self.session.can_begin(ops):
                return
            self._room.clear()
            await self._room.wait()
        raise errors.LinkError("the link has ended")

    def consumed(self, stream: int, cost: int) -> None:
        """Give back credit for bulk that has been dealt with: `messages.cost` of what came."""
        self.session.consumed(stream, cost)
        self._wake_writer()

    def close(self, bye: messages.Bye) -> None:
        """Say goodbye, and end the link once that is sent."""
        self.session.close(bye)
        self._hand_out()

    def fail(self, error: errors.DevloopError) -> None:
        """End the link because of an error, which `run` then raises."""
        self.session.fail(error)
        self._hand_out()

    @property
    def closed(self) -> bool:
        """The link has ended, or is about to."""
        return self._closing.is_set()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame = await self._connection.recv()
                self.session.receive(frame, loop.time())
                self._hand_out()
        except OSError as error:
            self._lost(error)
        except errors.DevloopError as error:
            self.fail(error)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                frames = self._next_frames(loop.time())
                if frames:
                    await self._connection.send(*frames)
                    # Frames that left make room for the next bulk.
                    self._room.set()
                    continue
                if self.session.closed:
                    return
                self._frames.clear()
                await self._frames.wait()
        except OSError as error:
            self._lost(error)
        finally:
            self._drained.set()

    def _next_frames(self, now_s: float) -> list[bytes]:
        """Return the frames that leave now."""
        frames: list[bytes] = []
        size = 0
        while size < TOGETHER_BYTES and (frame := self.session.next_frame(now_s)) is not None:
            frames.append(frame)
            size += len(frame)
        return frames

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            left_s = self.session.next_tick_s - loop.time()
            await asyncio.sleep(min(LONGEST_TICK_S, max(0.01, left_s)))
            self.session.tick(loop.time())
            self._hand_out()

    def _lost(self, error: OSError) -> None:
        """Take up that the connection is gone: nobody is left to be told anything."""
        self.session.receive_eof(f"the connection ended: {error}")
        self._drained.set()
        self._hand_out()

    def _hand_out(self) -> None:
        """Hand out what happened, in order, each event before the next although handlers act on the session."""
        if self._handing_out:
            return
        self._handing_out = True
        try:
            while found := self.session.events():
                for event in found:
                    self._hand_out_one(event)
        finally:
            self._handing_out = False
        self._wake_writer()
        self._room.set()

    def _wake_writer(self) -> None:
        """Let the writer go on where there is something for it: on a busy link most of what comes needs no answer."""
        if self.session.has_frames or self.session.closed:
            self._frames.set()

    def _hand_out_one(self, event: session.Event) -> None:
        if isinstance(event, session.Closed):
            self._error = event.error
            self._closing.set()
        elif self.session.closed:
            # A handler has ended the link: what came with the same frame is not acted upon any more.
            return
        try:
            self._on_event(event)
        except errors.DevloopError as error:
            # What came breaks a rule that only the handler knows; the peer is told which.
            self.session.fail(error)
