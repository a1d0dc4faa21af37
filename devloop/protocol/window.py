"""How much bulk may be under way on a link, so that little waits in the buffers below.

Whatever was handed to the transport goes out before anything urgent that comes later: socket buffers, proxies and
the API server are first in, first out. So bulk under way is kept to what the link carries in one round trip plus
50 ms, which keeps the link busy and costs a later edit no more than those 50 ms:

    window = rate * (smallest round trip seen + 50 ms), at least 256 KiB and at most 8 MiB

The rate is what the peer reports as received over the time between its reports, as a moving average over 200 ms.
Only a busy link tells what it can do: one for which there was more to send than the window let through, or on which
more was under way all the time than it holds at the rate believed so far. What was measured while there was little
to send may raise the rate and not lower it. While the window is too small for the link, the measured rate is
window / round trip, so the window grows with each round trip, as long as the link keeps up.

Small things have 256 KiB of their own besides the window and never wait for it (`devloop.protocol.flow`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

from devloop import errors

MIN_WINDOW_BYTES: Final = 256 * 1024
"""One frame of the largest size, or four of the size that is used while the window is small."""

MAX_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""1 Gbit/s at 60 ms; more would only be memory."""

URGENT_WINDOW_BYTES: Final = 256 * 1024
"""What small things may have under way besides the window."""

REPORT_BYTES: Final = 64 * 1024
"""A receiver reports at least each so many bytes; a sender may always add a frame to fewer than these."""

STANDING_S: Final = 0.05
"""How long bulk may make other things wait."""

_AVERAGE_S: Final = 0.2
_SAMPLE_S: Final = 0.02


class LinkWindow:
    """The sender's account of what is under way, and its measure of the link."""

    def __init__(self) -> None:
        self.rate: float = 0.0
        """Bytes per second; 0 until measured."""
        self.smallest_rtt_s: float | None = None
        self._held = [0, 0]
        self._under_way: deque[tuple[int, int, bool, int]] = deque()
        self._on_report: Callable[[int, int], None] | None = None
        self._handed = 0
        self._reported = 0
        # a sample gathers busy time: from the first hand-over until everything is reported, and so on
        self._busy_since_s: float | None = None
        self._sample_s = 0.0
        self._sample_bytes = 0
        self._was_full = False
        self._least_held: int | None = None

    @property
    def window_bytes(self) -> int:
        """How much bulk may be under way now."""
        wanted = self.rate * (STANDING_S + (self.smallest_rtt_s or 0.0))
        return int(min(MAX_WINDOW_BYTES, max(MIN_WINDOW_BYTES, wanted)))

    @property
    def in_flight_bytes(self) -> int:
        """What was admitted and is not known to have arrived, urgent and bulk."""
        return sum(self._held)

    @property
    def bulk_in_flight_bytes(self) -> int:
        """The bulk of it."""
        return self._held[False]

    def tell_reports(self, on_report: Callable[[int, int], None]) -> None:
        """Have somebody told of each message of a stream that is reported: the stream's number and the bytes."""
        self._on_report = on_report

    def admits(self, size: int, urgent: bool, queued_bytes: int, max_queued_bytes: int) -> bool:
        """Say whether so many bytes may be queued and admitted now.

        Args:
            size: The bytes.
            urgent: They are urgent.
            queued_bytes: What is queued already.
            max_queued_bytes: How much bulk may be.
        """
        if queued_bytes and queued_bytes + size > max_queued_bytes and not urgent:
            self.note_full()
            return False
        return self.has_room(size, urgent)

    def has_room(self, size: int, urgent: bool) -> bool:
        """Say whether so many bytes may be admitted now."""
        held = self._held[urgent]
        limit = URGENT_WINDOW_BYTES if urgent else self.window_bytes
        # so few may be waiting to be reported, for ever if nothing more comes
        if held + size <= limit or held <= REPORT_BYTES:
            return True
        if not urgent:
            self.note_full()
        return False

    def note_full(self) -> None:
        """Note that there was more to send than could go: what is measured now is the link's own rate."""
        self._was_full = True

    def admit(self, size: int, urgent: bool) -> None:
        """Count bytes that will be handed to the transport."""
        self._held[urgent] += size

    def withdraw(self, size: int, urgent: bool) -> None:
        """Take back admitted bytes that were not handed over, and will not be."""
        self._held[urgent] -= size

    def handed_over(self, size: int, urgent: bool, now_s: float, stream: int = 0) -> None:
        """Note that admitted bytes were handed to the transport, in this order.

        Args:
            size: The bytes.
            urgent: They are urgent.
            now_s: The time.
            stream: Whose they are, for whoever is told of reports.
        """
        if self._busy_since_s is None:
            self._busy_since_s = now_s
        self._handed += size
        self._under_way.append((self._handed, size, urgent, stream))

    def reported(self, total: int, now_s: float) -> None:
        """Take the peer's report.

        Args:
            total: Bytes of bulk messages that it has received since the link began.
            now_s: The time.

        Raises:
            RemoteProtocolError: It claims more than was sent, or less than before.
        """
        if not self._reported <= total <= self._handed:
            raise errors.RemoteProtocolError(
                f"{total} bytes reported as received, after {self._reported}, of {self._handed} sent",
                where="Credit.received",
            )
        while self._under_way and self._under_way[0][0] <= total:
            _, size, urgent, stream = self._under_way.popleft()
            self._held[urgent] -= size
            if self._on_report is not None:
                self._on_report(stream, size)
        self._sample_bytes += total - self._reported
        self._reported = total
        held = self.in_flight_bytes
        self._least_held = held if self._least_held is None else min(self._least_held, held)
        self._measure(now_s)

    def round_trip(self, rtt_s: float) -> None:
        """Take a measured round trip."""
        self.smallest_rtt_s = min(rtt_s, self.smallest_rtt_s if self.smallest_rtt_s is not None else math.inf)

    def _measure(self, now_s: float) -> None:
        if self._busy_since_s is not None:
            self._sample_s += now_s - self._busy_since_s
        self._busy_since_s = now_s if self._reported < self._handed else None
        if self._sample_s < _SAMPLE_S:
            return
        sample = self._sample_bytes / self._sample_s
        if sample > self.rate or self._was_busy():
            weight = 1.0 if not self.rate else 1.0 - math.exp(-self._sample_s / _AVERAGE_S)
            self.rate += weight * (sample - self.rate)
        self._sample_s = 0.0
        self._sample_bytes = 0
        self._was_full = False
        self._least_held = None

    def _was_busy(self) -> bool:
        # what has arrived and is not reported counts as under way here, and so does a frame that is just being added
        held_by_link = self.rate * (self.smallest_rtt_s or 0.0) + 2 * REPORT_BYTES
        return self._was_full or (self._least_held or 0) >= held_by_link
