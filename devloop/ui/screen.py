"""Lines that scroll by, and below them a few that stay: the drawing of the live view.

Each drawing is one write: the old panel is erased, what happened is printed where it was, and the panel is drawn again
below. Nothing else is remembered than what stands there now, so the terminal's own scrollback keeps every line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

_HIDE_CURSOR: Final = "\x1b[?25l"
_SHOW_CURSOR: Final = "\x1b[?25h"
_ERASE_BELOW: Final = "\r\x1b[J"


class Screen:
    """Draws on a terminal.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._standing: list[int] = []

    @property
    def width(self) -> int:
        """Columns that a panel's line may have: the last one stays free, because some terminals wrap there."""
        return max(1, self._console.width - 1)

    def draw(self, log: Sequence[Text], panel: Sequence[Text]) -> None:
        """Print lines above the panel, and the panel anew.

        Args:
            log: What happened; a line may be wider than the terminal.
            panel: How things stand; each line no wider than `width`. What the terminal has no room for is left out.
        """
        shown = list(panel)[: max(1, self._console.height - 1)]
        pieces = [_HIDE_CURSOR, self._erased()]
        pieces += [self._rendered(line) + "\n" for line in log]
        pieces.append("\n".join(self._rendered(line) for line in shown))
        self._standing = [line.cell_len for line in shown]
        self._write("".join(pieces))

    def clear(self) -> None:
        """Take the panel away, and show the cursor again."""
        self._write(self._erased() + _SHOW_CURSOR)
        self._standing = []

    def _erased(self) -> str:
        """Return what erases the panel that stands there; the cursor is at the end of its last line."""
        # A terminal that became narrower has broken the panel's lines.
        width = max(1, self._console.width)
        rows = sum(max(1, -(-cells // width)) for cells in self._standing)
        return (f"\x1b[{rows - 1}A" if rows > 1 else "") + (_ERASE_BELOW if rows else "")

    def _rendered(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True, highlight=False)
        return captured.get()

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
