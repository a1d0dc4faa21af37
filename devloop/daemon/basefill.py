"""Keeps the store of delta bases filled: bodies that were acked, copied while nothing else is to do.

A delta needs the content that the target holds; after an edit the laptop's disk no longer has it. So every acked
file of a size that deltas are made for is copied into the store a moment later, one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from devloop.core import tree
from devloop.core.entry import Entry
from devloop.fs import body
from devloop.protocol import bodies
from devloop.state import basestore

# A first sync may want more copies than the store holds; beyond this the oldest wishes are dropped.
MAX_WAITING: Final = 4096

# A pause between two copies, so that filling never takes more than a fraction of a disk or core.
PAUSE_S: Final = 0.005


class Filler:
    """Copies acked bodies into the base store.

    Args:
        store: The store.
        executor: Where files are read and written.
        open_body: Opens a sync's file: root, path, entry.
    """

    def __init__(
        self,
        store: basestore.BaseStore,
        executor: Executor,
        open_body: Callable[[int, str, Entry], body.Body],
    ) -> None:
        self._store = store
        self._executor = executor
        self._open_body = open_body
        self._waiting: dict[tuple[int, str], Entry] = {}
        self._wake = asyncio.Event()

    def acked(self, root: int, delta: tree.TreeDelta) -> None:
        """Take up what was just acked."""
        for path, entry in delta.put.items():
            if bodies.MIN_DELTA_BYTES <= entry.size <= bodies.MAX_DELTA_BYTES:
                self._waiting.pop((root, path), None)
                self._waiting[root, path] = entry
        while len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Copy until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                (root, path), entry = self._waiting.popitem()
                await loop.run_in_executor(self._executor, self._copy, root, path, entry)
                await asyncio.sleep(PAUSE_S)

    def _copy(self, root: int, path: str, entry: Entry) -> None:
        if self._store.has(entry.digest):
            return
        try:
            with self._open_body(root, path, entry) as opened:
                pieces = []
                while piece := opened.read(1024 * 1024):
                    pieces.append(piece)
        except body.BodyChanged:
            return
        self._store.put(entry.digest, b"".join(pieces))
