"""One side of a link, without the link: what both halves have in common.

A shell (the laptop's transport, the agent's server) owns the connection, the clock and the threads, and drives a
session with a few verbs. It hands in what came and takes out what is to go:

    session.receive(frame, now_s)            for each frame that came; `receive_eof` when the connection ended
    for event in session.events(): ...       what the frames meant
    session.send(message)                    control messages: go at once
    if session.can_send(stream, size):       bulk messages: go when there is credit
        session.send_bulk(message)
    session.consumed(stream, size)           bulk that came was dealt with
    while (frame := session.next_frame(now_s)) is not None: ...
    session.tick(now_s)                      no later than `next_tick_s`

After each of them the shell takes frames until there are none, and asks `events`. What `can_send` refused may go
after frames were taken or a frame came; whoever has several streams with bulk asks last for the one that sent
last, so that none takes all the room. The shell never stops reading: credit bounds what the peer may send.

A session that has closed takes everything and does nothing: messages given to it are dropped, since the link is
gone; the shell hears of it by `Closed`. A session is used by one thread at a time.
"""

from __future__ import annotations

import abc
import math
from typing import ClassVar, Final

from devloop import __version__, errors
from devloop.protocol import codec, farewell, flow, handshake, link, listeners, messages, state, streams, version
from devloop.protocol.events import Authenticated, Closed, Event, Granted, Opened
from devloop.protocol.link import Statistics

__all__ = ["Authenticated", "Closed", "Event", "Granted", "Opened", "Session", "Statistics"]


# What is about byte streams and needs no credit, the same for both halves.
_OF_STREAMS: Final = (
    messages.Dial,
    messages.Dialled,
    messages.Listen,
    messages.Listening,
    messages.Unlisten,
    messages.Accepted,
    messages.Eof,
    messages.Reset,
)


