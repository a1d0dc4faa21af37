"""From a service of devloop.yaml to its pods, their ReplicaSet and the workload that Argo CD may keep.

Reads the cluster and changes nothing. What is missing or may not be read is the chain's `trouble`, so that one broken
service leaves the others to be seen; only a cluster that does not answer, or does not know the user, is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from devloop import errors
from devloop.argocd import application
from devloop.kube import client, paths, pods, workloads

if TYPE_CHECKING:
    from devloop.config import model


class Chain(msgspec.Struct, frozen=True):
    """What a service is in the cluster.

    Attributes:
        service: Its name in devloop.yaml.
        namespace: Where it is.
        pods: Its pods that are not ending, the newest first.
        replica_set: What is between the newest pod and the workload; empty where nothing is.
        workload: The object that owns the pods, with its kind; empty where it was not found.
        trouble: Why the chain ends early; empty where it does not.
    """

    service: str
    namespace: str
    pods: tuple[str, ...] = ()
    replica_set: str = ""
    workload: application.Raw = {}
    trouble: str = ""

    @property
    def kind(self) -> str:
        """The workload's kind."""
        return application.text(self.workload, "kind")

    @property
    def name(self) -> str:
        """The workload's name."""
        return application.text(application.mapping(self.workload, "metadata"), "name")

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}" if self.workload else self.service


async def every(api: client.Client, services: Mapping[str, model.Service]) -> tuple[Chain, ...]:
    """Return the chains of all services that are in a cluster, in their order.

    Args:
        api: The cluster, in whose namespace they are.
        services: By name.

    Raises:
        ClusterError: The cluster does not answer, or not to this user.
    """
    away = {name: spec for name, spec in services.items() if spec.target is None}
    with errors.single():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(look(api, name, spec)) for name, spec in away.items()]
    return tuple(task.result() for task in tasks)


async def look(api: client.Client, service: str, spec: model.Service) -> Chain:
    """Return the chain of one service.

    Raises:
        ClusterError: See `every`.
    """
    try:
        if spec.workload is not None:
            return await _of_workload(api, service, workloads.parse(str(spec.workload)))
        return await _of_labels(api, service, spec.selector or {})
    except (errors.NotThereError, errors.ForbiddenError) as error:
        told = f"{error.message}; {error.hint}" if error.hint else error.message
        return Chain(service, api.namespace, trouble=told)


async def _of_workload(api: client.Client, service: str, reference: workloads.Reference) -> Chain:
    found = await api.find(reference.path(api.namespace))
    raw = {**found, "apiVersion": reference.kind.version, "kind": reference.kind.name}
    try:
        seen = await _pods(api, workloads.of_workload(reference, raw))
    except errors.ClusterError as error:
        if not isinstance(error, errors.ForbiddenError) and error.error_code != "DL0763":
            raise
        return Chain(service, api.namespace, workload=raw, trouble=error.message)
    return _chain(api, service, seen, raw, reference.kind.through)


async def _of_labels(api: client.Client, service: str, labels: Mapping[str, str]) -> Chain:
    seen = await _pods(api, workloads.of_labels(labels))
    if not seen:
        return Chain(service, api.namespace, trouble="no pod has these labels")
    raw, through = await _above(api, seen[0])
    return _chain(api, service, seen, raw, through)


async def _pods(api: client.Client, wanted: workloads.Wanted) -> list[dict[str, Any]]:
    """Return the pods that live, the newest first."""
    query = {"labelSelector": wanted.label_selector, "fieldSelector": wanted.field_selector}
    listed = await api.list(paths.of("v1", "pods", api.namespace), {key: text for key, text in query.items() if text})
    views = [(pods.view(raw), raw) for raw in listed.items]
    ours = [(view.created, view.name, raw) for view, raw in views if wanted.has(view) and not view.terminating]
    return [raw for *_, raw in sorted(ours, key=lambda each: each[:2], reverse=True)]


async def _above(api: client.Client, pod: dict[str, Any]) -> tuple[application.Raw, str]:
    """Return the workload of a pod, and the kind between the two."""
    owner, through = pods.view(pod).owner, ""
    if owner is not None and owner.kind == "ReplicaSet":
        through = owner.kind
        between = await api.get(paths.of("apps/v1", "replicasets", api.namespace, owner.name))
        owner = pods.view(between).owner or owner
    if owner is None:
        return {**pod, "apiVersion": "v1", "kind": "Pod"}, ""
    kind = next((each for each in workloads.KINDS.values() if each.name == owner.kind), None)
    if kind is None:
        # A custom controller's, or a ReplicaSet that somebody made by hand: known by its name only.
        return {"kind": owner.kind, "metadata": {"name": owner.name, "namespace": api.namespace}}, through
    raw = await api.get(workloads.Reference(kind, owner.name).path(api.namespace))
    return {**raw, "apiVersion": kind.version, "kind": kind.name}, through


def _chain(api: client.Client, service: str, seen: list[dict[str, Any]], raw: application.Raw, through: str) -> Chain:
    views = [pods.view(each) for each in seen]
    owner = views[0].owner if views else None
    between = owner.name if owner is not None and through and owner.kind == through else ""
    names = tuple(view.name for view in views)
    return Chain(service, api.namespace, names, between, raw, "" if names else "it has no pods")
