"""A simulated link with a FIFO buffer in each direction, and a sender and receiver with nothing but flow control."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from devloop.protocol import flow, messages, outbox


class Link:
    """One direction: a rate, a delay and an unbounded buffer before the bottleneck."""

    def __init__(self, rate_bytes_per_s: float, one_way_s: float) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self.one_way_s = one_way_s
        self.free_at_s = 0.0

    def arrival_s(self, now_s: float, size: int) -> float:
        """Return when a frame that is handed over now arrives."""
        self.free_at_s = max(self.free_at_s, now_s) + size / self.rate_bytes_per_s
        return self.free_at_s + self.one_way_s


class World:
    """A clock, a sender, a receiver and the two directions between them.

    Args:
        there: The direction of the data.
        limits: The receiver's.
        take_every_s: How long the shell needs per frame, which bounds what it takes from the session.
    """

    def __init__(self, there: Link, limits: messages.Limits | None = None) -> None:
        self.now_s = 0.0
        self.there = there
        self.back = Link(there.rate_bytes_per_s, there.one_way_s)
        limits = limits or messages.Limits()
        self.out = flow.Outgoing(limits)
        self.incoming = flow.Incoming(limits)
        self.box = outbox.Outbox()
        self.arrivals: list[tuple[float, int]] = []
        self.edit_latencies_s: list[float] = []
        self.stalled: set[int] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._bulk: dict[int, int] = {}
        self._edits: dict[int, float] = {}
        self._unsent: list[int] = []
        self._next = itertools.count(1000)
        self.out.link.round_trip(2 * there.one_way_s)

    def add_bulk(self, stream: int, size: int) -> None:
        """Begin a stream of so many bytes."""
        self.out.open(stream)
        self.incoming.open(stream)
        self._bulk[stream] = size

    def add_edits(self, first_s: float, every_s: float, count: int, size: int = 200) -> None:
        """Plan small streams of one message each."""
        for index in range(count):
            self._at(first_s + index * every_s, lambda: self._edit(size))

    def run(self, until_s: float) -> None:
        """Let things happen until a time."""
        self._fill()
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, happen = heapq.heappop(self._events)
            happen()
            self._fill()

    def delivered_bytes(self, begin_s: float, end_s: float) -> int:
        """Return how many bytes of data arrived in a span of time."""
        return sum(size for at_s, size in self.arrivals if begin_s <= at_s < end_s)

    def _at(self, when_s: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._count), happen))

    def _edit(self, size: int) -> None:
        stream = next(self._next)
        self.out.open(stream)
        self.incoming.open(stream)
        self._edits[stream] = self.now_s
        self._unsent.append(size << 32 | stream)

    def _fill(self) -> None:
        """Send whatever may be sent, and hand it to the link at once: its buffer takes everything."""
        sent = True
        while sent:
            sent = False
            for packed in list(self._unsent):
                stream, size = packed & 0xFFFFFFFF, packed >> 32
                if self._offer(stream, size):
                    self._unsent.remove(packed)
                    self.out.end(stream)
            for stream, left in list(self._bulk.items()):
                share = min(messages.MAX_DATA_BYTES, self.out.link.window_bytes // 4 - 128, left)
                if share > 0 and self._offer(stream, share):
                    # whoever has sent is asked last, as in a shell
                    del self._bulk[stream]
                    self._bulk[stream] = left - share
                    sent = True
            self._hand_over()

    def _offer(self, stream: int, size: int) -> bool:
        cost = size + messages.FRAME_COST_BYTES
        if not self.out.can_send(stream, cost, self.box.queued_bytes):
            return False
        urgent = self.out.spend(stream, cost)
        self.box.put(outbox.Item(stream.to_bytes(8, "big"), cost, urgent), stream)
        return True

    def _hand_over(self) -> None:
        while (item := self.box.take()) is not None:
            self.out.link.handed_over(item.cost, item.urgent, self.now_s)
            stream, size = int.from_bytes(item.body, "big"), item.cost - messages.FRAME_COST_BYTES
            self._at(self.there.arrival_s(self.now_s, item.cost), lambda s=stream, n=size: self._arrive(s, n))  # type: ignore[misc]

    def _arrive(self, stream: int, size: int) -> None:
        self.arrivals.append((self.now_s, size))
        message = messages.Part(stream, size, messages.Codec.RAW, bytes(size))
        self.incoming.received(message)
        if stream in self._edits:
            self.edit_latencies_s.append(self.now_s - self._edits.pop(stream))
            self.incoming.end(stream)
        if stream not in self.stalled:
            self.incoming.consumed(stream, messages.cost(message))
        if self.incoming.due:
            credit = self.incoming.take()
            self._at(self.back.arrival_s(self.now_s, 32), lambda: self.out.credited(credit, self.now_s))
