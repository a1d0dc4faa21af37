"""The end of sessions: what was changed is put back, what was made is deleted, and that nothing is left is proved.

Works from the cluster alone: what a session did is written on its lease, so it does not matter which machine asks, nor
how the session ended. `survey` looks and changes nothing; `end` does what the survey found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.inject import lease, leasing, marks, putback, rollout
from devloop.kube import client, eviction, paths, pods, workloads
from devloop.podspec import inject, names

# How long the old pods may take to be gone; the workload is as it was before that.
SETTLE_S: Final = 60.0
_POLL_S: Final = 0.5

Say = Callable[[str], None]


class Attached(msgspec.Struct, frozen=True):
    """A pod with ephemeral containers of devloop in it.

    Attributes:
        pod: The pod.
        containers: Their names.
    """

    pod: pods.Pod
    containers: tuple[str, ...]


class Survey(msgspec.Struct, frozen=True):
    """What there is to end.

    Attributes:
        leases: The sessions to end.
        others: Sessions that stay, because they are another owner's or another project's.
        declared: Workloads whose own manifests bring the agent.
        attached: Pods that were attached to.
        problems: Why something could not be looked at.
    """

    leases: tuple[lease.Lease, ...] = ()
    others: tuple[lease.Lease, ...] = ()
    declared: tuple[str, ...] = ()
    attached: tuple[Attached, ...] = ()
    problems: tuple[str, ...] = ()


class Proof(msgspec.Struct, frozen=True):
    """What is left with devloop's label in a namespace.

    Attributes:
        left: Objects, as `leases/devloop-deployment-web`.
        looked: The kinds that were looked at.
        unseen: Kinds that could not be looked at, each with the reason.
    """

    left: tuple[str, ...]
    looked: tuple[str, ...]
    unseen: tuple[str, ...] = ()


async def survey(
    api: client.Client, namespace: str, wanted: Sequence[str], me: lease.Owner, *, everyone: bool = False
) -> Survey:
    """Look at what there is to end.

    Args:
        api: The cluster.
        namespace: Where.
        wanted: The workloads of the services that are meant, as `deployment/web`.
        me: Who asks.
        everyone: All sessions of the namespace, whoever has them.

    Raises:
        ClusterError: The cluster cannot be asked.
    """
    try:
        found, wrong = await leasing.every(api, namespace)
    except errors.ForbiddenError:
        # Without this right there are no sessions of this user's; the proof names it.
        found, wrong = [], []
    ours = {lease.name_of(str(workloads.parse(each))) for each in wanted}
    mine = [each for each in found if everyone or (each.name in ours and each.owner.is_same(me))]
    others = [each for each in found if each not in mine]
    declared: list[str] = []
    attached: dict[str, Attached] = {}
    problems = [error.message for error in wrong]
    leased = {each.name for each in found}
    for workload in dict.fromkeys([*wanted, *(each.workload for each in mine)]):
        reference = workloads.parse(workload)
        try:
            raw, there = await rollout.look(api, namespace, reference)
        except errors.NotThereError:
            continue
        template = (raw.get("spec") or {}).get("template") or {}
        if lease.name_of(str(reference)) not in leased and inject.is_injected(template):
            declared.append(str(reference))
        attached |= {each.pod.name: each for each in _attached(there)}
    if everyone:
        listed = await api.list(paths.of("v1", "pods", namespace))
        attached |= {each.pod.name: each for each in _attached(listed.items)}
    return Survey(tuple(mine), tuple(others), tuple(declared), tuple(attached.values()), tuple(problems))


def _attached(there: Iterable[Mapping[str, Any]]) -> list[Attached]:
    found = []
    for pod in there:
        listed = (pod.get("spec") or {}).get("ephemeralContainers") or []
        some = [str(each["name"]) for each in listed if str(each.get("name", "")).startswith(names.AGENT)]
        ours = tuple(sorted(some, key=pods.agent_number))
        seen = pods.view(pod)
        if ours and not seen.terminating:
            found.append(Attached(seen, ours))
    return found


async def end(api: client.Client, namespace: str, found: Survey, say: Say) -> list[errors.ClusterError]:
    """End the sessions of a survey; trouble with one does not keep the others.

    Args:
        api: The cluster.
        namespace: Where.
        found: The survey.
        say: Takes a line for everything that was done.

    Returns:
        What went wrong.
    """
    failed: list[errors.ClusterError] = []
    for one in found.leases:
        try:
            ended = await putback.restore(api, namespace, one)
        except errors.ClusterError as error:
            failed.append(error)
            continue
        say(f"{one.workload}: {_ENDS[ended]}")
    return failed


_ENDS: Final[Mapping[putback.End, str]] = {
    putback.End.RESTORED: "put back exactly as it was",
    putback.End.KEPT: "devloop's parts were taken out; what somebody else changed meanwhile was not overwritten",
    putback.End.UNTOUCHED: "somebody else changed it meanwhile and nothing of devloop is in it; it was left as it is",
    putback.End.GONE: "it was deleted meanwhile; its lease is given back",
}


async def settle(api: client.Client, namespace: str, found: Survey, timeout_s: float = SETTLE_S) -> list[str]:
    """Wait until no pod of the workloads that were put back has an agent any more.

    Args:
        api: The cluster.
        namespace: Where.
        found: The survey, ended.
        timeout_s: How long to wait.

    Returns:
        The pods that still have one.

    Raises:
        ClusterError: The pods cannot be read.
    """
    left: list[str] = []
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                left = [name for one in found.leases for name in await _with_agent(api, namespace, one.workload)]
                if not left:
                    return []
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return left


async def _with_agent(api: client.Client, namespace: str, workload: str) -> list[str]:
    try:
        _, there = await rollout.look(api, namespace, workloads.parse(workload))
    except errors.NotThereError:
        return []
    return [pods.view(pod).name for pod in there if inject.is_injected(dict(pod))]


async def prove(api: client.Client, namespace: str) -> Proof:
    """List what is left with devloop's label, in every kind that devloop makes, and among the pods.

    Raises:
        ClusterError: The API server does not answer.
    """
    left: list[str] = []
    looked: list[str] = []
    unseen: list[str] = []
    for kind in (*marks.KINDS, marks.Kind("v1", "pods")):
        try:
            listed = await api.list(paths.of(kind.version, kind.plural, namespace), {"labelSelector": marks.LABEL})
        except errors.NotThereError:
            continue
        except errors.ForbiddenError as error:
            unseen.append(f"{kind.plural}: {error.message}")
            continue
        looked.append(kind.plural)
        # What `devloop env` switched has an end of its own.
        ours = [raw for raw in listed.items if not leasing.is_of_environment(raw)]
        left += [f"{kind.plural}/{(raw.get('metadata') or {}).get('name')}" for raw in ours]
    return Proof(tuple(left), tuple(looked), tuple(unseen))


async def evict(api: client.Client, namespace: str, one: Attached) -> None:
    """Evict a pod, this very one, so that its controller makes a new one without devloop in it.

    Raises:
        RefusedError: It has no controller, or a PodDisruptionBudget forbids it now.
        ClusterError: The cluster does not allow it.
    """
    name = one.pod.name
    if one.pod.owner is None:
        raise errors.RefusedError(
            f"pod {name} has no controller that would make it again, so it is not evicted",
            hint=f"delete it yourself: kubectl delete pod {name}",
        )
    done = await eviction.evict(api, namespace, one.pod, await api.version())
    if done.end is eviction.End.FORBIDDEN_NOW:
        raise errors.RefusedError(
            f"pod {name} may not be evicted now: {done.message}",
            hint="a PodDisruptionBudget keeps it; `kubectl get pdb` shows which. Try again when more pods are ready",
            code="DL0785",
        )
