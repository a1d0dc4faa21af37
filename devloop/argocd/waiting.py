"""Waiting for Applications: what is still missing, what went wrong, and how far each object is.

`verdict` and `progress` are pure; `until` follows Applications and asks them. The order of questions is that of
`argocd app wait`: an operation that runs or has not been compared since says nothing yet; and what was Degraded before
the wait is waited for, while what becomes so is a failure.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from devloop import errors
from devloop.argocd import application, backend

# Set to ask for a comparison, and removed by Argo CD once that is made.
_REFRESH: Final = "argocd.argoproj.io/refresh"
_FAILED: Final = frozenset({"Failed", "Error"})
_TIMEOUT: Final = "DL1044"
_BROKEN: Final = "DL1045"


class Wanted(msgspec.Struct, frozen=True):
    """What is waited for.

    Attributes:
        synced: Git and cluster are the same.
        healthy: Everything that runs is well; `Suspended` counts, for nothing happens by waiting longer.
        revisions: What must be synced, one for each source, where that matters; an empty text for any.
    """

    synced: bool = True
    healthy: bool = True
    revisions: tuple[str, ...] = ()


class State(enum.StrEnum):
    """How a wait stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


class Verdict(msgspec.Struct, frozen=True):
    """How a wait for one Application stands.

    Attributes:
        state: That.
        why: What is missing, or what went wrong; for people.
    """

    state: State
    why: str = ""


class Step(msgspec.Struct, frozen=True):
    """How far one object is.

    Attributes:
        name: `Deployment/web`.
        state: Such as `Synced`, `OutOfSync`, `Progressing`, `Degraded`, `to be deleted`.
        message: What is said of it.
    """

    name: str
    state: str
    message: str = ""


def verdict(one: application.Application, wanted: Wanted, before: application.Application | None = None) -> Verdict:
    """Return how a wait stands.

    Args:
        one: The Application now.
        wanted: What is waited for.
        before: It, when the wait began: what was wrong then may be just what is being mended.
    """
    failed = _failure(one, before)
    if failed:
        return Verdict(State.FAILED, failed)
    missing = _missing(one, wanted)
    return Verdict(State.WAITING, missing) if missing else Verdict(State.DONE)


def progress(one: application.Application) -> tuple[Step, ...]:
    """Return how far each object is that is not done: while a sync runs, what it says of them."""
    running = one.operation if one.operation is not None and not one.operation.finished else None
    steps = {str(each): Step(str(each), each.sync, each.message) for each in (running.resources if running else ())}
    for each in one.resources:
        state = _state(each)
        if state and str(each) not in steps:
            steps[str(each)] = Step(str(each), state, each.message)
    return tuple(step for step in steps.values() if step.state != application.SYNCED)


async def until(
    apps: backend.Backend,
    which: Sequence[application.Reference],
    wanted: Mapping[application.Reference, Wanted] | Wanted,
    tell: Callable[[application.Application, Verdict], None],
    *,
    timeout_s: float,
) -> dict[application.Reference, application.Application]:
    """Wait until every Application is as wanted.

    Args:
        apps: The way to them.
        which: At least one.
        wanted: What is waited for, of all or of each.
        tell: Called for each change.
        timeout_s: For all of it.

    Returns:
        Them, as they are then.

    Raises:
        ClusterError: One failed, is gone, or the time is over; the message says which and what is missing.
    """
    waiting = _Waiting(which, wanted, tell)
    try:
        async with asyncio.timeout(timeout_s):
            await _followed(apps, which, waiting)
    except TimeoutError:
        raise errors.ClusterError(
            f"not there after {timeout_s:g} s: {waiting.summary() or 'nothing was heard'}",
            hint="`devloop env status` shows each; a longer --timeout waits longer",
            code=_TIMEOUT,
        ) from None
    if waiting.failure is not None:
        raise waiting.failure
    return waiting.seen


async def _followed(apps: backend.Backend, which: Sequence[application.Reference], waiting: _Waiting) -> None:
    with errors.single():
        async with asyncio.TaskGroup() as group:
            following = group.create_task(apps.follow(which, waiting.take))
            await waiting.over.wait()
            following.cancel()