class Session(abc.ABC):
    """What `LaptopSession` and `AgentSession` share; see the module.

    Args:
        key: The agent's key.
        nonce: 32 random bytes, never used before.
        now_s: The time by any clock that does not go back; all other times are by the same clock.

    Raises:
        LocalProtocolError: The nonce has another length.
    """

    role: ClassVar[state.Role]

    def __init__(self, key: bytes, nonce: bytes, now_s: float) -> None:
        self._handshake = handshake.Handshake(self.role, key, nonce, __version__)
        self._state = state.State.AWAIT_NONCE
        self._events: list[Event] = []
        self._link = link.Link(now_s)
        self._listeners = listeners.Listeners()
        self._own_hello: messages.AgentHello | messages.LaptopHello | None = None
        self._peer_hello: messages.AgentHello | messages.LaptopHello | None = None
        self.features: frozenset[str] = frozenset()
        """What both sides can do; empty until open."""
        self._say(self._handshake.first)

    # ---- what came -------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, now_s: float) -> None:
        """Take a frame that came. Never raises for what is in it: a bad frame closes the session.

        Args:
            frame: One whole frame.
            now_s: The time.
        """
        if self.closed:
            return
        try:
            max_bytes = codec.MAX_FRAME_BYTES if self._proved else codec.MAX_STRANGER_FRAME_BYTES
            message = self._link.receive(frame, max_bytes, now_s)
            self._state = state.after_receiving(self.role, self._state, type(message))
            self._handle(message)
        except errors.LinkError as error:
            self.fail(error)

    def receive_eof(self, why: str = "the connection ended") -> None:
        """Note that the connection has ended without a `Bye`.

        Args:
            why: What is known of it, for people.
        """
        if not self.closed:
            self._shut(Closed(errors.LinkError(why), by_peer=True))

    def events(self) -> list[Event]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    # ---- what goes -------------------------------------------------------------------------------------------

    def send(self, message: messages.Control) -> None:
        """Send a control message.

        It goes before all bulk, except that it keeps its order with what belongs to the same stream. A message that
        begins or ends a stream (`Begin`, `Commit`, `Request`, …) keeps the stream's account by that.

        Raises:
            LocalProtocolError: It may not be sent now, or is too large. Nothing was sent.
        """
        if isinstance(message, messages.Bye):
            self.close(message)
        elif not self.closed:
            if isinstance(message, messages.Bulk):
                raise errors.LocalProtocolError("bulk goes through send_bulk", where=type(message).__name__)
            self._require_feature(message, errors.LocalProtocolError)
            after = state.after_sending(self.role, self._state, type(message))
            if isinstance(message, _OF_STREAMS):
                if self._listeners.check(message, errors.LocalProtocolError, crossed=False):
                    self._link.queue_stream(message)
            else:
                self._transmit(message)
            self._state = after
            self._sent(message)

    def can_open(self) -> bool:
        """Say whether the peer takes another batch or answer now."""
        return not self.closed and self._link.outgoing.can_open()

    def can_begin(self, ops: int) -> bool:
        """Say whether the peer takes a batch of so many ops now. Only the laptop's half has more to say to that."""
        return self.can_open()

    def can_send(self, stream: int, size: int) -> bool:
        """Say whether a bulk message may be sent now.

        Args:
            stream: Its stream.
            size: How long its `data` is, in bytes.

        Returns:
            Whether there is credit and room. True of a closed session, which drops everything.

        Raises:
            LocalProtocolError: There is no such stream.
        """
        return self.closed or self._link.can_send(stream, size + messages.FRAME_COST_BYTES)

    def send_bulk(self, message: messages.Bulk) -> None:
        """Send a bulk message that `can_send` allowed.

        Raises:
            LocalProtocolError: It has no credit, its stream is not open, or it is too large. Nothing was sent.
        """
        if self.closed:
            return
        self._require_feature(message, errors.LocalProtocolError)
        state.after_sending(self.role, self._state, type(message))
        self._link.queue_bulk(message)

    @property
    def frame_bytes(self) -> int:
        """How much `data` a bulk message should hold now: little on a slow link, so that frames take turns."""
        return self._link.frame_bytes

    def consumed(self, stream: int, size: int) -> None:
        """Give back credit for bulk that came and was dealt with.

        Args:
            stream: Its stream.
            size: `messages.cost` of the messages, in bytes.

        Raises:
            LocalProtocolError: More is given back than came.
        """
        if self.closed:
            return
        if stream >= messages.FIRST_STREAM:
            self._link.streams.consumed(stream, size)
        else:
            self._link.incoming.consumed(stream, size)

    # ---- byte streams ----------------------------------------------------------------------------------------

    @property
    def streams(self) -> streams.Streams:
        """The account of byte streams; to be looked at, not to be changed."""
        return self._link.streams

    @property
    def next_listener(self) -> int:
        """The number of the next listener."""
        return self._listeners.next_number

    def stream_room(self, stream: int, wanted: int) -> int:
        """Return how much `data` the next message of a byte stream should hold; see `streams.Streams.room`.

        0 where the stream must wait for credit, of which `Granted` tells. `can_send` says whether the link has room.

        Args:
            stream: The stream.
            wanted: How much there is.

        Raises:
            LocalProtocolError: The stream is not open.
        """
        return wanted if self.closed else self._link.streams.room(stream, min(wanted, self.frame_bytes))

    def is_stream_urgent(self, stream: int, size: int) -> bool:
        """Say whether a message of a byte stream with so much `data` would go before bulk.

        Raises:
            LocalProtocolError: The stream is not open.
        """
        return self.closed or self._link.streams.is_urgent(stream, size + messages.FRAME_COST_BYTES)

    @property
    def has_frames(self) -> bool:
        """`next_frame` has something to send."""
        return self._link.has_frames

    def next_frame(self, now_s: float | None = None) -> bytes | None:
        """Return the next frame to send, or None.

        Args:
            now_s: The time. A shell that has it at hand passes it, so that the link's rate is measured better after a
                pause; else it is as late as at the last `receive` or `tick`.
        """
        if not self.closed:
            self._link.queue_due()
        return self._link.next_frame(now_s)

    # ---- its end ---------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Nothing is sent or received any more, but for the frames that are left."""
        return self._state is state.State.CLOSED

    @property
    def phase(self) -> state.State:
        """Where the session stands."""
        return self._state

    def close(self, bye: messages.Bye) -> None:
        """End the session in order: control messages that wait still go, then `bye`."""
        if not self.closed:
            self._link.outbox.drop_streams()
            self._queue(bye)
            self._shut(Closed(None))

    def fail(self, error: errors.DevloopError) -> None:
        """End the session because of an error; the peer is told which kind it was."""
        if not self.closed:
            self._end(error, farewell.to_bye(error))

    # ---- time ------------------------------------------------------------------------------------------------

    @property
    def next_tick_s(self) -> float:
        """When `tick` is to be called at the latest; infinity once the session has closed."""
        return math.inf if self.closed else self._link.next_tick_s(self._proved)

    def tick(self, now_s: float) -> None:
        """Note the time: ask a silent peer, and give up one that does not answer."""
        if self.closed:
            return
        silent = self._link.tick(now_s, self._proved)
        if silent is not None:
            self._end(silent, messages.Bye(messages.Refusal.SILENT, silent.message, silent.hint))

    def statistics(self) -> Statistics:
        """Return the session's figures now."""
        return self._link.statistics(self._state)

    # ---- for the halves --------------------------------------------------------------------------------------

    def _handle(self, message: messages.Message) -> None:
        """Do what a message that came means, or hand it to the half."""
        self._require_feature(message, errors.RemoteProtocolError)
        match message:
            case messages.Ping() | messages.Pong() | messages.Credit():
                granted = self._link.maintain(message)
                if granted:
                    self._events.append(Granted(granted))
            case messages.Bye():
                self._shut(Closed(farewell.to_error(message, self.role.other), by_peer=True))
            case messages.Nonce():
                self._handshake.take_nonce(message)
                self._received(message)
            case messages.Proof():
                peer_version = self._handshake.take_proof(message)
                self._received(message)
                self._events.append(Authenticated(peer_version))
            case messages.AgentHello() | messages.LaptopHello():
                self._peer_hello = message
                self._link.outgoing = flow.Outgoing(message.limits)
                self._events.append(message)
            case (
                messages.Data() | messages.Eof() | messages.Reset() | messages.Dialled() | messages.Dial()
                | messages.Accepted() | messages.Listen() | messages.Listening() | messages.Unlisten()
            ):  # fmt: skip
                of_listeners = self._listeners.check(message, errors.RemoteProtocolError, crossed=True)
                if self._link.receive_stream(message) and of_listeners:
                    self._events.append(message)
            case _:
                if isinstance(message, messages.Bulk):
                    self._link.incoming.received(message)
                self._received(message)

    @abc.abstractmethod
    def _received(self, message: messages.Message) -> None:
        """Do what a message means to this half."""

    @abc.abstractmethod
    def _transmit(self, message: messages.Control) -> None:
        """Check a control message against this half's account, and queue it. Raises before it changes anything."""

    def _sent(self, message: messages.Control) -> None:
        """Keep the account that both halves have of what was queued."""
        if isinstance(message, messages.AgentHello | messages.LaptopHello):
            self._own_hello = message
            self._link.incoming = flow.Incoming(message.limits)

    def _say(self, message: messages.Control) -> None:
        """Queue a message that the session sends by itself."""
        self._state = state.after_sending(self.role, self._state, type(message))
        self._queue(message)

    def _queue(self, message: messages.Control) -> None:
        self._link.queue(message)

    def _opened(self) -> None:
        """Note that the session is open, and agree on features."""
        assert self._own_hello is not None
        assert self._peer_hello is not None
        self.features = self._own_hello.features & self._peer_hello.features
        self._link.begin_streams(self.role, self._own_hello.limits.streams, self._peer_hello.limits.streams)
        self._events.append(Opened(self.features, min(self._own_hello.minor, self._peer_hello.minor)))

    # ---- its own ---------------------------------------------------------------------------------------------

    @property
    def _proved(self) -> bool:
        return state.is_proved(self._state)

    def _require_feature(self, message: messages.Message, error: type[errors.ProtocolError]) -> None:
        needed = version.NEEDED.get(type(message).__name__)
        if needed is not None and needed not in self.features and self._state is state.State.OPEN:
            name = type(message).__name__
            raise error(f"{name} needs the feature {needed}, which the two sides did not agree on", where=name)

    def _end(self, error: errors.DevloopError, bye: messages.Bye) -> None:
        self._link.outbox.drop_all()
        self._queue(bye)
        self._shut(Closed(error))

    def _shut(self, event: Closed) -> None:
        self._state = state.State.CLOSED
        self._events.append(event)
