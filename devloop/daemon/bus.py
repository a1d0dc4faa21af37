"""The event bus: everything that happens goes to every view, and none of them can hold the rest up.

Events are published from the daemon's loop. Each subscriber has a bounded queue; one that does not keep up loses
output lines first, with their number told, then the oldest events. Those who join late are given the recent past.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import msgspec

from devloop.sync import events

# Events that a view may lag behind before it loses some, and that a late joiner is shown.
QUEUE_EVENTS: Final = 2000
RECENT_EVENTS: Final = 200

# Lines of pods' logs that a view may lag behind: a second of a flood, a megabyte or so.
QUEUE_LOG_LINES: Final = 10_000


class Subscription:
    """One view's queue of events. Iterate it; it ends when the bus is closed."""

    def __init__(self, recent: Iterator[events.Event]) -> None:
        self._queue: deque[events.Event] = deque(recent)
        self._wake = asyncio.Event()
        self._ended = False
        self._log_lines = 0
        self.lost = 0
        if self._queue:
            self._wake.set()

    def offer(self, event: events.Event) -> None:
        """Take an event, dropping one where the queue is full."""
        if len(self._queue) >= QUEUE_EVENTS:
            self._drop_one()
        self._queue.append(event)
        self._log_lines += log_lines(event)
        while self._log_lines > QUEUE_LOG_LINES:
            self._drop_log()
        self._wake.set()

    def end(self) -> None:
        """Let the iteration end after what is queued."""
        self._ended = True
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[events.Event]:
        while True:
            while self._queue:
                event = self._queue.popleft()
                self._log_lines -= log_lines(event)
                if self.lost and isinstance(event, events.Output):
                    event = msgspec.structs.replace(event, dropped=event.dropped + self.lost)
                    self.lost = 0
                yield event
            if self._ended:
                return
            self._wake.clear()
            await self._wake.wait()

    def _drop_one(self) -> None:
        for index, event in enumerate(self._queue):
            if isinstance(event, events.Output):
                self.lost += len(event.lines)
                self._log_lines -= log_lines(event)
                del self._queue[index]
                return
        self._queue.popleft()

    def _drop_log(self) -> None:
        """Drop the oldest lines of a log; there are some."""
        index = next(index for index, event in enumerate(self._queue) if log_lines(event))
        event = self._queue[index]
        self.lost += log_lines(event)
        self._log_lines -= log_lines(event)
        del self._queue[index]


def log_lines(event: events.Event) -> int:
    """Return how many lines of a pod's log an event brings: 0 for all that this process has not read from there."""
    return len(event.lines) if isinstance(event, events.Output) and event.pod else 0


class Bus:
    """Publishes events to subscriptions."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._recent: deque[events.Event] = deque(maxlen=RECENT_EVENTS)
        self._closed = False

    def publish(self, event: events.Event) -> None:
        """Give an event to every view, stamped with the time."""
        stamped = msgspec.structs.replace(event, time=time.time())
        if not log_lines(stamped):
            # Whoever joins late wants to know how things stand; `devloop logs` has the lines.
            self._recent.append(stamped)
        for subscription in self._subscriptions:
            subscription.offer(stamped)

    def publisher(self, service: str) -> Callable[[events.Event], None]:
        """Return a `publish` that fills in the service's name."""
        return lambda event: self.publish(msgspec.structs.replace(event, service=service))

    def subscribe(self, *, recent: bool = False) -> Subscription:
        """Return a new subscription.

        Args:
            recent: Begin with the recent past.
        """
        subscription = Subscription(iter(self._recent if recent else ()))
        if self._closed:
            subscription.end()
        else:
            self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        subscription.end()
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def close(self) -> None:
        """End every subscription after what it has queued."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()
        self._subscriptions.clear()
