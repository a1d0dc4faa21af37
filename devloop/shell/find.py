"""Which container a command is run in: a service's newest pod that can take it, found without a running watch.

The same pod that the watch serves ports from, where that one can take a command: see `pods.choose_for`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.config import model
from devloop.kube import client, execute, failures, paths, pods, workloads
from devloop.podspec import names

# How long a container may take to start, such as that of a pod which a rollout is just making.
PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.5


class Found(msgspec.Struct, frozen=True):
    """A container that runs.

    Attributes:
        where: It.
        raw: Its pod, as the API server has it.
        tools: The tools volume is mounted there: busybox can be run.
    """

    where: execute.Where
    raw: Mapping[str, Any]
    tools: bool = False

    @property
    def spec(self) -> Mapping[str, Any]:
        """The container's part of the pod's spec."""
        return container_spec(self.raw, self.where.container)


def container_spec(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the part of a pod's spec that is about a container; empty where it has none of this name."""
    spec = raw.get("spec") or {}
    for group in ("containers", "initContainers", "ephemeralContainers"):
        for each in spec.get(group) or []:
            if each.get("name") == name:
                return dict(each)
    return {}


async def find(
    api: client.Client,
    spec: model.Service,
    say: Callable[[str], None],
    *,
    pod: str = "",
    container: str = "",
    patience_s: float = PATIENCE_S,
) -> Found:
    """Return the container of a service that a command is to be run in, waiting while one is being started.

    Args:
        api: The cluster.
        spec: The service; its target is in the cluster.
        say: Is told what is waited for.
        pod: The name of one of the service's pods; empty for the newest that is fit.
        container: The container; empty for the service's.
        patience_s: How long one that is being started is waited for.

    Raises:
        NotThereError: There is no such workload, pod or container.
        NotRunError: It does not run, and why.
        UsageError: It is not clear which container is the app's.
        ClusterError: See `Client.get`.
    """
    wanted = await _wanted(api, spec)
    deadline_s = asyncio.get_running_loop().time() + patience_s
    told = ""
    while True:
        there = await _listed(api, wanted)
        chosen = _chosen(there, spec, pod, container)
        seen = pods.view(chosen)
        name = container if _is_other(chosen, container) else pods.app_of(seen, container or (spec.container or ""))
        state = _state(chosen, seen, name)
        if state.phase is pods.Phase.RUNNING:
            where = execute.Where(api.namespace, seen.name, name)
            return Found(where, chosen, _has_tools(container_spec(chosen, name)))
        lasting = _is_lasting(chosen, seen, state)
        if lasting or asyncio.get_running_loop().time() > deadline_s:
            raise _not_running(seen, state, lasting=lasting)
        why = state.detail or seen.detail or "not started yet"
        if why != told:
            told = why
            say(f"waiting for container {name} of {seen.name}: {why}")
        await asyncio.sleep(_LOOK_S)


async def _wanted(api: client.Client, spec: model.Service) -> workloads.Wanted:
    if spec.workload is None:
        return workloads.of_labels(spec.selector or {})
    reference = workloads.parse(str(spec.workload))
    return workloads.of_workload(reference, await api.find(reference.path(api.namespace)))


async def _listed(api: client.Client, wanted: workloads.Wanted) -> list[Mapping[str, Any]]:
    query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
    listed = await api.list(paths.of("v1", "pods", api.namespace), {key: text for key, text in query.items() if text})
    return [raw for raw in listed.items if wanted.has(pods.view(raw))]


def _chosen(there: Iterable[Mapping[str, Any]], spec: model.Service, pod: str, container: str) -> Mapping[str, Any]:
    by_name = {pods.view(raw).name: raw for raw in there}
    whose = str(spec.workload) if spec.workload is not None else "the selector"
    if pod:
        if pod not in by_name:
            raise failures.missing(
                paths.Asked("get", "pods", name=pod), list(by_name), hint="" if by_name else f"{whose} has no pods"
            )
        return by_name[pod]
    best = pods.choose_for((pods.view(raw) for raw in by_name.values()), container or (spec.container or ""))
    if best is None:
        hint = "is it scaled to zero? `kubectl describe` it"
        raise errors.NotThereError(f"{whose} has no pods that live", hint=hint, code="DL0760")
    return by_name[best.name]


def _is_other(raw: Mapping[str, Any], name: str) -> bool:
    """Say whether a container that was named is there, be it none of the app's: an init container, the agent."""
    return bool(name) and bool(container_spec(raw, name))


def _state(raw: Mapping[str, Any], seen: pods.Pod, name: str) -> pods.Container:
    status = raw.get("status") or {}
    groups = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    listed = [each for group in groups for each in status.get(group) or []]
    return next((each for each in seen.containers if each.name == name), pods.container(name, listed))


def _has_tools(spec: Mapping[str, Any]) -> bool:
    return any(each.get("mountPath") == names.TOOLS_AT for each in spec.get("volumeMounts") or [])


def _is_lasting(raw: Mapping[str, Any], seen: pods.Pod, state: pods.Container) -> bool:
    """Say whether waiting would be in vain, as far as anybody knows."""
    starts_again = (raw.get("spec") or {}).get("restartPolicy", "Always") == "Always"
    return (
        (state.phase is pods.Phase.ENDED and not starts_again)
        or pods.is_stuck(state)
        or seen.terminating
        or seen.phase in pods.OVER
        or bool(seen.blocked)
    )


def _not_running(seen: pods.Pod, state: pods.Container, *, lasting: bool) -> errors.NotRunError:
    why = state.detail or (seen.blocked or seen.detail) or str(state.phase)
    if seen.terminating:
        why = "its pod is being deleted"
    hint = f"`kubectl describe pod {seen.name}` tells more"
    if "CrashLoopBackOff" in why or state.phase is pods.Phase.ENDED:
        hint = f"see why with `kubectl logs {seen.name} -c {state.name} --previous`"
    elif not lasting:
        hint = f"it was waited for; {hint}"
    return errors.NotRunError(f"container {state.name} of {seen.name} does not run: {why}", hint=hint)
