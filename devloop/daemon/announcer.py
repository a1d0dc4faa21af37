"""What a service tells of its work: that a sync started, how it ended, what is in trouble, how long saves take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from devloop.core import ops
from devloop.core.entry import Kind
from devloop.core.problem import Problem
from devloop.sync import commands, engine, events

# Batches over which the latencies in `status` are taken, and what counts as a save: larger ones say nothing about it.
LATENCIES: Final = 200
SAVE_FILES: Final = 5

# Problems that one event or status lists.
MAX_ROWS: Final = 200


class Announcer:
    """Turns what the engine says into events, and keeps the figures of it.

    Args:
        brain: The service's engine.
        publish: Where events go.

    Attributes:
        saves: Times that something was synced.
    """

    def __init__(self, brain: engine.Engine, publish: Callable[[events.Event], None]) -> None:
        self.saves = 0
        self._brain = brain
        self._publish = publish
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES)
        self._shown_problems: tuple[events.ProblemRow, ...] = ()
        self._failing = False
        self._under_way = False
        self._lost = False

    def lost(self) -> None:
        """Take up that a link was lost: that the service is in sync is then news again, also if nothing was sent."""
        self._lost = True

    def started(self, batch: commands.Batch, *, again: bool) -> None:
        """Say that a batch is on its way.

        Args:
            batch: It.
            again: The same change goes to another replica, too: it is said once.
        """
        if again and self._under_way:
            return
        self._under_way = True
        puts = [op for op in batch.ops if op.action is ops.Action.PUT]
        self._publish(
            events.SyncStarted(
                batch=batch.number,
                files=sum(1 for op in puts if op.entry is not None and op.entry.kind is not Kind.FOLDER),
                deletes=sum(1 for op in batch.ops if op.action is ops.Action.DELETE),
                total_bytes=sum(op.body_bytes for op in puts),
                git=batch.git,
                paths=tuple(op.path for op in batch.ops[:5]),
            )
        )

    def settled(self, what: commands.Settled) -> None:
        """Say how the service stands."""
        self._under_way = False
        ms = what.elapsed_s * 1000
        news = bool(what.files or what.deletes or what.first or self._failing or self._lost)
        self._lost = False
        self._failing = bool(what.failed or what.held)
        if not what.first and 0 < what.files + what.deletes <= SAVE_FILES:
            self._latencies_ms.append(ms)
        if what.files or what.deletes:
            self.saves += 1
        self.problems()
        if what.failed or what.held:
            self._publish(
                events.SyncFailed(
                    message=_why_failed(what),
                    problems=what.failed,
                    held=what.held,
                    skipped=what.skipped,
                    files=what.files,
                    deletes=what.deletes,
                    ms=ms,
                )
            )
        elif news:
            self._publish(
                events.SyncComplete(
                    files=what.files,
                    deletes=what.deletes,
                    total_bytes=what.total_bytes,
                    ms=ms,
                    first=what.first,
                    skipped=what.skipped,
                    total_files=sum(each.wanted.file_count() for each in self._brain.sources),
                )
            )

    def problems(self) -> None:
        """Say which paths are in trouble, where that has changed."""
        rows = problem_rows(self._brain)
        if rows != self._shown_problems:
            self._shown_problems = rows
            self._publish(events.ProblemsChanged(problems=rows[:MAX_ROWS], count=len(rows)))

    def percentiles_ms(self) -> tuple[float, float]:
        """Return the median and the 95th percentile of the time that a save took; 0 before the first."""
        ordered = sorted(self._latencies_ms)
        if not ordered:
            return 0.0, 0.0
        return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]


def problem_rows(brain: engine.Engine) -> tuple[events.ProblemRow, ...]:
    """Return every path in trouble, on the laptop and in any target."""
    found: list[Problem] = []
    for each in brain.sources:
        found += each.problems.values()
    # What no replica can carry out is one trouble, not one for each.
    theirs = dict.fromkeys(item for other in brain.replicas.values() for item in other.problems.items())
    found += (trouble for _, trouble in theirs)
    return tuple(events.ProblemRow(each.path, each.reason, each.detail, each.side) for each in found)


def _why_failed(what: commands.Settled) -> str:
    parts = []
    if what.failed:
        parts.append(f"{what.failed} {'path' if what.failed == 1 else 'paths'} could not be synced")
    if what.held:
        parts.append(f"{what.held} deletions wait for approval")
    return ", ".join(parts)
