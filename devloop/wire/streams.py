"""The byte streams of one link: connections of one side's world, made and carried by the other.

Both sides use this over their `wire.driver`. One `Streams` belongs to one link and ends with it::

    streams = Streams(link, group, on_dial=handler)     once the session is open, where both name `version.STREAMS`
    streams.take(event)                                 each event of the driver; True where it was about streams
    streams.end()                                       when the link has ended, if `take` did not see `Closed`

The laptop's side opens streams by `dial`, and is a `channel.Carrier`; by `listen` it has the agent listen on a port of
the pod. The side that is asked to connect gets a `Call`: its handler connects, then `accept`s, or raises `DialError`.
What is open is a `channel.Channel`.

Nothing here waits while it takes an event, so streams never hold up the link's reader: what has come waits in its
stream, within the credit that the stream has. Credit is given back only for what was taken. Where the link has no
room, streams take turns; what is urgent (`devloop.protocol.streams`) passes those that wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, cast

from devloop import errors
from devloop.protocol import messages, session
from devloop.wire import driver

READ_BYTES: Final = 256 * 1024
"""`Stream.read` joins what has come in small pieces up to this much."""

LISTEN_TIMEOUT_S: Final = 10.0
"""How long the agent may take to listen."""

_LINK_ENDED: Final = "the link has ended"


class Stream:
    """One open stream, a `channel.Channel`; made by `Streams` only.

    Attributes:
        address: What the other side is connected to, for people; empty where it did not say.
    """

    def __init__(self, owner: Streams, link: driver.Driver, turn: asyncio.Lock, number: int) -> None:
        self.address = ""
        self._owner = owner
        self._link = link
        self._turn = turn
        self._number = number
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

    # ---- for Streams -----------------------------------------------------------------------------------------

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
        self._owner.forget(self._number)
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
                    raise ConnectionResetError(_LINK_ENDED) from error

    def _require_open(self) -> None:
        if self._broken or self._said_eof or self._link.closed:
            raise ConnectionResetError(self._broken or (_LINK_ENDED if self._link.closed else "this way has ended"))

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _forget_if_done(self) -> None:
        if self._said_eof and self._got_eof:
            self._owner.forget(self._number)


class Call:
    """A stream that the other side wants opened, until it is answered; made by `Streams` only.

    Attributes:
        host: Where to, as it was asked; empty for a connection that a listener took.
        port: The port; for a connection that a listener took the listener's.
        peer: Who has connected to the listener, for people; empty where it was none.
    """

    def __init__(self, owner: Streams, stream: Stream, number: int, host: str, port: int, peer: str) -> None:
        self.host = host
        self.port = port
        self.peer = peer
        self._owner = owner
        self._stream = stream
        self._number = number
        self._answered = False

    def accept(self, address: str = "") -> Stream:
        """Say that the connection is made, and return the stream.

        Args:
            address: What is connected, for people.
        """
        self._answer(messages.Dialled(self._number, address=address[: messages.MAX_WORDS_CHARS]))
        return self._stream

    def refuse(self, error: errors.DialError) -> None:
        """Say that it is not; does nothing where it was answered."""
        if not self._answered:
            bound = messages.MAX_WORDS_CHARS
            self._answer(messages.Dialled(self._number, error.why, error.message[:bound], error.hint[:bound]))
            self._stream.break_off("the connection was refused")

    def _answer(self, message: messages.Dialled) -> None:
        self._answered = True
        self._owner.answer(message)


Handler = Callable[[Call], Awaitable[None]]
"""Connects to what a call wants, accepts, and carries until the end; or raises `DialError`. Cancelled where the other
side gives up or the link ends. A stream that is not complete when it returns is reset."""


class Listener:
    """A port of the pod on which the agent listens; made by `Streams.listen`."""

    def __init__(self, owner: Streams, number: int) -> None:
        self._owner = owner
        self._number = number

    def close(self) -> None:
        """Stop listening; connections that were taken stay. Does nothing twice, or when the link has ended."""
        self._owner.unlisten(self._number)


class Streams:
    """All streams of one link; see the module.

    Args:
        link: Its driver, whose session is open.
        group: Where handlers run.
        on_dial: Makes the connections that the other side asks for; None refuses all.
        on_listen: Told what is to be listened on, and no longer (the agent); answers by `listening`.
    """

    def __init__(
        self,
        link: driver.Driver,
        group: asyncio.TaskGroup,
        *,
        on_dial: Handler | None = None,
        on_listen: Callable[[messages.Listen | messages.Unlisten], None] | None = None,
    ) -> None:
        self._link = link
        self._group = group
        self._on_dial = on_dial
        self._on_listen = on_listen
        self._turn = asyncio.Lock()
        self._streams: dict[int, Stream] = {}
        self._answers: dict[int, asyncio.Future[messages.Dialled]] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._listeners: dict[int, tuple[int, Handler]] = {}
        self._listening: dict[int, asyncio.Future[messages.Listening]] = {}

    def __len__(self) -> int:
        return len(self._streams)

    # ---- opening ---------------------------------------------------------------------------------------------

    async def dial(self, host: str, port: int, *, timeout_s: float) -> Stream:
        """Have the agent connect, and return the stream; see `channel.Carrier`.

        Raises:
            DialError: It was refused or took too long; the link is well.
            LinkError: The link has ended.
        """
        if not 0 < len(host) <= messages.MAX_HOST_CHARS:
            raise errors.DialError(f"{host[:80]!r} is not a name", why=errors.Refused.NAME)
        return await self._open(lambda number: messages.Dial(number, host, port), f"{host}:{port}", timeout_s)

    async def announce(self, listener: int, peer: str, *, timeout_s: float) -> Stream:
        """Hand a connection that a listener took to the laptop, and return the stream; see `dial` (the agent)."""
        return await self._open(lambda number: messages.Accepted(number, listener, peer), "the laptop", timeout_s)

    async def listen(self, port: int, handler: Handler) -> Listener:
        """Have the agent listen on a port of the pod's loopback.

        Args:
            port: The port.
            handler: Called for each connection.

        Raises:
            DialError: The port cannot be had; the hint says why.
            LinkError: The link has ended.
        """
        self._require_link()
        number = self._link.session.next_listener
        self._listeners[number] = (port, handler)
        answer = self._listening[number] = asyncio.get_running_loop().create_future()
        told: messages.Listening | None = None
        try:
            self._link.send(messages.Listen(number, port))
            async with asyncio.timeout(LISTEN_TIMEOUT_S):
                told = await answer
        except TimeoutError:
            raise errors.DialError(f"the agent does not listen on port {port}: no answer") from None
        finally:
            del self._listening[number]
            if told is None:
                self.unlisten(number)
        if told.error:
            self._listeners.pop(number, None)
            raise errors.DialError(told.error, hint=told.hint, why=errors.Refused.PORT)
        return Listener(self, number)

    # ---- what comes ------------------------------------------------------------------------------------------

    def take(self, event: session.Event) -> bool:
        """Take up an event of the link; never waits.

        Returns:
            Whether it was about streams. `Closed` ends them all, and is others' business too.
        """
        match event:
            case messages.Data():
                self._of(event.stream).take_data(event.data)
            case session.Granted():
                for number in event.streams:
                    if number in self._streams:
                        self._streams[number].take_grant()
            case messages.Eof():
                self._of(event.stream).take_eof()
            case messages.Reset():
                self._reset(event)
            case messages.Dialled():
                self._answered(event)
            case messages.Dial():
                self._called(event.stream, event.host, event.port, "", self._on_dial)
            case messages.Accepted():
                port, handler = self._listeners.get(event.number, (0, None))
                self._called(event.stream, "", port, event.peer, handler)
            case messages.Listening():
                if event.number in self._listening and not self._listening[event.number].done():
                    self._listening[event.number].set_result(event)
            case messages.Listen() | messages.Unlisten():
                if self._on_listen is not None:
                    self._on_listen(event)
            case session.Closed():
                self.end()
                return False
            case _:
                return False
        return True

    def end(self) -> None:
        """Take up that the link has ended: reset every stream, at once. Does nothing twice."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(errors.LinkError(_LINK_ENDED))
        for listening in self._listening.values():
            if not listening.done():
                listening.set_exception(errors.LinkError(_LINK_ENDED))
        for stream in list(self._streams.values()):
            stream.break_off(_LINK_ENDED)
        for task in self._calls.values():
            task.cancel()
        self._listeners.clear()

    # ---- for its parts ---------------------------------------------------------------------------------------

    def forget(self, number: int) -> None:
        """Forget a stream of which nothing more can come."""
        self._streams.pop(number, None)

    def answer(self, message: messages.Dialled) -> None:
        """Answer a call; of a stream that is gone nobody waits for it."""
        if message.stream in self._link.session.streams:
            self._link.send(message)

    def listening(self, number: int, error: str = "", hint: str = "") -> None:
        """Say that a listener takes connections, or why it does not (the agent)."""
        bound = messages.MAX_WORDS_CHARS
        self._link.send(messages.Listening(number, error[:bound], hint[:bound]))

    def unlisten(self, number: int) -> None:
        """Close a listener (the laptop)."""
        if self._listeners.pop(number, None) is not None and not self._link.closed:
            self._link.send(messages.Unlisten(number))

    # ---- its own ---------------------------------------------------------------------------------------------

    async def _open(
        self, make: Callable[[int], messages.Dial | messages.Accepted], where: str, timeout_s: float
    ) -> Stream:
        self._require_link()
        account = self._link.session.streams
        if not account.can_open():
            raise errors.DialError(
                f"{len(account)} connections are open already", hint="close some", why=errors.Refused.LIMIT
            )
        number = account.next_number
        stream = self._streams[number] = Stream(self, self._link, self._turn, number)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        told: messages.Dialled | None = None
        try:
            self._link.send(make(number))
            async with asyncio.timeout(timeout_s):
                told = await answer
        except TimeoutError:
            raise errors.DialError(f"{where} did not answer within {timeout_s:.0f} s") from None
        finally:
            del self._answers[number]
            if told is None:
                stream.reset("nobody waits for it any more")
        if told.why:
            stream.break_off("the connection was refused")
            raise errors.DialError(told.message, hint=told.hint, why=_kind(told.why))
        stream.address = told.address
        return stream

    def _answered(self, message: messages.Dialled) -> None:
        answer = self._answers.get(message.stream)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _of(self, number: int) -> Stream:
        stream = self._streams.get(number)
        if stream is None:
            raise errors.LocalProtocolError(f"stream {number} is open and nobody has it", where="stream")
        return stream

    def _reset(self, message: messages.Reset) -> None:
        answer = self._answers.get(message.stream)
        if answer is not None and not answer.done():
            answer.set_result(messages.Dialled(message.stream, errors.Refused.UNREACHABLE, message.why or "reset"))
        stream = self._streams.get(message.stream)
        if stream is not None:
            stream.break_off(f"the other side has reset the stream: {message.why}")
        if message.stream in self._calls:
            self._calls[message.stream].cancel()

    def _called(self, number: int, host: str, port: int, peer: str, handler: Handler | None) -> None:
        stream = self._streams[number] = Stream(self, self._link, self._turn, number)
        call = Call(self, stream, number, host, port, peer)
        if handler is None:
            call.refuse(errors.DialError("nobody takes this connection any more", why=errors.Refused.PORT))
        else:
            self._calls[number] = self._group.create_task(self._serve(call, stream, number, handler))

    async def _serve(self, call: Call, stream: Stream, number: int, handler: Handler) -> None:
        try:
            await handler(call)
        except errors.DialError as error:
            call.refuse(error)
        finally:
            del self._calls[number]
            call.refuse(errors.DialError("the connection was given up"))
            stream.reset("the other end is gone")

    def _require_link(self) -> None:
        if self._link.closed:
            raise errors.LinkError(_LINK_ENDED)


def _data(number: int, piece: memoryview) -> messages.Data:
    """Return a message that is encoded at once: the encoder copies from any buffer, so that nobody else has to."""
    return messages.Data(number, cast(bytes, piece))


def _kind(why: str) -> errors.Refused:
    try:
        return errors.Refused(why)
    except ValueError:
        return errors.Refused.UNREACHABLE
