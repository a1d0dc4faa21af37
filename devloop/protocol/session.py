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

import msgspec

from devloop import __version__, errors
from devloop.protocol import codec, commands, flow, handshake, messages, outbox, state, version

PING_AFTER_S: Final = 3.0
"""A peer that was silent for so long is asked. Below the 5 s in which a person notices, and one frame in 3 s is
nothing even on an idle link."""

SILENT_AFTER_S: Final = 8.0
"""A peer that was silent for so long is gone: a half-open link must be found within 10 s. Five seconds for an answer
are enough for a lost packet to be sent again several times."""

_STALLED_S: Final = 1.0
"""A tick that comes so late means that this side slept, or was stopped: frames may be waiting unread."""

# So that a Bye fits into what a stranger may send; no message for people is longer.
_MAX_WORDS: Final = 300


class Authenticated(msgspec.Struct, frozen=True):
    """The peer has proved that it knows the key. The agent's shell answers with `AgentHello`.

    Attributes:
        peer_version: devloop's version there.
    """

    peer_version: str


class Opened(msgspec.Struct, frozen=True):
    """The session is open.

    Attributes:
        features: What both sides can do.
        minor: The lower of both minor versions.
    """

    features: frozenset[str]
    minor: int


class Closed(msgspec.Struct, frozen=True):
    """The session has closed; the last event. The shell sends the remaining frames and closes the link.

    Attributes:
        error: Why; None where this side ended it in order.
        by_peer: The peer said `Bye`, or its connection ended.
    """

    error: errors.DevloopError | None
    by_peer: bool = False


Event = messages.Message | commands.Command | Authenticated | Opened | Closed


