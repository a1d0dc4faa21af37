"""The byte streams of one session half: which are open, what may be said on each, and their credit both ways.

A stream has one number, used both ways: the laptop opens even ones, the agent odd ones, each rising, none used again.
Its life is the same at both ends:

    opened      `Dial` or `Accepted` was sent, or came. Nothing else of it may follow before the answer.
    open        `Dialled` was sent, or came. Each side sends `Data`, and ends its way by `Eof`.
    gone        Both ways have ended and all credit came back; or it was refused; or either side has said `Reset`.

A `Reset` ends a stream at once at the end that says it, and at the other end when it comes. What crosses it (data, an
`Eof`, an answer, credit) is about a stream that is gone, and is dropped: numbers rise, so a number that is gone can be
told from one that never was, and nothing needs to be remembered. Dropped data still counts as received on the link.

Whether a message is *urgent* is decided here as for other streams (`devloop.protocol.flow`), but the allowance comes
back: a stream that had more than 64 KiB on the way is bulk until the peer has reported all but 32 KiB of it. So a
debugger's connection stays urgent for as long as it is used like one.
"""

from __future__ import annotations

from typing import Final

from devloop import errors
from devloop.protocol import flow, messages, pool, state, window

CALM_BYTES: Final = window.REPORT_BYTES // 2
"""A bulk stream with no more than this on the way is urgent again; a receiver of streams reports at least as often."""

_SMALL_BYTES: Final = 16 * 1024
"""Credit below this is not worth a message of its own, while there is more to send. A receiver gives credit back when
half of what a stream has to itself waits for that: so this much is always there in the end."""

_ENDED_STREAMS: Final = 16
"""So many streams may be done but for credit that waits for company."""


class _Stream:
    """One stream's account."""

    __slots__ = (
        "answered",
        "bulky",
        "eof_left",
        "got_eof",
        "held",
        "in_flight",
        "opened_here",
        "said_eof",
        "unreported",
        "waiting",
    )

    def __init__(self, opened_here: bool) -> None:
        self.opened_here = opened_here
        self.answered = False
        # this side's way: what is not given back, what is not reported as received, whether it is bulk
        self.in_flight = 0
        self.unreported = 0
        self.bulky = False
        self.said_eof = False
        self.eof_left = False
        # the peer's way: what has come and is not given back, and how much of it can be
        self.held = 0
        self.waiting = 0
        self.got_eof = False

    @property
    def is_done(self) -> bool:
        return self.eof_left and self.got_eof and not self.in_flight and not self.held


