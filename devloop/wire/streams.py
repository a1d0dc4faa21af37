"""The byte streams of one link: connections of one side's world, made and carried by the other.

Both sides use this over their `wire.driver`. One `Streams` belongs to one link and ends with it::

    streams = Streams(link, group, on_dial=handler)     once the session is open, where both name `version.STREAMS`
    streams.take(event)                                 each event of the driver; True where it was about streams
    streams.end()                                       when the link has ended, if `take` did not see `Closed`

The laptop's side opens streams by `dial`, and is a `channel.Carrier`; by `listen` it has the agent listen on a port of
the pod. The side that is asked to connect gets a `Call`: its handler connects, then `accept`s, or raises `DialError`.
What is open is a `stream.Stream`, which is a `channel.Channel`.

Nothing here waits while it takes an event, so streams never hold up the link's reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from devloop import errors
from devloop.protocol import messages, session
from devloop.wire import driver, stream

LISTEN_TIMEOUT_S: Final = 10.0
"""How long the agent may take to listen."""


class Call:
    """A stream that the other side wants opened, until it is answered; made by `Streams` only.

    Attributes:
        host: Where to, as it was asked; empty for a connection that a listener took.
        port: The port; for a connection that a listener took the listener's.
        peer: Who has connected to the listener, for people; empty where it was none.
    """

    def __init__(self, owner: Streams, opened: stream.Stream, number: int, host: str, port: int, peer: str) -> None:
        self.host = host
        self.port = port
        self.peer = peer
        self._owner = owner
        self._stream = opened
        self._number = number
        self._answered = False

    def accept(self, address: str = "") -> stream.Stream:
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
        self._streams: dict[int, stream.Stream] = {}
        self._answers: dict[int, asyncio.Future[messages.Dialled]] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._listeners: dict[int, tuple[int, Handler]] = {}
        self._listening: dict[int, asyncio.Future[messages.Listening]] = {}

    def __len__(self) -> int:
        return len(self._streams)

    # ---- opening ---------------------------------------------------------------------------------------------

    async def dial(self, host: str, port: int, *, timeout_s: float) -> stream.Stream:
        """Have the agent connect, and return the stream; see `channel.Carrier`.

        Raises:
            DialError: It was refused or took too long; the link is well.
            LinkError: The link has ended.
        """
        if not 0 < len(host) <= messages.MAX_HOST_CHARS:
            raise errors.DialError(f"{host[:80]!r} is not a name", why=errors.Refused.NAME)
        return await self._open(lambda number: messages.Dial(number, host, port), f"{host}:{port}", timeout_s)

    async def announce(self, listener: int, peer: str, *, timeout_s: float) -> stream.Stream:
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
                answer.set_exception(errors.LinkError(stream.LINK_ENDED))
        for listening in self._listening.values():
            if not listening.done():
                listening.set_exception(errors.LinkError(stream.LINK_ENDED))
        for one in list(self._streams.values()):
            one.break_off(stream.LINK_ENDED)
        for task in self._calls.values():
            task.cancel()
        self._listeners.clear()

    # ---- for its parts ---------------------------------------------------------------------------------------

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
    ) -> stream.Stream:
        self._require_link()
        account = self._link.session.streams
        if not account.can_open():
            raise errors.DialError(
                f"{len(account)} connections are open already", hint="close some", why=errors.Refused.LIMIT
            )
        number = account.next_number
        opened = self._new(number)
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
                opened.reset("nobody waits for it any more")
        if told.why:
            opened.break_off("the connection was refused")
            raise errors.DialError(told.message, hint=told.hint, why=_kind(told.why))
        opened.address = told.address
        return opened

    def _new(self, number: int) -> stream.Stream:
        made = self._streams[number] = stream.Stream(self._link, self._turn, number, self._forget)
        return made

    def _answered(self, message: messages.Dialled) -> None:
        answer = self._answers.get(message.stream)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)

    def _of(self, number: int) -> stream.Stream:
        found = self._streams.get(number)
        if found is None:
            raise errors.LocalProtocolError(f"stream {number} is open and nobody has it", where="stream")
        return found

    def _reset(self, message: messages.Reset) -> None:
        answer = self._answers.get(message.stream)
        if answer is not None and not answer.done():
            answer.set_result(messages.Dialled(message.stream, errors.Refused.UNREACHABLE, message.why or "reset"))
        found = self._streams.get(message.stream)
        if found is not None:
            found.break_off(f"the other side has reset the stream: {message.why}")
        if message.stream in self._calls:
            self._calls[message.stream].cancel()

    def _called(self, number: int, host: str, port: int, peer: str, handler: Handler | None) -> None:
        opened = self._new(number)
        call = Call(self, opened, number, host, port, peer)
        if handler is None:
            call.refuse(errors.DialError("nobody takes this connection any more", why=errors.Refused.PORT))
        else:
            self._calls[number] = self._group.create_task(self._serve(call, opened, number, handler))

    async def _serve(self, call: Call, opened: stream.Stream, number: int, handler: Handler) -> None:
        try:
            await handler(call)
        except errors.DialError as error:
            call.refuse(error)
        finally:
            del self._calls[number]
            call.refuse(errors.DialError("the connection was given up"))
            opened.reset("the other end is gone")

    def _require_link(self) -> None:
        if self._link.closed:
            raise errors.LinkError(stream.LINK_ENDED)


def _kind(why: str) -> errors.Refused:
    try:
        return errors.Refused(why)
    except ValueError:
        return errors.Refused.UNREACHABLE
