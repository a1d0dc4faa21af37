"""What was measured, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tests.bench import stats

_HEAD: Final = ("scenario", "figure", "value", "runs", "target", "floor", "ratio", "")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. Less is better for all of them.

    Attributes:
        scenario: Which scenario it is of.
        name: What it is.
        unit: Of all its values.
        values: One for each run.
        best: The figure is the least of the values, not their median.
        target: What is demanded, or None.
        floors: What the floor took in the same runs; may be empty.
        floor_name: What the floor is.
    """

    scenario: str
    name: str
    unit: str
    values: tuple[float, ...]
    best: bool = False
    target: float | None = None
    floors: tuple[float, ...] = ()
    floor_name: str = ""

    @property
    def value(self) -> float:
        """The figure itself."""
        return self._reduced(self.values)

    @property
    def floor(self) -> float | None:
        """The floor, reduced in the same way."""
        return self._reduced(self.floors) if self.floors else None

    @property
    def ratio(self) -> float | None:
        """How many times the floor it is."""
        return self.value / self.floor if self.floor else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.value <= self.target

    def _reduced(self, values: Sequence[float]) -> float:
        return min(values) if self.best else stats.median(values)


def to_json(figure: Figure) -> bytes:
    """Return the figure as one line of JSON, without the line end."""
    return msgspec.json.encode(
        {
            "scenario": figure.scenario,
            "figure": figure.name,
            "unit": figure.unit,
            "value": round(figure.value, 4),
            "reduced_by": "min" if figure.best else "median",
            "runs": [round(value, 4) for value in figure.values],
            "target": figure.target,
            "floor": None if figure.floor is None else round(figure.floor, 4),
            "floor_name": figure.floor_name,
            "floor_runs": [round(value, 4) for value in figure.floors],
            "ratio": None if figure.ratio is None else round(figure.ratio, 2),
            "met": figure.is_met,
        }
    )


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table, with its line ends."""
    rows = [_HEAD, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(left + right).rstrip() + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = _shown(min(figure.values)), _shown(max(figure.values))
    met = {True: "pass", False: "MISS", None: ""}[figure.is_met]
    return (
        figure.scenario,
        figure.name,
        f"{_shown(figure.value)} {figure.unit}",
        f"{low} .. {high}" if len(figure.values) > 1 else "",
        "" if figure.target is None else f"<= {figure.target:g} {figure.unit}",
        "" if figure.floor is None else f"{_shown(figure.floor)} {figure.unit} ({figure.floor_name})",
        "" if figure.ratio is None else f"{figure.ratio:.1f}x",
        met,
    )


def _shown(value: float) -> str:
    """Return a value with about three digits that mean something."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
