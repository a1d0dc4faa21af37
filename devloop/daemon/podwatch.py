"""Follows the pods of one service: a replica for each whose agent runs, or will.

The watch of the API server says which pods there are (`devloop.kube`); what follows from that for the service's
replicas is decided by `decide`, a function of what is there and what is had. A pod without an agent is named and left
alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from devloop import errors
from devloop.config import model
from devloop.daemon import podtarget, replica, rungs
from devloop.kube import access, client, paths, pods, watch, workloads
from devloop.sync import events

# What a laptop must be allowed to do with pods, and from which Kubernetes 1.x on. A websocket for exec or port-forward
# needs `get`, and since 1.35 also `create`.
RIGHTS: Final = (
    ("list", "", 0),
    ("watch", "", 0),
    ("get", "exec", 0),
    ("create", "exec", 35),
    ("get", "portforward", 0),
    ("create", "portforward", 35),
)

_OVER: Final = frozenset({"Succeeded", "Failed"})


class Owner(Protocol):
    """The service whose replicas these are."""

    def add_replica(self, target: replica.Target, *, vital: bool = False) -> None:
        """Sync to another agent."""

    async def remove_replica(self, name: str) -> None:
        """Forget an agent."""

    def set_pods(self, states: Mapping[str, str]) -> None:
        """Tell how each pod is, in words; one without a replica is not synced."""


class Change(msgspec.Struct, frozen=True):
    """What follows from the pods that there are.

    Attributes:
        gone: Names whose replicas end, also where a pod of the same name has come.
        fresh: Pods that get a replica.
        stragglers: Pods that get none, by name, and why.
        states: How each pod is, by name.
    """

    gone: tuple[str, ...] = ()
    fresh: tuple[pods.Pod, ...] = ()
    stragglers: Mapping[str, str] = {}
    states: Mapping[str, str] = {}


def decide(there: Iterable[pods.Pod], had: Mapping[str, str]) -> Change:
    """Return what is to be done.

    A pod that has an agent counts from the moment when it is there, so that nothing is said to be in sync before its
    agent runs and has everything.

    Args:
        there: The service's pods.
        had: The replicas that there are: the pod's uid by its name.
    """
    living = [pod for pod in there if not pod.terminating and pod.phase not in _OVER]
    wanted = {pod.name: pod for pod in living if pod.agent.phase is not pods.Phase.ABSENT}
    gone = tuple(name for name, uid in had.items() if name not in wanted or wanted[name].uid != uid)
    fresh = tuple(pod for name, pod in wanted.items() if name not in had or name in gone)
    states = {pod.name: pod.state for pod in living}
    return Change(gone, fresh, {name: state for name, state in states.items() if name not in wanted}, states)


class PodWatch:
    """Keeps one service's replicas in step with its pods.

    Args:
        spec: The service.
        cluster: Connects to the cluster, once for all services.
        owner: The service.
        publish: Where events go.
        rung: The way the agent gets in.
    """

    def __init__(
        self,
        spec: model.Service,
        cluster: Callable[[], contextlib.AbstractAsyncContextManager[client.Client]],
        owner: Owner,
        publish: Callable[[events.Event], None],
        rung: rungs.Rung,
    ) -> None:
        self._rung = rung
        self._raw: dict[str, Mapping[str, Any]] = {}
        self._spec = spec
        self._cluster = cluster
        self._owner = owner
        self._publish = publish
        self._pods: dict[str, pods.Pod] = {}
        self._targets: dict[str, podtarget.PodTarget] = {}
        self._told = ""

    async def run(self) -> None:
        """Follow the pods until cancelled.

        Raises:
            DevloopError: The workload does not exist, or what is needed is not allowed.
        """
        async with self._cluster() as api:
            namespace = api.namespace
            await _check_rights(api, namespace)
            wanted = await self._resolve(api, namespace)
            async with self._rung.held(api, namespace):
                await self._watch(api, namespace, wanted)

    async def _watch(self, api: client.Client, namespace: str, wanted: workloads.Wanted) -> None:
        query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
        seen = watch.Watch(api, paths.of("v1", "pods", namespace), {key: text for key, text in query.items() if text})
        async with contextlib.aclosing(seen.events()) as stream:
            async for event in stream:
                if self._take(event, wanted):
                    await self._follow(api, namespace)
                    self._rung.look(self._raw.values())

    async def _resolve(self, api: client.Client, namespace: str) -> workloads.Wanted:
        if self._spec.workload is None:
            return workloads.of_labels(self._spec.selector or {})
        reference = workloads.parse(str(self._spec.workload))
        return workloads.of_workload(reference, await api.find(reference.path(namespace)))

    def _take(self, event: watch.Event, wanted: workloads.Wanted) -> bool:
        """Take up what the watch says; say whether the pods may be others now."""
        match event:
            case watch.Listed(items):
                found_by_uid = {pod.uid: (pod, raw) for raw in items if wanted.has(pod := pods.view(raw))}
                self._pods = {uid: pod for uid, (pod, _) in found_by_uid.items()}
                self._raw = {uid: raw for uid, (_, raw) in found_by_uid.items()}
            case watch.Changed(found):
                pod = pods.view(found)
                if wanted.has(pod):
                    self._pods[pod.uid] = pod
                    self._raw[pod.uid] = found
            case watch.Gone(found):
                self._pods.pop(pods.view(found).uid, None)
                self._raw.pop(pods.view(found).uid, None)
            case watch.Trouble(error, wait_s):
                self._say(
                    events.Notice(
                        level=events.Level.WARNING,
                        message=f"the pods cannot be followed: {error.message}",
                        hint=error.hint or f"tried again in {wait_s:.0f} s",
                        code=error.error_code,
                    )
                )
                return False
        return True

    async def _follow(self, api: client.Client, namespace: str) -> None:
        for pod in self._pods.values():
            target = self._targets.get(pod.name)
            if target is not None and target.uid == pod.uid:
                target.update(pod)
        change = decide(self._pods.values(), {name: target.uid for name, target in self._targets.items()})
        for name in change.gone:
            del self._targets[name]
            await self._owner.remove_replica(name)
        for pod in change.fresh:
            target = self._targets[pod.name] = podtarget.PodTarget(api, namespace, pod)
            self._owner.add_replica(target)
        self._owner.set_pods(change.states)
        self._tell(change)

    def _tell(self, change: Change) -> None:
        """Say when there is nobody to sync to, and why."""
        if self._targets:
            self._told = ""
            return
        whose = str(self._spec.workload) if self._spec.workload is not None else "the selector"
        if not change.stragglers:
            message, hint = (
                f"{whose} has no pods",
                "is it scaled to zero, or waiting for a quota? `kubectl describe` it",
            )
        else:
            first = ", ".join(f"{name} ({why})" for name, why in list(change.stragglers.items())[:3])
            message = f"no pod of {whose} has an agent: {first}"
            hint = "add it to the manifests with `devloop inject`, or let the watch bring it: --patch or --attach"
        self._say(events.Notice(level=events.Level.WARNING, message=message, hint=hint, code="DL0760"))

    def _say(self, notice: events.Notice) -> None:
        if notice.message != self._told:
            self._told = notice.message
            self._publish(notice)

    @property
    def serving(self) -> pods.Pod | None:
        """The pod that serves ports and exec; None where none can."""
        return pods.choose(self._pods.values())


async def _check_rights(api: client.Client, namespace: str) -> None:
    """Raise for the first right that is missing, so that it is told as such and not as a link that does not open.

    Raises:
        ForbiddenError: With the verb, and how to see it.
    """
    version = await api.version()
    asked = [
        paths.Asked(verb, "pods", namespace=namespace, subresource=sub)
        for verb, sub, since in RIGHTS
        if version.at_least(1, since)
    ]
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(access.can(api, each)) for each in asked]
    for each, answer in zip(asked, answers, strict=True):
        if not answer.result().allowed:
            raise errors.ForbiddenError(
                f"you may not {each.verb} {each.kind()} in namespace {namespace}",
                hint=f"see it with `{each.can_i()}`; config/rbac has the Role that devloop needs",
            )