class Statistics(msgspec.Struct, frozen=True):
    """A session's figures now.

    Attributes:
        state: Where it stands.
        sent_frames: Frames taken by the shell.
        sent_bytes: Their bytes.
        received_frames: Frames that came.
        received_bytes: Their bytes.
        queued_bytes: Bulk that waits for the shell.
        in_flight_bytes: Bulk under way, as far as is known.
        window_bytes: How much bulk may be under way.
        rate_bytes_per_s: What the link carries; 0 until measured.
        rtt_s: The last round trip; None until measured.
        held_bytes: Bulk that came and was not dealt with.
        streams: The outgoing streams.
    """

    state: state.State
    sent_frames: int
    sent_bytes: int
    received_frames: int
    received_bytes: int
    queued_bytes: int
    in_flight_bytes: int
    window_bytes: int
    rate_bytes_per_s: float
    rtt_s: float | None
    held_bytes: int
    streams: tuple[flow.StreamStatistics, ...]


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
        self._key = key
        self._nonce = nonce
        self._state = state.State.AWAIT_NONCE
        self._events: list[Event] = []
        self._outbox = outbox.Outbox()
        self._reader = codec.FrameReader()
        self._writer = codec.FrameWriter()
        self._sent_bytes = 0
        self._received_bytes = 0
        # the limits of either side are known with its hello; nothing of bulk is allowed before
        self._out = flow.Outgoing(messages.Limits())
        self._in = flow.Incoming(messages.Limits())
        self._own_hello: messages.AgentHello | messages.LaptopHello | None = None
        self._peer_hello: messages.AgentHello | messages.LaptopHello | None = None
        self._peer_nonce: messages.Nonce | None = None
        self.features: frozenset[str] = frozenset()
        """What both sides can do; empty until open."""
        self._now_s = now_s
        self._heard_s = now_s
        self._ping_sent_s: float | None = None
        self._ping_token = 0
        # one is enough, so a flood of pings costs no memory
        self._pong_due: int | None = None
        self._rtt_s: float | None = None
        self._say(handshake.first_message(nonce, __version__))

    # ---- what came -------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, now_s: float) -> None:
        """Take a frame that came. Never raises for what is in it: a bad frame closes the session.

        Args:
            frame: One whole frame.
            now_s: The time.
        """
        self._now_s = now_s
        if self.closed:
            return
        try:
            proved = state.is_proved(self._state)
            message = self._reader.message(frame, codec.MAX_FRAME_BYTES if proved else codec.MAX_STRANGER_FRAME_BYTES)
            self._received_bytes += len(frame)
            self._heard_s = now_s
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
            self._transmit(message)
            self._state = after
            self._sent(message)

    def can_open(self) -> bool:
        """Say whether the peer takes another batch or answer now."""
        return not self.closed and self._out.can_open()

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
        if self.closed:
            return True
        return self._out.can_send(stream, size + messages.FRAME_COST_BYTES, self._outbox.queued_bytes)

    def send_bulk(self, message: messages.Bulk) -> None:
        """Send a bulk message that `can_send` allowed.

        Raises:
            LocalProtocolError: It has no credit, its stream is not open, or it is too large. Nothing was sent.
        """
        if self.closed:
            return
        self._require_feature(message, errors.LocalProtocolError)
        state.after_sending(self.role, self._state, type(message))
        cost = messages.cost(message)
        if not self._out.can_send(message.stream, cost, self._outbox.queued_bytes):
            raise errors.LocalProtocolError(f"stream {message.stream} has no credit for {cost} bytes", where="stream")
        body = codec.encode(message)
        urgent = self._out.spend(message.stream, cost)
        self._outbox.put(outbox.Item(body, cost, urgent), message.stream)

    @property
    def frame_bytes(self) -> int:
        """How much `data` a bulk message should hold now: little on a slow link, so that frames take turns."""
        share = self._out.link.window_bytes // 4 - 2 * messages.FRAME_COST_BYTES
        return min(messages.MAX_DATA_BYTES, share)

    def consumed(self, stream: int, size: int) -> None:
        """Give back credit for bulk that came and was dealt with.

        Args:
            stream: Its stream.
            size: `messages.cost` of the messages, in bytes.

        Raises:
            LocalProtocolError: More is given back than came.
        """
        if not self.closed:
            self._in.consumed(stream, size)

    def next_frame(self, now_s: float | None = None) -> bytes | None:
        """Return the next frame to send, or None.

        Args:
            now_s: The time. A shell that has it at hand passes it, so that the link's rate is measured better after a
                pause; else it is as late as at the last `receive` or `tick`.
        """
        if now_s is not None:
            self._now_s = now_s
        if self._pong_due is not None:
            self._queue(messages.Pong(self._pong_due))
            self._pong_due = None
        if self._in.due and not self.closed:
            self._queue(self._in.take())
        item = self._outbox.take()
        if item is None:
            return None
        if item.cost:
            self._out.link.handed_over(item.cost, item.urgent, self._now_s)
        frame = self._writer.frame(item.body)
        self._sent_bytes += len(frame)
        return frame

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
            self._outbox.drop_streams()
            self._queue(bye)
            self._shut(Closed(None))

    def fail(self, error: errors.DevloopError) -> None:
        """End the session because of an error; the peer is told which kind it was."""
        if not self.closed:
            self._outbox.drop_all()
            self._queue(_farewell(error))
            self._shut(Closed(error))

    # ---- time ------------------------------------------------------------------------------------------------

    @property
    def next_tick_s(self) -> float:
        """When `tick` is to be called at the latest; infinity once the session has closed."""
        if self.closed:
            return math.inf
        asked = self._ping_sent_s is not None or not state.is_proved(self._state)
        return self._heard_s + (SILENT_AFTER_S if asked else PING_AFTER_S)

    def tick(self, now_s: float) -> None:
        """Note the time: ask a silent peer, and give up one that does not answer."""
        late_s = now_s - self.next_tick_s
        self._now_s = now_s
        if late_s < 0 or self.closed:
            return
        proved = state.is_proved(self._state)
        if late_s > _STALLED_S and proved:
            # the silence may be this side's own, so the peer gets a fresh question and the time to answer it
            self._heard_s = now_s - PING_AFTER_S
            self._ping_sent_s = None
        if now_s - self._heard_s >= SILENT_AFTER_S:
            silent = f"nothing was heard from the other side for {now_s - self._heard_s:.0f} s"
            self._end_silent(errors.LinkError(silent, hint="devloop connects again by itself"))
        else:
            # a stranger is not asked: its next tick is when its time is over
            self._ping()

    def statistics(self) -> Statistics:
        """Return the session's figures now."""
        return Statistics(
            state=self._state,
            sent_frames=self._writer.count,
            sent_bytes=self._sent_bytes,
            received_frames=self._reader.count,
            received_bytes=self._received_bytes,
            queued_bytes=self._outbox.queued_bytes,
            in_flight_bytes=self._out.link.in_flight_bytes,
            window_bytes=self._out.link.window_bytes,
            rate_bytes_per_s=self._out.link.rate,
            rtt_s=self._rtt_s,
            held_bytes=self._in.held_bytes,
            streams=self._out.statistics(),
        )

    # ---- for the halves --------------------------------------------------------------------------------------

    def _handle(self, message: messages.Message) -> None:
        """Do what a message that came means, or hand it to the half."""
        self._require_feature(message, errors.RemoteProtocolError)
        match message:
            case messages.Ping():
                self._pong_due = message.token
                if self._rtt_s is None:
                    self._ping()
            case messages.Pong():
                self._ponged(message.token)
            case messages.Credit():
                self._out.credited(message, self._now_s)
            case messages.Bye():
                self._shut(Closed(_meaning(message, self.role), by_peer=True))
            case messages.Nonce():
                handshake.check_nonce(self.role, __version__, message)
                self._peer_nonce = message
                self._received(message)
            case messages.Proof():
                handshake.check_proof(self._proof(_other(self.role)), message)
                self._received(message)
                self._events.append(Authenticated(self._peer().version))
            case messages.AgentHello() | messages.LaptopHello():
                self._peer_hello = message
                self._out = flow.Outgoing(message.limits)
                self._events.append(message)
            case _:
                if isinstance(message, messages.Bulk):
                    self._in.received(message)
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
            self._in = flow.Incoming(message.limits)

    def _say(self, message: messages.Control) -> None:
        """Queue a message that the session sends by itself."""
        self._state = state.after_sending(self.role, self._state, type(message))
        self._queue(message)

    def _queue(self, message: messages.Control) -> None:
        self._outbox.put(outbox.Item(codec.encode(message)), messages.stream_of(message))

    def _proof(self, role: state.Role) -> messages.Proof:
        """Return what the proof of a role must be on this link."""
        mine, theirs = self._nonce, self._peer().nonce
        laptop, agent = (mine, theirs) if self.role is state.Role.LAPTOP else (theirs, mine)
        return handshake.proof(self._key, role, laptop, agent)

    def _peer(self) -> messages.Nonce:
        assert self._peer_nonce is not None, "the state table lets nothing through before the peer's nonce"
        return self._peer_nonce

    def _opened(self) -> None:
        """Note that the session is open, and agree on features."""
        assert self._own_hello is not None
        assert self._peer_hello is not None
        self.features = self._own_hello.features & self._peer_hello.features
        self._events.append(Opened(self.features, min(self._own_hello.minor, self._peer_hello.minor)))

    # ---- its own ---------------------------------------------------------------------------------------------

    def _require_feature(self, message: messages.Message, error: type[errors.ProtocolError]) -> None:
        needed = version.NEEDED.get(type(message).__name__)
        if needed is not None and needed not in self.features and self._state is state.State.OPEN:
            name = type(message).__name__
            raise error(f"{name} needs the feature {needed}, which the two sides did not agree on", where=name)

    def _ping(self) -> None:
        if self._ping_sent_s is None:
            self._ping_token += 1
            self._ping_sent_s = self._now_s
            self._queue(messages.Ping(self._ping_token))

    def _ponged(self, token: int) -> None:
        if self._ping_sent_s is None or token > self._ping_token:
            raise errors.RemoteProtocolError("a pong that nobody asked for", where="Pong.token")
        if token == self._ping_token:
            self._rtt_s = max(0.0, self._now_s - self._ping_sent_s)
            self._out.link.round_trip(self._rtt_s)
            self._ping_sent_s = None

    def _end_silent(self, error: errors.LinkError) -> None:
        self._outbox.drop_all()
        self._queue(messages.Bye(messages.Refusal.SILENT, error.message, error.hint))
        self._shut(Closed(error))

    def _shut(self, event: Closed) -> None:
        self._state = state.State.CLOSED
        self._pong_due = None
        self._events.append(event)


