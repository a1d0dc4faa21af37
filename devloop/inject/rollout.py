"""Waiting until a changed workload's new pods have their agents, and finding early that they never will.

Not until the app is ready: an app that crashes is what devloop is for. So a pod counts when the agent in it runs. What
the kubelet and the controllers say of a failure is told in their words, as soon as it is said: an image that cannot be
pulled does not get better within the deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, paths, pods, workloads
from devloop.podspec import names

CODE: Final = "DL0781"

POLL_S: Final = 0.4

# Reasons of a waiting container that do not pass by themselves (kubernetes: pkg/kubelet/images/types.go,
# pkg/kubelet/kuberuntime/kuberuntime_container.go).
_HOPELESS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
_STATUSES: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class Standing(msgspec.Struct, frozen=True):
    """How far a rollout is.

    Attributes:
        ready: Pods of the new template whose agent runs.
        wanted: How many there are to be.
        seen: The controller has taken the change up.
        trouble: Why it will not be finished; empty while it may.
        waiting: What it waits for, in words.
    """

    ready: int
    wanted: int
    seen: bool
    trouble: str = ""
    waiting: str = ""

    @property
    def is_done(self) -> bool:
        """Every pod that is to be there has its agent."""
        return self.seen and self.ready >= self.wanted


def judge(raw: Mapping[str, Any], there: Iterable[Mapping[str, Any]], record: str) -> Standing:
    """Return how far a rollout is.

    Args:
        raw: The workload.
        there: Its pods.
        record: The annotation that the new pods carry.
    """
    status = raw.get("status") or {}
    generation = (raw.get("metadata") or {}).get("generation", 0)
    new = [pod for pod in there if _annotation(pod) == record and not pods.view(pod).terminating]
    views = [pods.view(pod) for pod in new]
    trouble = next((f"pod {pods.view(pod).name}: {why}" for pod in new for why in troubles(pod)), "")
    late = [view for view in views if not view.is_usable]
    return Standing(
        ready=len(views) - len(late),
        wanted=_wanted(raw),
        seen=int(status.get("observedGeneration") or 0) >= int(generation),
        trouble=trouble or _refused(status),
        waiting=f"{late[0].name}: {late[0].detail or late[0].state}" if late else "",
    )


def troubles(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a pod will not run as it is: images that cannot be had, a seed that failed.

    Args:
        pod: The object.
    """
    status = pod.get("status") or {}
    for group in _STATUSES:
        for each in status.get(group) or []:
            name, state = str(each.get("name", "")), each.get("state") or {}
            waiting = state.get("waiting") or {}
            if waiting.get("reason") in _HOPELESS:
                said = f"{waiting['reason']}: {waiting.get('message') or 'no reason given'}"
                yield f"container {name}: {said}"
            ended = state.get("terminated") or (each.get("lastState") or {}).get("terminated") or {}
            if group == _STATUSES[0] and names.is_ours(name) and ended.get("exitCode"):
                said = str(ended.get("message") or ended.get("reason") or "").strip()
                yield f"container {name} failed with exit status {ended['exitCode']}: {said}"


def _annotation(pod: Mapping[str, Any]) -> str:
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(names.ANNOTATION, ""))


def _wanted(raw: Mapping[str, Any]) -> int:
    if raw.get("kind") == "DaemonSet":
        return int((raw.get("status") or {}).get("desiredNumberScheduled") or 0)
    replicas = (raw.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _refused(status: Mapping[str, Any]) -> str:
    """Return why no pods can be made: a quota, an admission rule, a deadline that is over."""
    for condition in status.get("conditions") or []:
        kind, value = condition.get("type"), condition.get("status")
        failed = kind == "ReplicaFailure" and value == "True"
        late = kind == "Progressing" and value == "False" and condition.get("reason") == "ProgressDeadlineExceeded"
        if failed or late:
            return f"{condition.get('reason')}: {condition.get('message')}"
    return ""


async def wait(
    api: client.Client,
    namespace: str,
    reference: workloads.Reference,
    record: str,
    say: Callable[[str], None],
    *,
    timeout_s: float,
    poll_s: float = POLL_S,
) -> Standing:
    """Wait until every new pod has its agent.

    Args:
        api: The cluster.
        namespace: The workload's.
        reference: The workload.
        record: The annotation that the new pods carry.
        say: Takes a line whenever something moves.
        timeout_s: How long that may take.
        poll_s: How often to look.

    Raises:
        RefusedError: It will not happen, or did not in time.
        ClusterError: The API server does not answer.
    """
    last, told = None, ""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    last = judge(*await look(api, namespace, reference), record)
                except errors.UnreachableError as error:
                    # The change is made; an API server that restarts is waited for like everything else.
                    line = f"{error.message}; still waiting"
                else:
                    if last.is_done:
                        return last
                    if last.trouble:
                        raise _failed(reference, last)
                    line = f"{last.ready} of {last.wanted} pods have the agent"
                if line != told:
                    told = line
                    say(f"{reference}: {line}")
                await asyncio.sleep(poll_s)
    except TimeoutError:
        waiting = last.waiting if last else ""
        raise errors.RefusedError(
            f"{reference} did not come up with the agent within {timeout_s:.0f} s"
            + (f": {waiting}" if waiting else ""),
            hint=f"see `kubectl describe {reference}` and its pods; --timeout waits longer",
            code=CODE,
        ) from None


async def look(
    api: client.Client, namespace: str, reference: workloads.Reference
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Return a workload and its pods, as the cluster sends them.

    Raises:
        ClusterError: They cannot be read.
    """
    raw = await api.find(reference.path(namespace))
    wanted = workloads.of_workload(reference, raw)
    query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
    listed = await api.list(paths.of("v1", "pods", namespace), {key: text for key, text in query.items() if text})
    return raw, [pod for pod in listed.items if wanted.has(pods.view(pod))]


def _failed(reference: workloads.Reference, last: Standing) -> errors.RefusedError:
    message = f"{reference} does not come up with the agent: {last.trouble}"
    return errors.RefusedError(message, hint=_hint(last), code=CODE)


def _hint(standing: Standing) -> str:
    if "Image" in standing.trouble or "Registry" in standing.trouble:
        return "the nodes must be able to pull the agent's image: name one with --agent-image, DEVLOOP_AGENT_IMAGE"
    if "quota" in standing.trouble:
        return "free some of the quota: `kubectl describe quota` shows what uses it"
    return "the message has the cluster's own words; the workload was put back"
