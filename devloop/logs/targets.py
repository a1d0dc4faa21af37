"""Which containers of which pods belong to a service, and which of them are shown.

Pure but for `find` and `pods_of`. devloop's own containers are not shown unless they are named: what they say is not
the app's output.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from devloop import errors
from devloop.kube import client, paths, podlogs, pods, workloads
from devloop.podspec import names

NOBODY_CODE = "DL0760"


class Service(msgspec.Struct, frozen=True):
    """What devloop.yaml says of a service's pods.

    Attributes:
        name: The service.
        workload: KIND/NAME; empty where the pods are named by labels.
        labels: Which they are.
    """

    name: str
    workload: str = ""
    labels: Mapping[str, str] = {}

    @property
    def whose(self) -> str:
        """Return what its pods belong to, for messages."""
        return self.workload or f"the selector of {self.name}"


class Target(msgspec.Struct, frozen=True):
    """A service as the cluster knows it.

    Attributes:
        service: Which.
        wanted: Its pods.
        declared: The containers of its workload's template; empty where it has none.
    """

    service: Service
    wanted: workloads.Wanted
    declared: tuple[str, ...] = ()

    def query(self) -> dict[str, str]:
        """Return what a list or a watch of its pods asks for."""
        asked = {"labelSelector": self.wanted.label_selector, "fieldSelector": self.wanted.field_selector}
        return {key: text for key, text in asked.items() if text}


async def find(api: client.Client, service: Service) -> Target:
    """Look a service's workload up.

    Raises:
        NotThereError: There is no such workload; the hint has near names.
        ClusterError: See `Client.get`.
    """
    if not service.workload:
        return Target(service, workloads.of_labels(service.labels))
    reference = workloads.parse(service.workload)
    raw = await api.find(reference.path(api.namespace))
    return Target(service, workloads.of_workload(reference, raw), declared(raw))


def declared(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the containers of a workload's template, or of a pod."""
    spec = raw.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or spec
    found = [*(template.get("initContainers") or []), *(template.get("containers") or [])]
    return tuple(str(each.get("name")) for each in found)


async def pods_of(api: client.Client, target: Target) -> list[client.Object]:
    """Return the pods that there are now, the oldest first.

    Raises:
        ClusterError: See `Client.list`.
    """
    listed = await api.list(paths.of("v1", "pods", api.namespace), target.query())
    ours = [raw for raw in listed.items if target.wanted.has(pods.view(raw))]
    return sorted(ours, key=lambda raw: (pods.view(raw).created, pods.view(raw).name))


def shown(raw: Mapping[str, Any], asked: Sequence[str]) -> list[str]:
    """Return the containers of a pod whose logs are shown.

    Args:
        raw: The pod.
        asked: Only these; all but devloop's own where there are none.
    """
    there = list(pods.every_container(raw))
    if asked:
        return [name for name in there if name in asked]
    return [name for name in there if not is_ours(name)]


def is_ours(name: str) -> bool:
    """Say whether a container is devloop's own; one that was attached has a suffix."""
    return names.is_ours(name) or name.startswith(f"{pods.AGENT}-")


def check_containers(asked: Sequence[str], targets: Iterable[Target], there: Iterable[Mapping[str, Any]]) -> None:
    """Raise where a container is asked for that none of the services has.

    Args:
        asked: By their names.
        targets: The services.
        there: Their pods.

    Raises:
        NotThereError: With the names that there are.
    """
    known = dict.fromkeys(name for target in targets for name in target.declared)
    known |= dict.fromkeys(name for raw in there for name in pods.every_container(raw))
    for name in asked:
        if known and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise errors.NotThereError(f"no pod has a container {name}", hint=hint, code=podlogs.CONTAINER_CODE)


def nobody(target: Target) -> errors.NotThereError:
    """Return the error of a service without pods."""
    return errors.NotThereError(
        f"{target.service.whose} has no pods yet",
        hint="wait for them with --follow, or see why with `kubectl describe`",
        code=NOBODY_CODE,
    )
