"""Reading a child's output: from a pipe, through a splitter, into a queue."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from devloop.proc import lines

# One read; also what a pipe holds on Linux.
_READ_BYTES: Final = 64 * 1024
# A child that writes faster than its lines are taken is held up for a moment after each loss. That bounds what a
# flood costs to 6 MB/s of reading, instead of a whole core, and never stops the child.
_HOLD_UP_S: Final = 0.01
# What is read at most after the group is gone, should a process that escaped from it go on writing.
_LAST_READS: Final = 64

Rewrite = Callable[[str], str]


class Pipe:
    """The reading end of one stream of a child.

    Args:
        fd: The descriptor; it is taken over, and closed at the end.
        source: Whose output it is.
        stream: Which one.
        output: Where the lines go.
        rewrite: What is done to each line before, such as mapping paths.
    """

    def __init__(
        self, fd: int, source: str, stream: lines.Stream, output: lines.LineQueue, rewrite: Rewrite | None
    ) -> None:
        self._fd = fd
        self._source = source
        self._stream = stream
        self._output = output
        self._rewrite = rewrite
        self._splitter = lines.Splitter()
        self._loop = asyncio.get_running_loop()
        self._lost = 0
        self._held_up: asyncio.TimerHandle | None = None
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Read what is there, give up the last line, and close. Calling it again does nothing."""
        for _ in range(_LAST_READS):
            if self._fd < 0 or not self._read_once():
                break
        self._finish()

    def _read(self) -> None:
        if self._read_once() and self._lost:
            self._loop.remove_reader(self._fd)
            self._held_up = self._loop.call_later(_HOLD_UP_S, self._go_on)

    def _go_on(self) -> None:
        self._held_up = None
        self._loop.add_reader(self._fd, self._read)

    def _read_once(self) -> bool:
        """Read once, and say whether something was there."""
        try:
            raw = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not raw:
            self._finish()
            return False
        self._put(self._splitter.feed(raw))
        return True

    def _finish(self) -> None:
        if self._fd < 0:
            return
        if self._held_up is not None:
            self._held_up.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._put(self._splitter.finish())

    def _put(self, texts: list[str]) -> None:
        if self._rewrite is not None:
            texts = [self._rewrite(text) for text in texts]
        self._lost = self._output.put(lines.Line(self._source, self._stream, text) for text in texts)
