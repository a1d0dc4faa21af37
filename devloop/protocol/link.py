"""One side's end of a link: frames both ways, and the accounts that keep it open.

What goes waits in the outbox until the transport takes it, bulk only as far as its credit and the link's window
reach; what came is counted until it was dealt with. `Ping`, `Pong` and `Credit` are dealt with here alone. What the
other messages mean, and whether they are allowed now, is the session's business (`devloop.protocol.session`).
"""

from __future__ import annotations

import msgspec

from devloop import errors
from devloop.protocol import codec, flow, keepalive, messages, outbox, state


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

    def maintain(self, message: messages.Ping | messages.Pong | messages.Credit) -> None:
        """Deal with a message that is about the link itself.

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

    # ---- what goes -------------------------------------------------------------------------------------------

    def queue(self, message: messages.Control) -> None:
        """Let a control message wait for the transport.

        Raises:
            LocalProtocolError: It is too large for a frame.
        """
        self.outbox.put(outbox.Item(codec.encode(message)), messages.stream_of(message))

    def can_send(self, stream: int, cost: int) -> bool:
        """Say whether there is credit and room for a bulk message of this cost.

        Raises:
            LocalProtocolError: There is no such stream.
        """
        return self.outgoing.can_send(stream, cost, self.outbox.queued_bytes)

    def queue_bulk(self, message: messages.Bulk) -> None:
        """Let a bulk message that `can_send` allowed wait for the transport.

        Raises:
            LocalProtocolError: It has no credit, its stream is not open, or it is too large. Nothing was queued.
        """
        cost = messages.cost(message)
        if not self.can_send(message.stream, cost):
            raise errors.LocalProtocolError(f"stream {message.stream} has no credit for {cost} bytes", where="stream")
        body = codec.encode(message)
        urgent = self.outgoing.spend(message.stream, cost)
        self.outbox.put(outbox.Item(body, cost, urgent), message.stream)

    @property
    def frame_bytes(self) -> int:
        """How much `data` a bulk message should hold now: little on a slow link, so that frames take turns."""
        share = self.outgoing.link.window_bytes // 4 - 2 * messages.FRAME_COST_BYTES
        return min(messages.MAX_DATA_BYTES, share)

    def queue_due(self) -> None:
        """Queue the `Pong` and the `Credit` that this side owes."""
        pong = self._keepalive.take_pong()
        if pong is not None:
            self.queue(pong)
        if self.incoming.due:
            self.queue(self.incoming.take())

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
            self.outgoing.link.handed_over(item.cost, item.urgent, self._now_s)
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
            held_bytes=self.incoming.held_bytes,
            streams=self.outgoing.statistics(),
        )
