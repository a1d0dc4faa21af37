"""Output as lines: cut from bytes, bounded in length, and queued with a bound that forgets the oldest.

`Splitter` knows no I/O. `LineQueue` stands between the pipes of any number of processes and the one who shows or
sends their lines: it never blocks a process, never grows, and tells how much it had to drop.
"""

from __future__ import annotations

import asyncio
import collections
import enum
from collections.abc import Iterable
from typing import Final

import msgspec

# Longer lines are cut in pieces: a minified bundle on stdout must not become one frame.
MAX_LINE_BYTES: Final = 16 * 1024
MAX_QUEUED_LINES: Final = 2_000
MAX_QUEUED_CHARS: Final = 1024 * 1024


class Stream(enum.StrEnum):
    """Where a line came from. `NOTE` is devloop's own word about the process."""

    STDOUT = "stdout"
    STDERR = "stderr"
    NOTE = "note"


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of output, without its end.

    Attributes:
        source: Whose output it is: `app`, or a hook's name.
        stream: Which of its streams.
        text: What it says; bytes that are not UTF-8 became U+FFFD.
    """

    source: str
    stream: Stream
    text: str


class Taken(msgspec.Struct, frozen=True):
    """What a queue held.

    Attributes:
        lines: In the order in which they came.
        dropped: How many lines were lost before these.
    """

    lines: tuple[Line, ...]
    dropped: int = 0


class Splitter:
    """Cuts a stream of bytes into lines.

    A carriage return within a line overwrites what was before it, as on a terminal, so a progress bar becomes its
    last state. What has no end of line yet is kept back, up to the greatest length of a line.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def feed(self, raw: bytes) -> list[str]:
        """Take bytes, and return the lines that are complete by them."""
        *whole, rest = (self._rest + raw).split(b"\n")
        lines: list[str] = []
        for line in whole:
            self._cut(_overwrite(line), lines)
        # The last carriage return stays: the end of line that makes it one of CRLF may be on its way.
        visible = _overwrite(rest)
        keep = b"\r" if rest.endswith(b"\r") else b""
        self._rest = self._cut(visible, lines, hold_back=True) + keep
        return lines

    def finish(self) -> list[str]:
        """Return what was kept back, at the end of the stream."""
        lines: list[str] = []
        if self._rest:
            self._cut(_overwrite(self._rest), lines)
        self._rest = b""
        return lines

    def _cut(self, line: bytes, lines: list[str], *, hold_back: bool = False) -> bytes:
        """Add a line to `lines` in pieces that are not too long; return the last one instead, if it is held back."""
        while len(line) > self._max_bytes:
            end = _character_border(line, self._max_bytes)
            lines.append(line[:end].decode("utf-8", "replace"))
            line = line[end:]
        if not hold_back:
            lines.append(line.decode("utf-8", "replace"))
        return line


def _overwrite(line: bytes) -> bytes:
    """Return what a terminal would show of a line with carriage returns in it."""
    if b"\r" not in line:
        return line
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _character_border(line: bytes, end: int) -> int:
    """Return the greatest position up to `end` that is not within a UTF-8 character of at most 4 bytes."""
    for position in range(end, end - 4, -1):
        if line[position] & 0xC0 != 0x80:
            return position
    return end


class LineQueue:
    """Lines on their way to one consumer, bounded; the oldest go first.

    Belongs to one event loop.

    Args:
        max_lines: How many lines it holds at most.
        max_chars: How many characters they have together at most; a single line is always held.
    """

    def __init__(self, max_lines: int = MAX_QUEUED_LINES, max_chars: int = MAX_QUEUED_CHARS) -> None:
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._lines: collections.deque[Line] = collections.deque()
        self._chars = 0
        self._dropped = 0
        self._filled = asyncio.Event()
        self._closed = False

    def put(self, lines: Iterable[Line]) -> int:
        """Add lines.

        Returns:
            How many had to be dropped for them.
        """
        before = self._dropped
        for line in lines:
            self._lines.append(line)
            self._chars += len(line.text)
            while self._is_too_full():
                self._chars -= len(self._lines.popleft().text)
                self._dropped += 1
        if self._lines:
            self._filled.set()
        return self._dropped - before

    def _is_too_full(self) -> bool:
        return len(self._lines) > self._max_lines or (self._chars > self._max_chars and len(self._lines) > 1)

    def note(self, source: str, text: str) -> None:
        """Add devloop's own word about a process."""
        self.put([Line(source, Stream.NOTE, text)])

    def close(self) -> None:
        """Let `take` end once everything was taken."""
        self._closed = True
        self._filled.set()

    async def take(self) -> Taken | None:
        """Wait for lines, and return all there are.

        Returns:
            The lines, or None after `close` when none is left. Cancelling loses nothing.
        """
        await self._filled.wait()
        if not self._lines:
            return None
        taken = Taken(tuple(self._lines), self._dropped)
        self._lines.clear()
        self._chars = self._dropped = 0
        if not self._closed:
            self._filled.clear()
        return taken
