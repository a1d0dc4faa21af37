"""The watch's own log: every event as a line of JSON in a file of the state folder, whatever the views show.

It is for the day on which something went wrong and nobody looked. A subscription of the bus comes in, lines go out in
`<logs>/debug.log`; one that has become long is kept as `.1` and begun anew. Lines are gathered for a moment and written
by a thread: a save never waits for them. Trouble with the disk ends the log, not the watch.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
from typing import Final

from devloop.daemon import bus
from devloop.sync import events

NAME: Final = "debug.log"

# Two files of this size hold some days of a person's work.
MAX_BYTES: Final = 4 * 1024 * 1024

# Lines that wait for the disk; beyond this the oldest are forgotten.
MAX_WAITING: Final = 5000

# How long lines are gathered: a save and what follows from it become one write, after it was acked.
GATHER_S: Final = 0.25


class EventLog:
    """Writes events to a file.

    Args:
        folder: Where the log is; it exists.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NAME)
        self.trouble = ""
        """Why nothing is written any more; empty while it is."""

    async def run(self, subscription: bus.Subscription) -> None:
        """Write until the subscription ends. Cancellation: what was gathered is lost.

        Args:
            subscription: What is written.
        """
        async with asyncio.TaskGroup() as group:
            waiting: collections.deque[bytes] = collections.deque(maxlen=MAX_WAITING)
            filled, ended = asyncio.Event(), asyncio.Event()
            group.create_task(self._write_on(waiting, filled, ended))
            async for event in subscription:
                # What the cluster keeps is not kept again: it would push out all that happened.
                if not self.trouble and not bus.log_lines(event):
                    waiting.append(events.to_json(event) + b"\n")
                    filled.set()
            ended.set()
            filled.set()

    async def _write_on(self, waiting: collections.deque[bytes], filled: asyncio.Event, ended: asyncio.Event) -> None:
        while not (ended.is_set() and not waiting):
            await filled.wait()
            filled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await ended.wait()
            lines = b"".join(waiting)
            waiting.clear()
            if lines:
                await asyncio.to_thread(self._write, lines)

    def _write(self, lines: bytes) -> None:
        try:
            self._make_room(len(lines))
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with open(fd, "wb") as file:
                file.write(lines)
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def _make_room(self, more_bytes: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.lstat(self._path).st_size + more_bytes > MAX_BYTES:
                os.replace(self._path, f"{self._path}.1")
