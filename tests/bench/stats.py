"""Small statistics of measured values."""

from __future__ import annotations

from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two in the middle.

    Raises:
        ValueError: There is none.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that is not less than `percent` of all (nearest rank).

    Args:
        values: At least one.
        percent: More than 0, at most 100.

    Raises:
        ValueError: There is no value, or no such percentile.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError("no such percentile")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[int(rank) - 1]