def _other(role: state.Role) -> state.Role:
    return state.Role.AGENT if role is state.Role.LAPTOP else state.Role.LAPTOP


def _farewell(error: errors.DevloopError) -> messages.Bye:
    """Return what to tell the peer about an error that ends the session."""
    match error:
        case errors.SkewError():
            reason = messages.Refusal.MAJOR
        case errors.AuthError():
            reason = messages.Refusal.PROOF
        case errors.OwnedError():
            reason = messages.Refusal.OWNED
        case errors.ProtocolError():
            reason = messages.Refusal.PROTOCOL
        case _:
            reason = messages.Refusal.STOPPING
    owner = error.owner if isinstance(error, errors.OwnedError) else ""
    return messages.Bye(reason, error.message[:_MAX_WORDS], error.hint[:_MAX_WORDS], owner[:_MAX_WORDS])


def _meaning(bye: messages.Bye, role: state.Role) -> errors.DevloopError:
    """Return the error that the peer's `Bye` means on this side."""
    who = _other(role)
    match bye.reason:
        case messages.Refusal.MAJOR:
            return errors.SkewError(bye.message, hint=bye.hint)
        case messages.Refusal.PROOF:
            return errors.AuthError(f"the {who} refused: {bye.message}", hint=bye.hint)
        case messages.Refusal.EPOCH | messages.Refusal.OWNED:
            return errors.OwnedError(bye.message, hint=bye.hint, owner=bye.owner)
        case messages.Refusal.ROOTS:
            return errors.AgentError(bye.message, hint=bye.hint)
        case messages.Refusal.PROTOCOL:
            return errors.ProtocolError(f"the {who} ended the session: {bye.message}", hint=bye.hint)
        case messages.Refusal.SILENT | messages.Refusal.STOPPING:
            return errors.LinkError(f"the {who} ended the session: {bye.message}", hint=bye.hint)
