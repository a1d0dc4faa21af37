"""Columns for people: as wide as they need to be, cut where the terminal is narrow, coloured after they are aligned."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from devloop.ui import style
from devloop.ui.style import Tone

_GAP: Final = "  "
# Below this a column says nothing any more.
_LEAST: Final = 8
_MORE: Final = "…"


class Cell(msgspec.Struct, frozen=True):
    """One piece of text in a table.

    Attributes:
        text: Without control characters.
        tone: How it is drawn.
    """

    text: str
    tone: Tone = Tone.PLAIN


def render(
    head: Sequence[str], rows: Sequence[Sequence[Cell]], paint: style.Style, *, width: int = 0, elastic: int = 0
) -> list[str]:
    """Return the lines of a table, its head first.

    Args:
        head: The columns' names.
        rows: Their cells.
        paint: The colours.
        width: Columns of the terminal; 0 where it does not matter.
        elastic: Which column gives way where the terminal is too narrow.
    """
    widths = [
        max(columns(cell) for cell in each) for each in zip(head, *([c.text for c in r] for r in rows), strict=True)
    ]
    over = sum(widths) + len(_GAP) * (len(head) - 1) - width
    if width and over > 0:
        widths[elastic] = max(_LEAST, widths[elastic] - over)
    lines = [paint(_line(head, widths), Tone.DIM)]
    for row in rows:
        cells = [paint(padded(cut(each.text, size), size), each.tone) for each, size in zip(row, widths, strict=True)]
        # A last cell ends where its text does, so that nothing wraps for the sake of blanks.
        cells[-1] = paint(cut(row[-1].text, widths[-1]), row[-1].tone)
        lines.append(_GAP.join(cells).rstrip())
    return lines


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(padded(cut(text, size), size) for text, size in zip(texts, widths, strict=True)).rstrip()


def padded(text: str, width: int) -> str:
    """Return a text with blanks up to a width."""
    return text + " " * (width - columns(text))


def cut(text: str, width: int) -> str:
    """Return a text that takes no more than a width; what was cut off is an ellipsis."""
    if columns(text) <= width:
        return text
    kept, taken = [], 0
    for one in text:
        taken += columns(one)
        if taken > width - 1:
            break
        kept.append(one)
    return "".join(kept) + _MORE


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )
