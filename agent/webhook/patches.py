"""Restores workloads whose patch nobody renews any more, in the namespaces that Ops named.

A lease has all that is needed, but is only text that somebody wrote: who may write leases need not be allowed to change
workloads. So nothing of it comes into a workload. What is taken out is what the template's own annotation tells,
where it is the very one of the lease and devloop's field manager wrote to the workload; everything else is left as
it is, and an event says so. Claims of `persist:` stay: they hold data, and `devloop down` deletes them.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from agent.webhook import renewals
from devloop import errors
from devloop.kube import client, paths, podtemplate, workloads
from devloop.podspec import inject, names, outcome, undo

_LEASES: Final = ("coordination.k8s.io/v1", "leases")
_OVER: Final = "-over"
"""Ends the session's id on a lease that is being restored: its watch, should it come back, sees that it has ended."""

RESTORED: Final = "DevloopRestored"
LEFT: Final = "DevloopLeftAsItIs"

_log = logging.getLogger("devloop.webhook")


class Left(msgspec.Struct, frozen=True):
    """A lease that ends when it is not renewed.

    Attributes:
        raw: The object.
        namespace: Where it is.
        name: Its name.
        uid: Its identity.
        renewed: What is written as its last renewal.
        patience_s: How long it may be silent.
        reference: The workload.
        owner: Whose it is, for people.
        told: What was done to the template.
    """

    raw: Mapping[str, Any]
    namespace: str
    name: str
    uid: str
    renewed: str
    patience_s: float
    reference: workloads.Reference
    owner: str
    told: undo.Restore


class Judged(msgspec.Struct, frozen=True):
    """What is to become of a workload.

    Attributes:
        wanted: The template that it is to have; None where it is left as it is.
        why: Why it is left as it is.
        closes: The lease is of no use any more.
    """

    wanted: outcome.Tree | None = None
    why: str = ""
    closes: bool = True


def read(raw: Mapping[str, Any]) -> Left | None:
    """Return what a lease says, or None where it has no end of its own: `devloop install --patch` made that one.

    Raises:
        ValueError: It is none of devloop's, or of another version.
    """
    meta, spec = raw.get("metadata") or {}, raw.get("spec") or {}
    patience_s = spec.get("leaseDurationSeconds")
    if not patience_s:
        return None
    annotations = meta.get("annotations") or {}
    try:
        reference = workloads.parse(str(annotations.get(undo.WORKLOAD)))
    except errors.UsageError as error:
        raise ValueError(error.message) from None
    return Left(
        raw=raw,
        namespace=str(meta.get("namespace", "")),
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        renewed=str(spec.get("renewTime") or ""),
        patience_s=float(patience_s),
        reference=reference,
        owner=str(annotations.get(undo.OWNER, "")),
        told=undo.read(annotations),
    )


def judge(workload: Mapping[str, Any], left: Left) -> Judged:
    """Return what is to become of a workload whose lease nobody renews.

    Args:
        workload: As the API server has it.
        left: The lease.

    Raises:
        ClusterError: It has no pod template.
    """
    template = podtemplate.of(workload, left.reference)
    meta = template.get("metadata") or {}
    told = (meta.get("annotations") or {}).get(names.ANNOTATION)
    if told is None and inject.has_parts(template):
        why = f"devloop's parts are in it without the annotation {names.ANNOTATION}, which tells how to take them out"
        return Judged(why=f"{why}; `devloop down` does, by its lease, which stays", closes=False)
    if told is None:
        return Judged(why="nothing of devloop is in it any more")
    if told != left.told.record:
        return Judged(why="what is in it of devloop is not what this lease is about")
    if not _is_changed_by_devloop(workload):
        return Judged(why=f"nothing in it was written by the field manager {names.MANAGER}")
    done = inject.uninject(template)
    if done.refusals:
        return Judged(why=done.refusals[0].message, closes=False)
    return Judged(done.pod)


def _is_changed_by_devloop(workload: Mapping[str, Any]) -> bool:
    managed = (workload.get("metadata") or {}).get("managedFields") or []
    return any(each.get("manager") == names.MANAGER for each in managed)


async def run(api: client.Client, namespaces: Sequence[str], *, every_s: float) -> None:
    """Restore what is left until cancelled; trouble is said, and tried again.

    Args:
        api: The connection.
        namespaces: Where.
        every_s: The time between two rounds.
    """
    heard = {each: renewals.Heard() for each in namespaces}
    while True:
        for namespace in namespaces:
            try:
                await sweep(api, namespace, heard[namespace])
            except errors.ClusterError as error:
                _log.warning("%s: patches cannot be restored now: %s", namespace, error.message)
        await asyncio.sleep(every_s)


