"""One side's end of a link: frames both ways, and the accounts that keep it open.

What goes waits in the outbox until the transport takes it, bulk only as far as its credit and the link's window
reach; what came is counted until it was dealt with. `Ping`, `Pong` and `Credit` are dealt with here alone. What the
other messages mean, and whether they are allowed now, is the session's business (`devloop.protocol.session`).
"""

from __future__ import annotations

import msgspec

from devloop import errors
from devloop.protocol import codec, flow, keepalive, messages, outbox, state, streams


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
        held_bytes: Bulk that came and was not dealt with; of byte streams too.
        streams: The outgoing streams of batches, answers and output.
        open_streams: How many byte streams are open.
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
    open_streams: int = 0


class Link:
    """One side's end of a link; see the module.

    Args:
        now_s: The time, by the clock of all other times.
    """

    def __init__(self, now_s: float) -> None:
        # the limits of either side are known with its hello; nothing of bulk is allowed before
        self.outgoing = flow.Outgoing(messages.Limits())
        """The account of this side's streams, by the peer's limits."""
        self.incoming = flow.Incoming(messages.Limits())
        """The account of the peer's streams, by this side's limits."""
        self.streams = streams.Streams(
            state.Role.LAPTOP, messages.StreamLimits(), messages.StreamLimits(), self.outgoing.link
        )
        """The account of byte streams, both ways; of this link since `begin_streams`."""
        self.outbox = outbox.Outbox()
        """What waits for the transport."""
        self._reader = codec.FrameReader()
        self._writer = codec.FrameWriter()
        self._keepalive = keepalive.Keepalive(now_s)
        self._sent_bytes = 0
        self._received_bytes = 0
        self._now_s = now_s

    # ---- what came -------------------------------------------------------------------------------------------

    def receive(self, frame: bytes, max_bytes: int, now_s: float) -> messages.Message:
        """Return the message in a frame that came.

        Args:
            frame: One whole frame.
            max_bytes: How long it may be.
            now_s: The time.

        Raises:
            RemoteProtocolError: It holds no message, or is not the next one.
        """
        self._now_s = now_s
        message = self._reader.message(frame, max_bytes)
        self._received_bytes += len(frame)
        self._keepalive.heard(now_s)
        return message

    def begin_streams(self, role: state.Role, own: messages.StreamLimits, peer: messages.StreamLimits) -> None:
        """Begin the account of byte streams, with the limits of both sides."""
        self.streams = streams.Streams(role, own, peer, self.outgoing.link)
        self.outgoing.link.tell_reports(self.streams.reported)

    def maintain(self, message: messages.Ping | messages.Pong | messages.Credit) -> tuple[int, ...]:
        """Deal with a message that is about the link itself.

        Returns:
            The byte streams that may go on by it.

        Raises:
            RemoteProtocolError: It answers what was not asked, or gives back more than it got.
        """
        match message:
            case messages.Ping():
                self._keepalive.pinged(message)
                if self._keepalive.rtt_s is None:
                    self.ping()
            case messages.Pong():
                rtt_s = self._keepalive.ponged(message, self._now_s)
                if rtt_s is not None:
                    self.outgoing.link.round_trip(rtt_s)
            case messages.Credit():
                self.outgoing.credited(message, self._now_s)
                byte_streams = [grant for grant in message.grants if grant[0] >= messages.FIRST_STREAM]
                return tuple(number for number, size in byte_streams if self.streams.credited(number, size))
        return ()

    def receive_stream(self, message: messages.Message) -> bool:
        """Take up a message that is about a byte stream, and return whether it is to be acted upon.

        Raises:
            RemoteProtocolError: It may not come now, or there is no credit for it.
        """
        if isinstance(message, messages.Data):
            self.incoming.passed(messages.cost(message))
        acted = self.streams.received(message)
        if isinstance(message, messages.Reset):
            self._drop(message.stream)
        return acted

    # ---- what goes -------------------------------------------------------------------------------------------

    def queue(self, message: messages.Control) -> None:
        """Let a control message wait for the transport.

        Raises:
            LocalProtocolError: It is too large for a frame.
        """
        stream = messages.stream_of(message)
        self.outbox.put(outbox.Item(codec.encode(message), stream=stream or 0), stream)

    def queue_stream(self, message: messages.Control) -> None:
        """Let a control message about a byte stream wait, unless the stream is gone.

        Raises:
            LocalProtocolError: It may not be sent now. Nothing was queued.
        """
        if self.streams.sending(message):
            if isinstance(message, messages.Reset):
                self._drop(message.stream)
            self.queue(message)

    def _drop(self, number: int) -> None:
        """Forget what a byte stream still has here to be sent."""
        for item in self.outbox.drop(number):
            if item.cost:
                self.outgoing.link.withdraw(item.cost, item.urgent)

    def can_send(self, stream: int, cost: int) -> bool:
        """Say whether there is credit and room for a bulk message of this cost.

        Raises:
            LocalProtocolError: There is no such stream.
        """
        account = self._account(stream)
        return account.can_send(stream, cost, self.outbox.queued_bytes)

    def _account(self, stream: int) -> flow.Outgoing | streams.Streams:
        return self.streams if stream >= messages.FIRST_STREAM else self.outgoing

    def queue_bulk(self, message: messages.Bulk) -> None:
        """Let a bulk message that `can_send` allowed wait for the transport.

        Raises:
            LocalProtocolError: It has no credit, its stream is not open, or it is too large. Nothing was queued.
        """
        cost = messages.cost(message)
        if not self.can_send(message.stream, cost):
            raise errors.LocalProtocolError(f"stream {message.stream} has no credit for {cost} bytes", where="stream")
        body = codec.encode(message)
        urgent = self._account(message.stream).spend(message.stream, cost)
        self.outbox.put(outbox.Item(body, cost, urgent, message.stream), message.stream)

    @property
    def frame_bytes(self) -> int:
        """How much `data` a bulk message should hold now: little on a slow link, so that frames take turns."""
        share = self.outgoing.link.window_bytes // 4 - 2 * messages.FRAME_COST_BYTES
        return min(messages.MAX_DATA_BYTES, share)

    @property
    def has_frames(self) -> bool:
        """There is something to send, or to be said."""
        return bool(self.outbox) or self._keepalive.owes_pong or self.incoming.due or self.streams.due

    def queue_due(self) -> None:
        """Queue the `Pong` and the `Credit` that this side owes."""
        pong = self._keepalive.take_pong()
        if pong is not None:
            self.queue(pong)
        if self.incoming.due or self.streams.due:
            credit = self.incoming.take()
            grants = self.streams.take_grants()
            self.queue(messages.Credit(credit.received, (*credit.grants, *grants)) if grants else credit)

    def next_frame(self, now_s: float | None) -> bytes | None:
        """Return the next frame to send, or None.

        Args:
            now_s: The time; None where the last one that was told is near enough.
        """
        if now_s is not None:
            self._now_s = now_s
        item = self.outbox.take()
        if item is None:
            return None
        if item.cost:
            self.outgoing.link.handed_over(item.cost, item.urgent, self._now_s, item.stream)
        elif item.stream >= messages.FIRST_STREAM:
            self.streams.eof_left(item.stream)
        frame = self._writer.frame(item.body)
        self._sent_bytes += len(frame)
        return frame

    # ---- time ------------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Ask the peer whether it is there, unless it was asked already."""
        ping = self._keepalive.ask(self._now_s)
        if ping is not None:
            self.queue(ping)

    def next_tick_s(self, proved: bool) -> float:
        """Return when `tick` is to be called at the latest; `proved` says that the peer is no stranger."""
        return self._keepalive.next_tick_s(proved)

    def tick(self, now_s: float, proved: bool) -> errors.LinkError | None:
        """Note the time, and ask a silent peer.

        Returns:
            The error of a peer that does not answer.
        """
        self._now_s = now_s
        due = self._keepalive.tick(now_s, proved)
        if isinstance(due, messages.Ping):
            self.queue(due)
            return None
        return due

    def statistics(self, where: state.State) -> Statistics:
        """Return the figures now, of a session that stands there."""
        return Statistics(
            state=where,
            sent_frames=self._writer.count,
            sent_bytes=self._sent_bytes,
            received_frames=self._reader.count,
            received_bytes=self._received_bytes,
            queued_bytes=self.outbox.queued_bytes,
            in_flight_bytes=self.outgoing.link.in_flight_bytes,
            window_bytes=self.outgoing.link.window_bytes,
            rate_bytes_per_s=self.outgoing.link.rate,
            rtt_s=self._keepalive.rtt_s,
            held_bytes=self.incoming.held_bytes + self.streams.held_bytes,
            streams=self.outgoing.statistics(),
            open_streams=len(self.streams),
        )
