"""Lines of many containers on their way to one who shows them, bounded for each container.

A reader that is faster than who shows waits, and with it the API server and the kubelet: nothing is dropped here, and a
chatty container does not hold up a quiet one.
"""

from __future__ import annotations

import asyncio
import collections
from typing import Final

from devloop.logs import values

# Lines that wait for each container; what one read of a socket brings goes beyond it once.
MAX_LINES: Final = 4_000


class Mux:
    """A queue with many ends in and one out. Belongs to one event loop.

    Args:
        max_lines: How many lines of one origin wait before its reader does.
    """

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self._max_lines = max_lines
        self._items: collections.deque[values.Item] = collections.deque()
        self._waiting: collections.Counter[values.Origin] = collections.Counter()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()

    async def put(self, item: values.Item) -> None:
        """Add an item; wait while too many lines of its origin are there. Cancelling adds nothing."""
        while self._waiting[item.origin] >= self._max_lines:
            await self._taken.wait()
        self._items.append(item)
        self._waiting[item.origin] += len(item.lines) if isinstance(item, values.Batch) else 1
        self._filled.set()

    async def take(self) -> list[values.Item]:
        """Wait for items and return all there are, in the order in which they came."""
        await self._filled.wait()
        items = list(self._items)
        self._items.clear()
        self._waiting.clear()
        self._filled.clear()
        self._taken.set()
        self._taken = asyncio.Event()
        return items
