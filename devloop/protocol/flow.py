"""Credits: how much of each stream may be sent, and what was received and not dealt with yet.

A receiver grants each stream an initial credit and gives it back as it deals with the data, so that what it keeps
in memory is bounded although it never stops reading. `Outgoing` is the sender's account, `Incoming` the receiver's;
what one allows the other accepts, and anything beyond is the peer's error. All streams together have a bound too,
and a stream may hold at most as much of it as it leaves free, so that streams which nobody takes from leave room
for the others.

Small things go first: the first 64 KiB of every stream are *urgent*. They have a window of their own on the link
(`devloop.protocol.window`) and leave before bulk, so a one-line edit waits neither for a 2 GiB file's window nor
for its frames. Nobody has to say what is urgent: a stream that goes on becomes bulk.

A receiver does not answer each frame. It owes a `Credit` when 64 KiB have arrived since the last one, when a
quarter of a stream's or of all credit waits to be given back, or when 16 streams have ended and only that keeps
them; each `Credit` then carries everything that waits. No sender can starve on what waits: it may always add a
frame to 64 KiB under way, and three quarters of its credit are there once the data was dealt with.
"""

from __future__ import annotations

from typing import Final

import msgspec

from devloop import errors
from devloop.protocol import messages, window

URGENT_BYTES: Final = 64 * 1024
"""So much of every stream is urgent."""

MAX_QUEUED_BYTES: Final = 512 * 1024
"""So much may wait in a session to be taken by the transport; what it does not take is not under way either."""

_ENDED_STREAMS: Final = 16


class StreamStatistics(msgspec.Struct, frozen=True):
    """One outgoing stream.

    Attributes:
        stream: Its number.
        sent_bytes: What was sent or queued.
        in_flight_bytes: How much of that has not been dealt with, as far as is known.
        ended: Nothing more will be sent.
    """

    stream: int
    sent_bytes: int
    in_flight_bytes: int
    ended: bool


