"""The bounded hand-over from the backends' threads to the event loop, with one wake-up for many events.

The loop says what it would act on before it waits; anything else stays in the inbox until it looks by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import threading
import time
from collections import deque
from typing import Final

from devloop.watch import events

# Paths that are held while the loop is busy; beyond that they become a rescan of the root.
MAX_PATHS: Final = 65_536


class Ear(enum.IntEnum):
    """What wakes the loop, each with all before it."""

    URGENT = 0
    CHANGES = 1
    ALL = 2


class Inbox:
    """Events on their way to the loop, in order, each with the time at which it was told.

    Args:
        loop: The loop to wake.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bell = asyncio.Event()
        self._lock = threading.Lock()
        self._events: deque[tuple[float, events.Event]] = deque()
        self._ear = Ear.URGENT
        self._rung = False
        self.path_count = 0
        self.event_count = 0
        self.wake_ups = 0

    def put(self, event: events.Event) -> None:
        """Take an event; called from any thread, and never blocks for long."""
        at_s = time.monotonic()
        with self._lock:
            self.event_count += 1
            self._events.append((at_s, event))
            self.path_count += events.path_count(event)
            if self.path_count > MAX_PATHS:
                self._shrink(at_s)
            wake = _loudness(event) <= self._ear and not self._rung
            self._rung = self._rung or wake
            self.wake_ups += wake
        if wake:
            # The loop may be closing down, when nobody listens any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._bell.set)

    def take(self) -> deque[tuple[float, events.Event]]:
        """Return what has come, and forget it; called on the loop."""
        with self._lock:
            taken, self._events = self._events, deque()
            self.path_count = 0
            self._rung = False
            self._ear = Ear.URGENT
        return taken

    def ring(self) -> None:
        """End the wait; called on the loop."""
        self._bell.set()

    async def wait(self, ear: Ear, until_s: float) -> None:
        """Wait for an event, or a time.

        Args:
            ear: Which events end the wait; one that is here already does so at once.
            until_s: The time, on the monotonic clock.
        """
        with self._lock:
            if any(_loudness(event) <= ear for _, event in self._events):
                return
            self._ear = ear
        timer = self._loop.call_later(max(0.0, until_s - time.monotonic()), self._bell.set)
        try:
            await self._bell.wait()
        finally:
            timer.cancel()
            self._bell.clear()

    def _shrink(self, at_s: float) -> None:
        kept = [(when_s, event) for when_s, event in self._events if not isinstance(event, events.Hint)]
        self._events = deque([*kept, (at_s, events.Rescan("", events.Reason.TOO_MANY))])
        self.path_count = len(self._events)


def _loudness(event: events.Event) -> Ear:
    if isinstance(event, events.Opened):
        return Ear.ALL
    return Ear.CHANGES if isinstance(event, events.Hint) else Ear.URGENT
