"""How long to wait between tries: growing, with jitter, and started anew after a success."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

# The first retry is quick because most breaks are short (a restarted agent); the longest wait is short enough that
# nobody who fixed the network sits and waits.
FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0
FACTOR: Final = 1.8


def delays(*, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> Iterator[float]:
    """Yield waiting times in seconds, without end.

    Each is drawn between half of the current step and the whole, so that many laptops whose network came back do
    not knock at the same moment.

    Args:
        first_s: The first step.
        longest_s: The step that is not exceeded.
    """
    step_s = first_s
    while True:
        yield step_s * random.uniform(0.5, 1.0)  # noqa: S311  (jitter, not a secret)
        step_s = min(longest_s, step_s * FACTOR)
