"""Logs of several containers as one, by the time of their lines.

What each container printed stays in its own order, also where its stamps do not; between containers the stamps decide.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from typing import Final

from devloop.logs import stamps, values

MAX_WAITING: Final = 4


class Source:
    """One container's log on its way into the merge. Belongs to one event loop."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[values.Batch | None] = asyncio.Queue(MAX_WAITING)
        self._batch: values.Batch | None = None
        self._keys: list[int] = []
        self._at = 0
        self._latest_ns = 0

    async def put(self, item: values.Batch) -> None:
        """Add lines; wait while there are enough."""
        await self._queue.put(item)

    async def end(self) -> None:
        """Say that there are no more."""
        await self._queue.put(None)

    async def key(self) -> int | None:
        """Return the moment of the next line in nanoseconds, None after the last. Waits for it."""
        while self._batch is None or self._at >= len(self._batch.lines):
            self._batch = await self._queue.get()
            if self._batch is None:
                return None
            self._keys, self._at = self._keys_of(self._batch.lines), 0
        return self._keys[self._at]

    def take(self, until_ns: int | None) -> values.Batch:
        """Return the next line and all at hand after it that are no later than `until_ns`; call `key` before."""
        assert self._batch is not None
        begin = self._at
        self._at += 1
        while self._at < len(self._keys) and (until_ns is None or self._keys[self._at] <= until_ns):
            self._at += 1
        return values.Batch(self._batch.origin, self._batch.run, self._batch.lines[begin : self._at])

    def _keys_of(self, lines: Sequence[bytes]) -> list[int]:
        keys = []
        for line in lines:
            self._latest_ns = max(self._latest_ns, stamps.nanoseconds(line) or 0)
            keys.append(self._latest_ns)
        return keys


async def merge(sources: Sequence[Source], put: values.Put) -> None:
    """Put the lines of all sources in their order, until each has ended.

    Args:
        sources: Filled by others meanwhile.
        put: Takes the lines; while it waits, nothing more is read.
    """
    heap: list[tuple[int, int]] = []
    for number, source in enumerate(sources):
        await _push(heap, number, source)
    while heap:
        _, number = heapq.heappop(heap)
        await put(sources[number].take(heap[0][0] if heap else None))
        await _push(heap, number, sources[number])


async def _push(heap: list[tuple[int, int]], number: int, source: Source) -> None:
    key = await source.key()
    if key is not None:
        heapq.heappush(heap, (key, number))
