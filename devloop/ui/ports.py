"""The words of `devloop ports`: a table of what is forwarded, what carries it, and what went wrong last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devloop.sync import status
from devloop.ui import escapes, narrator, style
from devloop.ui.style import Tone

_HEAD: Final = ("NAME", "LOCAL", "", "TO", "STATE", "BY", "POD", "OPEN", "TOTAL", "SENT", "RECEIVED")
_TONES: Final = {
    "listening": Tone.GOOD,
    "waiting": Tone.WARNING,
    "failed": Tone.BAD,
    "not carried": Tone.WARNING,
}


def render(rows: Sequence[status.ForwardStatus], *, color: bool = False) -> str:
    """Return the table, and below it the last error of each that has one; without the last line end.

    Args:
        rows: The forwards.
        color: With colours.
    """
    if not rows:
        return "nothing is forwarded: `ports:` and `forwards:` in devloop.yaml, or `devloop ports add 8080:80`"
    paint = style.Style(on=color)
    table = [_cells(row) for row in rows]
    widths = [max(len(line[column]) for line in [_HEAD, *table]) for column in range(len(_HEAD))]
    lines = [paint(_aligned(_HEAD, widths), Tone.DIM)]
    for row, cells in zip(rows, table, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        padded[4] = paint(padded[4], _TONES.get(row.state, Tone.PLAIN))
        lines.append("  ".join(padded).rstrip())
    errors = [_error(row, paint) for row in rows if row.error]
    return "\n".join([*lines, *([""] if errors else []), *errors])


def _cells(row: status.ForwardStatus) -> tuple[str, ...]:
    held = f" ({row.held} waiting)" if row.held else ""
    return (
        escapes.name(row.service) or row.kind,
        escapes.plain(row.local),
        "<-" if row.kind == "reverse" else "->",
        escapes.plain(row.to),
        row.state,
        row.by or "-",
        escapes.name(row.target) or "-",
        f"{row.open}{held}",
        f"{row.total:,}",
        narrator.bytes_told(row.sent_bytes),
        narrator.bytes_told(row.received_bytes),
    )


def _error(row: status.ForwardStatus, paint: style.Style) -> str:
    code = f"[{row.code}]" if row.code else ""
    return paint(f"{escapes.plain(row.local)}: last error{code}: {escapes.plain(row.error)}", Tone.WARNING)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
