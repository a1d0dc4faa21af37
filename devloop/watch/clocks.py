"""Telling from two readings of the clocks that the machine slept in between, or that its clock was set. Mostly pure."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from devloop.watch import events

# Readings of different clocks are taken one after the other; a busy machine puts some time between them.
_SLEPT_S: Final = 2.0
# Time services correct a clock by less than this, little by little.
_SET_S: Final = 5.0


class Clocks(msgspec.Struct, frozen=True):
    """One reading.

    Attributes:
        running_s: A clock that stands still while the machine sleeps.
        passing_s: A clock that goes on then; equal to `running_s` where there is none.
        wall_s: The time of day.
    """

    running_s: float
    passing_s: float
    wall_s: float


def read() -> Clocks:
    """Read the clocks now."""
    # Linux: monotonic stops, boottime goes on (clock_gettime(2)). macOS: uptime stops, monotonic goes on.
    running = getattr(time, "CLOCK_UPTIME_RAW", time.CLOCK_MONOTONIC)
    passing = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return Clocks(time.clock_gettime(running), time.clock_gettime(passing), time.time())


def jump(before: Clocks, after: Clocks) -> events.Reason | None:
    """Return why everything must be looked at again, or None.

    A virtual machine that was paused shows as a jump of the time of day only.
    """
    ran_s = after.running_s - before.running_s
    if after.passing_s - before.passing_s - ran_s > _SLEPT_S:
        return events.Reason.WAKE
    if abs(after.wall_s - before.wall_s - ran_s) > _SET_S:
        return events.Reason.CLOCK
    return None
