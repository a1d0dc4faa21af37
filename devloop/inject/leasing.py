"""Leases in the cluster: found, written, renewed, taken over, given back; and who the user is there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from devloop import errors
from devloop.argocd import lease as env_lease
from devloop.inject import lease, marks
from devloop.kube import client, paths
from devloop.kube import whoami as cluster_whoami
from devloop.podspec import undo
from devloop.state import identity


async def whoami(api: client.Client) -> lease.Owner:
    """Return who this is: on the laptop, and for the cluster where it tells (from Kubernetes 1.27 on).

    Raises:
        ClusterError: The API server does not answer.
    """
    return lease.Owner(identity.owner(), await cluster_whoami.username(api))


async def find(api: client.Client, namespace: str, workload: str) -> lease.Lease | None:
    """Return the lease on a workload, or None.

    Raises:
        ClusterError: It cannot be read or understood.
    """
    try:
        return lease.read(await api.get(_path(namespace, lease.name_of(workload))))
    except errors.NotThereError:
        return None


async def every(api: client.Client, namespace: str) -> tuple[list[lease.Lease], list[errors.ClusterError]]:
    """Return all leases on workloads of a namespace, and why some could not be understood.

    Raises:
        ClusterError: They cannot be listed.
    """
    listed = await api.list(_path(namespace), {"labelSelector": marks.LABEL})
    found: list[lease.Lease] = []
    wrong: list[errors.ClusterError] = []
    for raw in listed.items:
        if is_of_environment(raw):
            continue
        try:
            found.append(lease.read(raw))
        except errors.ClusterError as error:
            wrong.append(error)
    return found, wrong


def is_of_environment(raw: Mapping[str, Any]) -> bool:
    """Say whether a labelled Lease is one on Applications, which `devloop env restore` gives back."""
    return env_lease.KIND_LABEL in ((raw.get("metadata") or {}).get("labels") or {})


async def write(api: client.Client, namespace: str, one: lease.Lease) -> lease.Lease:
    """Write a lease, new or as it is to be from now on.

    Returns:
        It, as it is in the cluster.

    Raises:
        ConflictError: Somebody else made or changed it meanwhile.
        ClusterError: It cannot be written.
    """
    query = {"fieldManager": marks.MANAGER}
    if one.version:
        raw = await api.replace(_path(namespace, one.name), one.manifest(namespace), query)
    else:
        raw = await api.create(_path(namespace), one.manifest(namespace), query)
    return lease.read(raw)


async def renew(api: client.Client, namespace: str, one: lease.Lease) -> lease.Lease:
    """Say that the session still lives.

    Raises:
        OwnedError: Somebody took it over, or ended it.
        ClusterError: The API server does not do it now.
    """
    there = await find(api, namespace, one.workload)
    if there is None or there.session != one.session:
        who = there.owner.name if there else ""
        taken = there is not None and there.owner != one.owner
        message = f"{one.workload} was taken over by {who}" if taken else f"the session on {one.workload} was ended"
        raise errors.OwnedError(message, hint="take it back with `devloop watch --patch --takeover`", owner=who)
    return await write(api, namespace, msgspec.structs.replace(there, renewed=""))


async def give_back(api: client.Client, namespace: str, one: lease.Lease) -> None:
    """Delete a lease, this very one; nothing happens where it is gone.

    Raises:
        ConflictError: Somebody took it over meanwhile.
        ClusterError: It cannot be deleted.
    """
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": one.uid}}
    if one.version:
        options["preconditions"] = {"uid": one.uid, "resourceVersion": one.version}
    with contextlib.suppress(errors.NotThereError):
        await api.delete(_path(namespace, one.name), options)


async def sweeper(api: client.Client, namespace: str) -> str:
    """Return who in the cluster restores what a watch that is gone left patched, as Ops' chart says; empty for nobody.

    Raises:
        ClusterError: The API server does not answer.
    """
    try:
        marker = await api.get(_path(namespace, undo.SWEEPER))
    except (errors.NotThereError, errors.ForbiddenError):
        return ""
    return str((marker.get("spec") or {}).get("holderIdentity") or "")


def of_workloads(leases: Iterable[lease.Lease], wanted: Iterable[str]) -> list[lease.Lease]:
    """Return the leases on some workloads."""
    names = {lease.name_of(workload) for workload in wanted}
    return [each for each in leases if each.name in names]


def _path(namespace: str, name: str = "") -> str:
    return paths.of(marks.LEASES.version, marks.LEASES.plural, namespace, name)