class _Waiting:
    """What is known of the Applications that are waited for."""

    def __init__(
        self,
        which: Sequence[application.Reference],
        wanted: Mapping[application.Reference, Wanted] | Wanted,
        tell: Callable[[application.Application, Verdict], None],
    ) -> None:
        self.over = asyncio.Event()
        self.failure: errors.DevloopError | None = None
        self.seen: dict[application.Reference, application.Application] = {}
        self._wanted = wanted if isinstance(wanted, Mapping) else dict.fromkeys(which, wanted)
        self._tell = tell
        self._first: dict[application.Reference, application.Application] = {}
        self._verdicts: dict[application.Reference, Verdict] = {}

    def take(self, which: application.Reference, one: application.Application | None) -> None:
        """Take up how one is now."""
        if self.over.is_set():
            return
        if one is None:
            hint = "`devloop env list` names those that there are"
            self._end(errors.NotThereError(f"there is no Application {which}", hint=hint))
            return
        self._first.setdefault(which, one)
        self.seen[which] = one
        found = self._verdicts[which] = verdict(one, self._wanted[which], self._first[which])
        self._tell(one, found)
        if found.state is State.FAILED:
            self._end(
                errors.ClusterError(
                    f"{which}: {found.why}", hint="`devloop env status` shows what Argo CD says of it", code=_BROKEN
                )
            )
        elif len(self._verdicts) == len(self._wanted) and all(
            each.state is State.DONE for each in self._verdicts.values()
        ):
            self.over.set()

    def summary(self) -> str:
        """Return what is missing of each that is not done."""
        left = [f"{which}: {each.why}" for which, each in self._verdicts.items() if each.state is State.WAITING]
        unheard = [f"{which}: nothing was heard" for which in self._wanted if which not in self._verdicts]
        return "; ".join((*left, *unheard))

    def _end(self, failure: errors.DevloopError) -> None:
        self.failure = failure
        self.over.set()


def _failure(one: application.Application, before: application.Application | None) -> str:
    operation, was = one.operation, before.operation if before is not None else None
    is_new = operation is not None and (was is None or operation.started != was.started or not was.finished)
    if operation is not None and is_new and not one.is_running and operation.phase in _FAILED:
        return f"the sync failed: {operation.message or operation.phase}"
    if one.health == "Degraded" and before is not None and before.health != "Degraded" and not one.is_running:
        worst = next((each for each in one.resources if each.health == "Degraded"), None)
        said = one.health_message or (worst.message if worst is not None else "")
        what = f"{worst} is Degraded" if worst is not None else "it is Degraded"
        return f"{what}: {said}" if said else what
    condition = next((each for each in one.conditions if each.type in {"ComparisonError", "InvalidSpecError"}), None)
    if condition is not None and not one.is_running and one.sync == "Unknown":
        return f"Argo CD cannot compare it: {condition.message}"
    return ""


def _missing(one: application.Application, wanted: Wanted) -> str:
    """Return what is not as wanted yet; empty where all is."""
    if one.is_running:
        phase = one.operation.phase.lower() if one.operation is not None and not one.operation.finished else "asked for"
        return f"the sync is {phase}"
    if _REFRESH in one.annotations:
        return "Argo CD is about to compare it anew"
    if not one.is_compared:
        return "Argo CD has not compared it since its source was changed"
    finished = one.operation.finished if one.operation is not None else ""
    if finished and _earlier(one.reconciled, finished):
        return "Argo CD has not compared it since the sync"
    other = [
        (want, have)
        for want, have in zip(wanted.revisions, (*one.revisions, *[""] * len(wanted.revisions)), strict=False)
        if want and want != have
    ]
    if other:
        want, have = other[0]
        return f"it is compared with {have[:12] or 'nothing'}, not with {want[:12]}"
    if wanted.synced and one.sync != application.SYNCED:
        out = [str(each) for each in one.resources if each.sync == application.OUT_OF_SYNC]
        return f"it is {one.sync}" + (f" ({', '.join(out[:3])}{', …' if len(out) > 3 else ''})" if out else "")
    if wanted.healthy and one.health not in {application.HEALTHY, "Suspended"}:
        return f"it is {one.health}" + (f": {one.health_message}" if one.health_message else "")
    return ""


def _state(each: application.Resource) -> str:
    """Return what is still to be done with an object; empty where nothing is."""
    if each.to_prune:
        return "to be deleted"
    if each.sync and each.sync != application.SYNCED:
        return each.sync
    return "" if each.health in {"", application.HEALTHY, "Suspended"} else each.health


def _earlier(one: str, other: str) -> bool:
    """Say whether a time of Argo CD (RFC 3339) is earlier than another; one that is missing is."""
    try:
        return datetime.datetime.fromisoformat(one) < datetime.datetime.fromisoformat(other)
    except ValueError:
        return not one
