"""What `status` and `diff` show of a service: views of its engine and its replicas, which change nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from devloop.core import paths
from devloop.daemon import announcer, replica
from devloop.sync import engine, ledger, status


class Pods(msgspec.Struct, frozen=True):
    """What is known of a service's pods; nothing on this machine.

    Attributes:
        states: How each is, by name, also those without a replica.
        why: Why there is nobody to sync to, or why the service has stopped; empty where neither is so.
    """

    states: Mapping[str, str] = {}
    why: str = ""


_Replicas: TypeAlias = Mapping[str, replica.Replica]


def state(brain: engine.Engine, replicas: _Replicas, *, fatal: bool, build_failed: bool) -> str:
    """Return a service's state in one of the words of `status.ServiceStatus`.

    Args:
        brain: Its engine.
        replicas: Its replicas.
        fatal: It has given up.
        build_failed: Its last build failed.
    """
    lost = [one for one in replicas.values() if one.fatal is not None]
    if fatal or (lost and len(lost) == len(replicas)) or any(each.stopped for each in brain.sources):
        return "stopped"
    if build_failed:
        return "build failed"
    if brain.paused:
        return "paused"
    if not any(one.up for one in replicas.values()):
        return "connecting"
    failed, _, held = brain.troubles()
    if not brain.settled:
        return "partial" if lost else "syncing"
    if held:
        return "held"
    if failed:
        return "partial"
    return "drifted" if brain.drift_count() else "in sync"


def service(
    name: str,
    state: str,
    brain: engine.Engine,
    replicas: _Replicas,
    syncs: Iterable[status.SyncStatus],
    told: announcer.Announcer,
    pods: Pods,
) -> status.ServiceStatus:
    """Return what `status` shows of a service.

    Args:
        name: Its name.
        state: Its state.
        brain: Its engine.
        replicas: Its replicas.
        syncs: Its syncs.
        told: What it told so far.
        pods: What is known of its pods.
    """
    rows = announcer.problem_rows(brain)
    p50_ms, p95_ms = told.percentiles_ms()
    return status.ServiceStatus(
        name=name,
        state=state,
        targets=(
            *(target(one, brain, pods.states.get(one.name, "")) for one in replicas.values()),
            *(_straggler(name, state) for name, state in pods.states.items() if name not in replicas),
        ),
        syncs=tuple(syncs),
        app=next((_app(one) for one in replicas.values() if one.app is not None), None),
        held=brain.troubles()[2],
        pending=max(map(_pending, brain.replicas.values()), default=0),
        problems=rows[: announcer.MAX_ROWS],
        problem_count=len(rows),
        saves=told.saves,
        save_p50_ms=p50_ms,
        save_p95_ms=p95_ms,
        why=pods.why,
    )


def _straggler(name: str, state: str) -> status.TargetStatus:
    return status.TargetStatus(name=name, up=False, synced=False, detail=state, state=state)


def target(one: replica.Replica, brain: engine.Engine, state: str = "") -> status.TargetStatus:
    """Return what `status` shows of an agent.

    Args:
        one: Its replica.
        brain: The engine.
        state: How its pod is; empty on this machine.
    """
    found = one.findings.values()
    figures = one.statistics
    known = brain.replicas.get(one.name)
    return status.TargetStatus(
        name=one.name,
        up=one.up,
        synced=known is not None and known.synced,
        detail=one.detail,
        drift=sum(each.drift_count for each in found),
        extra=sum(each.extra_count for each in found),
        protected=sum(each.protected_count for each in found),
        rtt_ms=figures.rtt_s * 1000 if figures is not None and figures.rtt_s is not None else 0.0,
        uid=one.hello.uid if one.hello is not None else -1,
        state=state,
    )


def differences(
    name: str, tos: Sequence[str], brain: engine.Engine, replicas: Collection[replica.Replica]
) -> list[status.DiffRow]:
    """Return what differs between the laptop and the targets.

    Args:
        name: The service's name.
        tos: The syncs' folders in the target.
        brain: The service's engine.
        replicas: The replicas that were just asked to sweep.
    """
    return [
        status.DiffRow(name, one.name, to, path, what, detail)
        for one in replicas
        for to, path, what, detail in (*_found(one, tos), *_missing(one, tos, brain), *_troubles(one, brain))
    ]


def _found(one: replica.Replica, tos: Sequence[str]) -> Iterator[tuple[str, str, str, str]]:
    for root, found in sorted(one.findings.items()):
        for drift in found.drift:
            what = "drift-missing" if drift.now is None else "drift-changed"
            yield tos[root], paths.from_wire(drift.path), what, "changed in the target by someone else"
        for raw in found.extra:
            yield tos[root], paths.from_wire(raw), "extra", "not shipped by devloop"


def _missing(one: replica.Replica, tos: Sequence[str], brain: engine.Engine) -> Iterator[tuple[str, str, str, str]]:
    known = brain.replicas.get(one.name)
    if known is None:
        return
    for root, path in known.held:
        yield tos[root], path, "held-delete", "waits for approval"
    for root, path in known.pending:
        gone = path not in brain.sources[root].wanted
        yield tos[root], path, "pending-delete" if gone else "pending-put", "not sent yet"


def _troubles(one: replica.Replica, brain: engine.Engine) -> Iterator[tuple[str, str, str, str]]:
    """Yield what is in trouble there, and what is on the laptop: that is missing in every target."""
    known = brain.replicas.get(one.name)
    for each in brain.sources:
        for trouble in each.problems.values():
            yield "", trouble.path, "problem", trouble.detail
    for trouble in known.problems.values() if known is not None else ():
        yield "", trouble.path, "problem", trouble.detail


def _pending(known: ledger.Replica) -> int:
    return len(known.pending) + sum(len(flight.ops) for flight in known.flights.values())


def _app(one: replica.Replica) -> status.AppStatus | None:
    return status.AppStatus(one.app.phase, one.app.pid, one.app.starts, one.app.detail) if one.app is not None else None
