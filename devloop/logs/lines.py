r"""Lines out of the bytes of a log, bounded in length, each with its stamp.

Pure. A line that is too long is cut in pieces of a fixed size, counted from its beginning, so that a second reading
cuts it at the same places; each piece has the line's stamp in front, and a piece that goes on ends with `\n`, which no
line does. So a piece is a line to everything that follows, and `goes_on` tells the difference.

Runtimes store a line of more than 16 KiB in parts, each with a stamp of its own. Older kubelets, such as 1.20's, leave
these stamps within the line; they are taken out where the parts have the size that containerd and Docker give them.
"""

from __future__ import annotations

from typing import Final

from devloop.logs import stamps

# The size of the parts: containerd's `max_container_log_line_size`, Docker's `maxLen` of its copier.
PART_BYTES: Final = 16 * 1024
MAX_LINE_BYTES: Final = 4 * PART_BYTES


class Splitter:
    """Cuts one reading of a log into lines.

    Args:
        max_bytes: The longest piece, without its stamp; a multiple of `PART_BYTES`.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        # So long that what follows the last part of a piece is there too, be it a stamp.
        self._hold_bytes = max_bytes + (max_bytes // PART_BYTES + 2) * stamps.LONGEST
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes, and return the lines that are whole by them, without their ends."""
        *whole, rest = (self._rest + piece).split(b"\n")
        if whole and len(max(whole, key=len)) > PART_BYTES:
            whole = [part for line in whole for part in self._cut(line)]
        self._rest = rest
        if len(rest) > self._hold_bytes:
            *more, self._rest = self._cut(rest, keep=True)
            whole += more
        return whole

    def finish(self) -> list[bytes]:
        """Return what had no end yet, at the end of a log that was read to its end."""
        rest, self._rest = self._rest, b""
        return self._cut(rest) if rest else []

    def _cut(self, line: bytes, *, keep: bool = False) -> list[bytes]:
        """Return the pieces of a line; with `keep` the last one is what is left for later, uncut."""
        if len(line) <= PART_BYTES:
            return [line]
        stamp, rest = stamps.split(line)
        head = stamp + b" " if stamp else b""
        pieces: list[bytes] = []
        at = 0
        while len(rest) - at > self._hold_bytes or not keep:
            text, at = self._take(rest, at, stamped=bool(head))
            if at >= len(rest):
                return [*pieces, head + text]
            pieces.append(head + text + b"\n")
        return [*pieces, head + rest[at:]]

    def _take(self, rest: bytes, at: int, *, stamped: bool) -> tuple[bytes, int]:
        """Return the next piece of a line's text without the stamps in it, and where it ends."""
        parts: list[bytes] = []
        for _ in range(self._max_bytes // PART_BYTES):
            part = rest[at : at + PART_BYTES]
            parts.append(part)
            at += len(part)
            if len(part) < PART_BYTES:
                break
            found = stamps.STAMP.match(rest, at) if stamped else None
            if found is not None:
                at = found.end()
        return b"".join(parts), at


def goes_on(line: bytes) -> bool:
    """Say whether a line is a piece of a longer one, and not the last."""
    return line.endswith(b"\n")
