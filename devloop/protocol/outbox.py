"""What a session has to send, and in which order it leaves.

Control messages first, then the urgent ones, then bulk, one message of each stream in turn. Messages of one stream
never overtake each other, so a control message that belongs to a stream waits behind what that stream still has
here; it never waits for credit, since what is here had its credit before it came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec


class Item(msgspec.Struct, frozen=True, gc=False):
    """One encoded message.

    Attributes:
        body: The frame without its number.
        cost: What it costs the stream's credit; 0 for a control message.
        urgent: It goes before bulk.
        stream: The stream whose order it keeps; 0 where it keeps none.
    """

    body: bytes
    cost: int = 0
    urgent: bool = True
    stream: int = 0


class Outbox:
    """The queues of one session's direction out."""

    def __init__(self) -> None:
        self._control: deque[Item] = deque()
        self._lanes: dict[int, deque[Item]] = {}
        # which lanes have something, by whether their first item is urgent; a lane is in one of the two
        self._urgent: deque[int] = deque()
        self._bulk: deque[int] = deque()
        self.queued_bytes = 0
        """What the items here cost."""

    def __len__(self) -> int:
        return len(self._control) + sum(len(lane) for lane in self._lanes.values())

    def __bool__(self) -> bool:
        return bool(self._control or self._lanes)

    def put(self, item: Item, stream: int | None) -> None:
        """Queue a message.

        Args:
            item: The message.
            stream: The stream whose order it keeps; None where it keeps none.
        """
        self.queued_bytes += item.cost
        lane = self._lanes.get(stream) if stream is not None else None
        if lane is not None:
            lane.append(item)
        elif stream is None or not item.cost:
            self._control.append(item)
        else:
            self._lanes[stream] = deque((item,))
            self._line_up(stream, item)

    def take(self) -> Item | None:
        """Return the next message, or None."""
        if self._control:
            return self._control.popleft()
        ring = self._urgent or self._bulk
        if not ring:
            return None
        stream = ring.popleft()
        lane = self._lanes[stream]
        item = lane.popleft()
        self.queued_bytes -= item.cost
        if lane:
            self._line_up(stream, lane[0])
        else:
            del self._lanes[stream]
        return item

    def drop(self, stream: int) -> Sequence[Item]:
        """Forget what one stream has here, and return it."""
        lane = self._lanes.pop(stream, None)
        if lane is None:
            return ()
        (self._urgent if lane[0].urgent else self._bulk).remove(stream)
        self.queued_bytes -= sum(item.cost for item in lane)
        return lane

    def drop_streams(self) -> None:
        """Forget everything that belongs to streams and has not left."""
        self._lanes.clear()
        self._urgent.clear()
        self._bulk.clear()
        self.queued_bytes = 0

    def drop_all(self) -> None:
        """Forget everything that has not left."""
        self._control.clear()
        self.drop_streams()

    def _line_up(self, stream: int, item: Item) -> None:
        (self._urgent if item.urgent else self._bulk).append(stream)