class Streams:
    """All byte streams of one half; see the module.

    Args:
        role: This half.
        own: This side's limits, as told to the peer.
        peer: The peer's.
        link: The window that all bulk of the link shares.
    """

    def __init__(
        self, role: state.Role, own: messages.StreamLimits, peer: messages.StreamLimits, link: window.LinkWindow
    ) -> None:
        own_first = messages.FIRST_STREAM + (role is state.Role.AGENT)
        self._first = {True: own_first, False: own_first ^ 1}
        self._newest = {here: first - 2 for here, first in self._first.items()}
        self._own = own
        # how many each side has opened, and may have: what both open at the same time must not be too many
        self._open = {True: 0, False: 0}
        self._max_open = {True: peer.max_open, False: own.max_open}
        self._link = link
        self._streams: dict[int, _Stream] = {}
        self._out = pool.Pool(peer)
        self._in = pool.Pool(own)
        self._arrived = 0
        self._ended = 0
        self._due = False

    def __contains__(self, number: int) -> bool:
        return number in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def next_number(self) -> int:
        """The number of the next stream that this side opens."""
        return self._newest[True] + 2

    def can_open(self) -> bool:
        """Say whether this side may open another stream now."""
        return self._open[True] < self._max_open[True]

    @property
    def held_bytes(self) -> int:
        """What has come and was not given back."""
        return self._in.held_bytes

    @property
    def in_flight_bytes(self) -> int:
        """What was sent and was not given back, as far as is known."""
        return self._out.held_bytes

    # ---- what goes -------------------------------------------------------------------------------------------

    def sending(self, message: messages.Control) -> bool:
        """Take up that a control message is to be sent.

        Returns:
            Whether it goes: a `Reset` of a stream that is gone does not.

        Raises:
            LocalProtocolError: It may not be sent now. Nothing has changed.
        """
        match message:
            case messages.Dial() | messages.Accepted():
                self._open_own(message.stream)
            case messages.Dialled():
                self._answer(message)
            case messages.Eof():
                self._sending(message.stream).said_eof = True
            case messages.Reset():
                if message.stream not in self._streams:
                    return False
                self._drop(message.stream)
            case _:
                pass
        return True

    def room(self, number: int, wanted: int) -> int:
        """Return how much `data` the next message of a stream may hold by its credit, at most `wanted`; 0 for not now.

        Where only little of it would fit, it waits for more credit; and where bulk is on the way, what is still urgent
        of a stream is cut off what is not.

        Raises:
            LocalProtocolError: The stream is not open.
        """
        stream = self._sending(number)
        size = min(wanted, self._out.room(stream.in_flight) - messages.FRAME_COST_BYTES)
        if size < min(wanted, _SMALL_BYTES):
            return 0
        if self._link.bulk_in_flight_bytes and not self._is_bulky(stream):
            urgent = flow.URGENT_BYTES - stream.unreported - messages.FRAME_COST_BYTES
            if urgent >= min(size, _SMALL_BYTES):
                size = min(size, urgent)
        return size

    def can_send(self, number: int, cost: int, queued_bytes: int) -> bool:
        """Say whether a message may be sent now; see `flow.Outgoing.can_send`.

        Raises:
            LocalProtocolError: The stream is not open.
        """
        stream = self._sending(number)
        if cost > self._out.room(stream.in_flight):
            return False
        return self._link.admits(cost, self._is_urgent(stream, cost), queued_bytes, flow.MAX_QUEUED_BYTES)

    def is_urgent(self, number: int, cost: int) -> bool:
        """Say whether a message of this cost would be urgent.

        Raises:
            LocalProtocolError: The stream is not open.
        """
        return self._is_urgent(self._sending(number), cost)

    def spend(self, number: int, cost: int) -> bool:
        """Count a message that `can_send` allowed, and return whether it is urgent."""
        stream = self._streams[number]
        urgent = self._is_urgent(stream, cost)
        stream.bulky = not urgent
        stream.in_flight = self._out.take(stream.in_flight, cost)
        stream.unreported += cost
        self._link.admit(cost, urgent)
        return urgent

    def eof_left(self, number: int) -> None:
        """Note that a stream's `Eof` was handed to the transport."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.eof_left = True
            self._forget_if_done(number, stream)

    def reported(self, number: int, size: int) -> None:
        """Note that so many bytes of a stream are reported as received."""
        stream = self._streams.get(number)
        if stream is not None:
            stream.unreported -= size

    # ---- what came -------------------------------------------------------------------------------------------

    def received(self, message: messages.Message) -> bool:
        """Take up a message that has come.

        Returns:
            Whether it is to be acted upon: what is about a stream that is gone is not.

        Raises:
            RemoteProtocolError: It may not come now, or there is no credit for it.
        """
        match message:
            case messages.Dial() | messages.Accepted():
                self._open_peers(message.stream)
                return True
            case messages.Dialled():
                return self._answered(message)
            case messages.Data():
                return self._data(message)
            case messages.Eof():
                return self._eof(message)
            case messages.Reset():
                known = self._known(message.stream, "Reset") is not None
                if known:
                    self._drop(message.stream)
                return known
            case _:
                return True

    def consumed(self, number: int, size: int) -> None:
        """Note that so many bytes of a stream were dealt with. Of a stream that is gone this means nothing.

        Raises:
            LocalProtocolError: More was dealt with than has come.
        """
        stream = self._streams.get(number)
        if stream is None or not size:
            return
        if stream.waiting + size > stream.held:
            raise errors.LocalProtocolError(f"{size} bytes of stream {number} were dealt with twice", where="stream")
        stream.waiting += size
        self._look(stream)

    def credited(self, number: int, size: int) -> bool:
        """Take what the peer gives back of a stream, and return whether the stream is there.

        Raises:
            RemoteProtocolError: The stream never was, or has less under way.
        """
        stream = self._known(number, "Credit.grants")
        if stream is None:
            return False
        if size > stream.in_flight:
            raise errors.RemoteProtocolError(
                f"credit of {size} bytes for stream {number}, which has less under way", where="Credit.grants"
            )
        stream.in_flight = self._out.give_back(stream.in_flight, size)
        self._forget_if_done(number, stream)
        return True

    @property
    def due(self) -> bool:
        """A `Credit` should be sent now."""
        return self._due or self._arrived >= CALM_BYTES

    def take_grants(self) -> list[tuple[int, int]]:
        """Return what is given back now, of each stream."""
        self._arrived = self._ended = 0
        self._due = False
        grants = [(number, stream.waiting) for number, stream in self._streams.items() if stream.waiting]
        for number, size in grants:
            stream = self._streams[number]
            stream.held = self._in.give_back(stream.held, size)
            stream.waiting = 0
            self._forget_if_done(number, stream)
        return grants

    # ---- its own ---------------------------------------------------------------------------------------------

    def _open_own(self, number: int) -> None:
        if number != self.next_number:
            raise errors.LocalProtocolError(f"stream {number} instead of {self.next_number}", where="stream")
        if not self.can_open():
            raise errors.LocalProtocolError(f"more than {self._max_open[True]} streams", where="stream")
        self._add(number, opened_here=True)

    def _answer(self, message: messages.Dialled) -> None:
        stream = self._streams.get(message.stream)
        if stream is None or stream.opened_here or stream.answered:
            raise errors.LocalProtocolError(f"stream {message.stream} waits for no answer", where="Dialled")
        if message.why:
            self._drop(message.stream)
        else:
            stream.answered = True

    def _sending(self, number: int) -> _Stream:
        stream = self._streams.get(number)
        if stream is None or not stream.answered or stream.said_eof:
            raise errors.LocalProtocolError(f"stream {number} is not open", where="stream")
        return stream

    def _is_bulky(self, stream: _Stream) -> bool:
        return stream.bulky and stream.unreported > CALM_BYTES

    def _is_urgent(self, stream: _Stream, cost: int) -> bool:
        return stream.unreported + cost <= flow.URGENT_BYTES and not self._is_bulky(stream)

    def _open_peers(self, number: int) -> None:
        newest = self._newest[False]
        if number <= newest or (number - newest) % 2:
            raise errors.RemoteProtocolError(f"stream {number} is opened after {newest}", where="stream")
        if self._open[False] >= self._max_open[False]:
            raise errors.RemoteProtocolError(f"more than {self._max_open[False]} streams", where="stream")
        self._add(number, opened_here=False)

    def _add(self, number: int, *, opened_here: bool) -> None:
        self._newest[opened_here] = number
        self._open[opened_here] += 1
        self._streams[number] = _Stream(opened_here)

    def _remove(self, number: int) -> _Stream:
        stream = self._streams.pop(number)
        self._open[stream.opened_here] -= 1
        return stream

    def _known(self, number: int, where: str) -> _Stream | None:
        """Return a stream, or None where it is gone.

        Raises:
            RemoteProtocolError: It never was.
        """
        stream = self._streams.get(number)
        if stream is None:
            here = (number - self._first[True]) % 2 == 0
            if not messages.FIRST_STREAM <= number <= self._newest[here]:
                raise errors.RemoteProtocolError(f"stream {number} was never opened", where=where)
        return stream

    def _answered(self, message: messages.Dialled) -> bool:
        stream = self._known(message.stream, "Dialled")
        if stream is None:
            return False
        if stream.answered or not stream.opened_here:
            raise errors.RemoteProtocolError(f"stream {message.stream} waits for no answer", where="Dialled")
        if message.why:
            self._drop(message.stream)
        else:
            stream.answered = True
        return True

    def _data(self, message: messages.Data) -> bool:
        cost = messages.cost(message)
        self._arrived += cost
        stream = self._receiving(message.stream, "Data")
        if stream is None:
            return False
        if not self._in.fits(stream.held, cost):
            raise errors.RemoteProtocolError(f"stream {message.stream} has no credit for {cost} bytes", where="Data")
        stream.held = self._in.take(stream.held, cost)
        return True

    def _eof(self, message: messages.Eof) -> bool:
        stream = self._receiving(message.stream, "Eof")
        if stream is None:
            return False
        stream.got_eof = True
        if stream.held:
            self._look(stream)
        self._forget_if_done(message.stream, stream)
        return True

    def _receiving(self, number: int, where: str) -> _Stream | None:
        stream = self._known(number, where)
        if stream is not None and (stream.got_eof or not stream.answered):
            raise errors.RemoteProtocolError(f"stream {number} is not open", where=where)
        return stream

    def _look(self, stream: _Stream) -> None:
        """Decide whether what waits to be given back must wait no longer."""
        if stream.got_eof and stream.waiting == stream.held:
            self._ended += 1
        crowded = self._open[stream.opened_here] + _ENDED_STREAMS >= self._max_open[stream.opened_here]
        self._due = (
            self._due or stream.waiting * 2 >= self._own.own_bytes or self._ended >= (1 if crowded else _ENDED_STREAMS)
        )

    def _drop(self, number: int) -> None:
        """Forget a stream with everything that it holds."""
        stream = self._remove(number)
        self._out.give_back(stream.in_flight, stream.in_flight)
        self._in.give_back(stream.held, stream.held)

    def _forget_if_done(self, number: int, stream: _Stream) -> None:
        if stream.is_done:
            self._remove(number)