class _Sending:
    """One outgoing stream's account."""

    __slots__ = ("ended", "in_flight", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.in_flight = 0
        self.ended = False


class Outgoing:
    """The sender's account of its streams.

    Args:
        limits: The peer's.
    """

    def __init__(self, limits: messages.Limits) -> None:
        self.link = window.LinkWindow()
        self._limits = limits
        self._streams: dict[int, _Sending] = {}
        self._in_flight = 0

    def __contains__(self, stream: int) -> bool:
        return stream in self._streams

    def can_open(self) -> bool:
        """Say whether the peer takes another stream now."""
        return len(self._streams) < self._limits.max_streams

    def open(self, stream: int) -> None:
        """Begin a stream.

        Raises:
            LocalProtocolError: It is open already, or the peer takes no more of them.
        """
        if stream in self._streams:
            raise errors.LocalProtocolError(f"stream {stream} is open already", where="stream")
        if not self.can_open():
            raise errors.LocalProtocolError(f"more than {self._limits.max_streams} streams", where="stream")
        self._streams[stream] = _Sending()

    def end(self, stream: int) -> None:
        """Note that a stream's last message was sent; it counts until all of it was dealt with.

        Raises:
            LocalProtocolError: There is no such stream, or it has ended.
        """
        self._sending(stream).ended = True
        self._forget_if_done(stream)

    def require_open(self, stream: int) -> None:
        """Check that a stream was begun and has not ended.

        Raises:
            LocalProtocolError: It is not so.
        """
        self._sending(stream)

    def settled(self, stream: int) -> None:
        """Forget a stream that the peer has dealt with as a whole."""
        self._in_flight -= self._streams.pop(stream).in_flight

    def is_urgent(self, stream: int, cost: int) -> bool:
        """Say whether a message of this cost would be urgent."""
        return self._sending(stream).sent + cost <= URGENT_BYTES

    def can_send(self, stream: int, cost: int, queued_bytes: int) -> bool:
        """Say whether a message may be sent now.

        Args:
            stream: Its stream.
            cost: What it costs (`messages.cost`).
            queued_bytes: What waits in the session already.

        Raises:
            LocalProtocolError: There is no such stream, or it has ended.
        """
        sending = self._sending(stream)
        free = min(self._limits.stream_credit_bytes, self._limits.total_credit_bytes - self._in_flight)
        if sending.in_flight + cost > free:
            return False
        urgent = sending.sent + cost <= URGENT_BYTES
        return self.link.admits(cost, urgent, queued_bytes, MAX_QUEUED_BYTES)

    def spend(self, stream: int, cost: int) -> bool:
        """Count a message that `can_send` allowed.

        Returns:
            Whether it is urgent.
        """
        urgent = self.is_urgent(stream, cost)
        sending = self._sending(stream)
        self.link.admit(cost, urgent)
        sending.sent += cost
        sending.in_flight += cost
        self._in_flight += cost
        return urgent

    def credited(self, credit: messages.Credit, now_s: float) -> None:
        """Take what the peer gives back.

        Raises:
            RemoteProtocolError: It gives back more than it got.
        """
        self.link.reported(credit.received, now_s)
        for stream, size in credit.grants:
            if stream >= messages.FIRST_STREAM:
                continue
            sending = self._streams.get(stream)
            if sending is None or size > sending.in_flight:
                raise errors.RemoteProtocolError(
                    f"credit of {size} bytes for stream {stream}, which has less under way", where="Credit.grants"
                )
            sending.in_flight -= size
            self._in_flight -= size
            self._forget_if_done(stream)

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """Return every stream's account."""
        return tuple(
            StreamStatistics(stream, sending.sent, sending.in_flight, sending.ended)
            for stream, sending in self._streams.items()
        )

    def _sending(self, stream: int) -> _Sending:
        sending = self._streams.get(stream)
        if sending is None or sending.ended:
            raise errors.LocalProtocolError(f"stream {stream} is not open", where="stream")
        return sending

    def _forget_if_done(self, stream: int) -> None:
        sending = self._streams[stream]
        if sending.ended and not sending.in_flight:
            del self._streams[stream]


class _Receiving:
    """One incoming stream's account: what has come, and how much of it can be given back."""

    __slots__ = ("ended", "held", "waiting")

    def __init__(self) -> None:
        self.held = 0
        self.waiting = 0
        self.ended = False


class Incoming:
    """The receiver's account of the peer's streams.

    Args:
        limits: This side's, as told to the peer.
    """

    def __init__(self, limits: messages.Limits) -> None:
        self._limits = limits
        self._streams: dict[int, _Receiving] = {}
        self._held = 0
        self._waiting = 0
        self._received = 0
        self._reported = 0
        self._ended = 0
        self._due = False

    def __contains__(self, stream: int) -> bool:
        return stream in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def held_bytes(self) -> int:
        """What has come and was not given back."""
        return self._held

    @property
    def due(self) -> bool:
        """A `Credit` should be sent now."""
        return self._due or self._received - self._reported >= window.REPORT_BYTES

    def can_open(self) -> bool:
        """Say whether another stream is within this side's limits."""
        return len(self._streams) < self._limits.max_streams

    def open(self, stream: int) -> None:
        """Expect a stream.

        Raises:
            RemoteProtocolError: It is open already, or there are too many.
        """
        if stream in self._streams:
            raise errors.RemoteProtocolError(f"stream {stream} is open already", where="stream")
        if not self.can_open():
            raise errors.RemoteProtocolError(f"more than {self._limits.max_streams} streams", where="stream")
        self._streams[stream] = _Receiving()

    def received(self, message: messages.Bulk) -> None:
        """Count a message that has come.

        Raises:
            RemoteProtocolError: Its stream is not open, or has no credit for it.
        """
        receiving = self._streams.get(message.stream)
        if receiving is None or receiving.ended:
            raise errors.RemoteProtocolError(f"stream {message.stream} is not open", where="stream")
        cost = messages.cost(message)
        limits = self._limits
        if receiving.held + cost > limits.stream_credit_bytes or self._held + cost > limits.total_credit_bytes:
            raise errors.RemoteProtocolError(f"stream {message.stream} has no credit for {cost} bytes", where="stream")
        receiving.held += cost
        self._held += cost
        self._received += cost

    def passed(self, size: int) -> None:
        """Count bytes of byte streams, which have their credit elsewhere."""
        self._received += size

    def consumed(self, stream: int, size: int) -> None:
        """Note that so many bytes of a stream were dealt with.

        Of a stream that was settled meanwhile this means nothing.

        Raises:
            LocalProtocolError: More was dealt with than has come.
        """
        receiving = self._streams.get(stream)
        if receiving is None or not size:
            return
        if receiving.waiting + size > receiving.held:
            raise errors.LocalProtocolError(f"{size} bytes of stream {stream} were dealt with twice", where="stream")
        receiving.waiting += size
        self._waiting += size
        self._look(receiving)

    def end(self, stream: int) -> None:
        """Note that a stream's last message has come; it counts until all of it was given back.

        Raises:
            RemoteProtocolError: There is no such stream, or it has ended.
        """
        receiving = self._streams.get(stream)
        if receiving is None or receiving.ended:
            raise errors.RemoteProtocolError(f"stream {stream} is not open", where="stream")
        receiving.ended = True
        if not receiving.held:
            del self._streams[stream]
        else:
            self._look(receiving)

    def settled(self, stream: int) -> None:
        """Forget a stream of which the peer will be told that all of it was dealt with."""
        receiving = self._streams.pop(stream)
        self._held -= receiving.held
        self._waiting -= receiving.waiting

    def take(self) -> messages.Credit:
        """Return the `Credit` that gives back everything that waits."""
        grants = []
        for stream, receiving in list(self._streams.items()):
            if not receiving.waiting:
                continue
            grants.append((stream, receiving.waiting))
            receiving.held -= receiving.waiting
            receiving.waiting = 0
            if receiving.ended and not receiving.held:
                del self._streams[stream]
        self._held -= self._waiting
        self._waiting = 0
        self._reported = self._received
        self._ended = 0
        self._due = False
        return messages.Credit(self._received, tuple(grants))

    def _look(self, receiving: _Receiving) -> None:
        """Decide whether what waits must wait no longer."""
        if receiving.ended and receiving.waiting == receiving.held:
            self._ended += 1
        self._due = (
            self._due
            or receiving.waiting * 4 >= self._limits.stream_credit_bytes
            or self._waiting * 4 >= self._limits.total_credit_bytes
            or self._ended >= _ENDED_STREAMS
        )
