"""How far a container's log has been read, so that it can be read on after a cut: nothing lost, nothing twice.

Pure. A reading that resumes asks for everything from a whole second on, some seconds back, because stamps are not in
order to the nanosecond: two streams of one container are stamped before they are written to one file, and clocks are
set back. The kubelet sends every line of the file whose stamp is not before that, in the file's order. So what was read
before comes first, and is told by stamp and text together, counted: two equal lines with one stamp are two lines.

Remembered is a number of 64 bits for each line, by second, as many as `CAPACITY`. Where that does not reach back far
enough, or the reading began in the middle of the log, lines before the first known one are passed over: in the order of
the file they are older.

What cannot be had again: lines that were printed while nobody read, in a file that the kubelet has rotated away since
(`lost` tells), and lines stamped more than `OVERLAP_S` in the past by a clock that was set back while nobody read.
"""

from __future__ import annotations

import array
import collections
from collections.abc import Sequence
from typing import Final

from devloop.logs import stamps

# How far back a reading resumes. A clock that is set back while the log is read may be set back by any amount.
OVERLAP_S: Final = 3

# Lines that are remembered: 8 bytes each. Of 20,000 lines a second that is 13 s, of ten a second seven hours.
CAPACITY: Final = 256 * 1024


class Cursor:
    """The place in the log of one container. Begin each reading with `resume` or `restart`.

    Args:
        capacity: How many lines are remembered, at least the last second's.
        overlap_s: How far back a reading resumes.
    """

    def __init__(self, *, capacity: int = CAPACITY, overlap_s: int = OVERLAP_S) -> None:
        self._capacity = capacity
        self._overlap_s = overlap_s
        # By second, the one that was touched last at the end.
        self._seen: dict[bytes, array.array[int]] = {}
        self._count = 0
        self._second = b""
        self._previous = b""
        self._offset = b""
        self._last_line = b""
        # Up to this second not every line is remembered.
        self._dim = b""
        # What this reading may bring again: by second, how many of the lines seen; a counter once one came.
        self._known: dict[bytes, int | collections.Counter[int]] = {}
        # Until a known line comes, what is not known up to this second is older, or the rest of a line that is.
        self._older_to = b""
        self._unproved = False
        self.lost = False
        """This reading did not bring the last line again: the file was rotated, and lines in between may be gone."""

    @property
    def is_fresh(self) -> bool:
        """No line was read yet."""
        return not self._second

    def resume(self) -> str:
        """Begin a reading of the same file; return the moment to ask from, empty for the beginning."""
        self.lost = False
        self._known, self._older_to, self._unproved = {}, b"", False
        if self.is_fresh:
            return ""
        # The second before counts as well: one stamp of a clock that jumped ahead must not hide what follows.
        from_second = stamps.earlier(min(self._second, self._previous or self._second), self._overlap_s)
        self._known = {second: len(seen) for second, seen in self._seen.items() if second >= from_second}
        # A line that was stored in parts may have been stamped on both sides of the moment: its rest comes first.
        self._older_to = self._last_line[: stamps.SECOND] if from_second <= self._dim else from_second
        self._unproved = True
        return stamps.utc(from_second, self._offset)

    def restart(self) -> None:
        """Begin a reading of another file from its beginning: the log of the next run.

        What was read of it already, because nobody knew yet that it is another run, is known.
        """
        self.lost = False
        self._known = {second: len(seen) for second, seen in self._seen.items()}
        self._older_to, self._unproved = b"", False

    def take(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return those lines of a reading that are new, and remember them."""
        if self._known or self._unproved:
            lines = [line for line in lines if self._is_new(line)]
        if lines:
            self._remember(lines)
        return lines

    def _is_new(self, line: bytes) -> bool:
        second = line[: stamps.SECOND]
        if self._known and self._was_seen(second, hash(line)):
            self._older_to, self._unproved = b"", False
            return False
        if second <= self._older_to and not self._is_after(line):
            return False
        # In the order of the file nothing that was read comes after a line that was not.
        self._known, self._older_to = {}, b""
        self.lost |= self._unproved
        self._unproved = False
        return True

    def _was_seen(self, second: bytes, number: int) -> bool:
        known = self._known.get(second)
        if known is None:
            return False
        if isinstance(known, int):
            known = self._known[second] = collections.Counter(self._seen[second][:known])
        if not known[number]:
            return False
        known[number] -= 1
        return True

    def _is_after(self, line: bytes) -> bool:
        here, there = stamps.nanoseconds(line), stamps.nanoseconds(self._last_line)
        return here is not None and there is not None and here > there

    def _remember(self, lines: Sequence[bytes]) -> None:
        begins = self.is_fresh
        seen = self._seen.get(self._second)
        second = self._second
        for line in lines:
            if line[: stamps.SECOND] != second or seen is None:
                found = stamps.STAMP.match(line)
                if found is None or stamps.nanoseconds(line) is None:
                    continue
                second = found[1]
                seen = self._turn(second, found[3])
            seen.append(hash(line))
            self._last_line = line
        self._count += len(lines)
        if begins:
            # What came before may exist, and was not asked for.
            self._dim = min(self._seen, default=b"")
        self._forget()

    def _turn(self, second: bytes, offset: bytes) -> array.array[int]:
        """Go on in another second."""
        self._previous, self._second, self._offset = self._second, second, offset
        seen = self._seen.pop(second, None)
        if seen is None:
            seen = array.array("q")
        self._seen[second] = seen
        return seen

    def _forget(self) -> None:
        """Forget the seconds that were not touched for longest, until no more is remembered than may be."""
        while self._count > self._capacity and len(self._seen) > 1:
            oldest = next(iter(self._seen))
            self._count -= len(self._seen.pop(oldest))
            self._known.pop(oldest, None)
            self._dim = max(self._dim, oldest)