async def sweep(api: client.Client, namespace: str, heard: renewals.Heard) -> None:
    """Do one round in a namespace.

    Raises:
        ClusterError: Its leases cannot be listed.
    """
    listing = await api.list(paths.of(*_LEASES, namespace), {"labelSelector": names.SESSION})
    found = [each for raw in listing.items if (each := _read(raw)) is not None]
    silent_s = heard.silences({each.uid: each.renewed for each in found}, asyncio.get_running_loop().time())
    for left in found:
        if silent_s[left.uid] < left.patience_s:
            continue
        try:
            await restore(api, left)
        except errors.ClusterError as error:
            _log.warning("%s: %s is left patched: %s", namespace, left.reference, error.message)


def _read(raw: Mapping[str, Any]) -> Left | None:
    try:
        return read(raw)
    except ValueError as error:
        meta = raw.get("metadata") or {}
        _log.warning("the lease %s/%s cannot be read: %s", meta.get("namespace"), meta.get("name"), error)
        return None


async def restore(api: client.Client, left: Left) -> None:
    """Put a workload's template back and delete its lease, unless the lease was renewed or another sweeper is at it.

    Raises:
        ClusterError: Something is not allowed, or the workload is changed again and again.
    """
    path = paths.of(*_LEASES, left.namespace, left.name)
    try:
        held = await api.replace(path, _claimed(left.raw), {"fieldManager": names.MANAGER})
    except (errors.ConflictError, errors.NotThereError):
        return
    try:
        workload = await api.get(left.reference.path(left.namespace))
    except errors.NotThereError:
        await _close(api, path, held)
        return
    done = await _put_back(api, left, workload)
    if done.closes:
        await _close(api, path, held)
    await _tell(api, left, workload, done)


async def _put_back(api: client.Client, left: Left, workload: Mapping[str, Any]) -> Judged:
    for _ in range(podtemplate.ROUNDS):
        done = judge(workload, left)
        if done.wanted is None:
            return done
        before = podtemplate.of(workload, left.reference)
        after = await podtemplate.replace(api, left.namespace, left.reference, before, done.wanted)
        if after is not None:
            return Judged(after)
        workload = await api.get(left.reference.path(left.namespace))
    raise errors.ConflictError(f"{left.reference} is changed by something else again and again")


def _claimed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lease as it is while it is restored: its watch knows that it has ended, and other sweepers wait."""
    meta = raw["metadata"]
    session = str(meta["labels"][names.SESSION])
    labels = {**meta["labels"], names.SESSION: session.removesuffix(_OVER) + _OVER}
    now = _now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**raw, "metadata": {**meta, "labels": labels}, "spec": {**raw["spec"], "renewTime": now}}


async def _close(api: client.Client, path: str, held: Mapping[str, Any]) -> None:
    exactly = {"uid": held["metadata"]["uid"], "resourceVersion": held["metadata"]["resourceVersion"]}
    try:
        await api.delete(path, {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": exactly})
    except (errors.NotThereError, errors.ConflictError) as error:
        _log.info("%s: %s", path, error.message)


async def _tell(api: client.Client, left: Left, workload: Mapping[str, Any], done: Judged) -> None:
    """Write an event about what was done; that it cannot be written undoes nothing."""
    who = f"the watch of {left.owner or 'somebody'} was not heard of for {left.patience_s:.0f} s"
    if done.wanted is None:
        message = f"{who}, and {left.reference} was left as it is: {done.why}"
    elif undo.digest(done.wanted) == left.told.original:
        message = f"{who}, so {left.reference} was put back exactly as it was"
    else:
        message = f"{who}, so devloop's parts were taken out of {left.reference}; what others changed was kept"
    _log.info("%s: %s", left.namespace, message)
    try:
        path = paths.of("v1", "events", left.namespace)
        await api.create(path, event(left, workload, message, RESTORED if done.wanted is not None else LEFT))
    except errors.ConflictError:
        # It was told before.
        pass
    except errors.ClusterError as error:
        _log.warning("%s: no event can be written: %s", left.namespace, error.message)


def event(left: Left, workload: Mapping[str, Any], message: str, reason: str) -> dict[str, Any]:
    """Return the Event about a workload; one for each lease, whoever of several sweepers writes it.

    Args:
        left: The lease.
        workload: The workload.
        message: What was done.
        reason: `RESTORED` or `LEFT`.
    """
    now = _now().strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = left.reference.kind
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{left.name[:200]}.{left.uid}", "namespace": left.namespace},
        "involvedObject": {
            "apiVersion": kind.version,
            "kind": kind.name,
            "namespace": left.namespace,
            "name": left.reference.name,
            "uid": (workload.get("metadata") or {}).get("uid", ""),
        },
        "reason": reason,
        # The API server takes 1024 bytes.
        "message": message.encode()[:1000].decode(errors="ignore"),
        "type": "Normal" if reason == RESTORED else "Warning",
        "source": {"component": undo.SWEEPER},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
