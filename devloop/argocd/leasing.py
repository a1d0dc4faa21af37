"""Leases on Applications in the cluster: found, written, renewed, given back; and what time it is there."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.argocd import lease
from devloop.kube import client, paths, whoami
from devloop.state import identity, install

_VERSION: Final = "coordination.k8s.io/v1"
_MANAGER: Final = {"fieldManager": "devloop"}


class Leases:
    """The leases of one namespace, and how others are looked up.

    Args:
        api: The cluster.
        namespace: Where this developer's leases are.
    """

    def __init__(self, api: client.Client, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    async def me(self) -> lease.Owner:
        """Return who this is: on this laptop, and for the cluster where it tells.

        Raises:
            ClusterError: The API server does not answer.
        """
        return lease.Owner(identity.owner(), await whoami.username(self._api), install.identity())

    def now(self) -> datetime.datetime:
        """Return the cluster's time, as its last answer told it; of the laptop's clock only the speed is believed."""
        return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self._api.skew_s or 0.0)

    async def find(self, reference: str) -> lease.Lease | None:
        """Return a lease, or None where there is none.

        Args:
            reference: `NAMESPACE/NAME`, as an Application points at it.

        Raises:
            ForbiddenError: It is in a namespace that this user may not see.
            ClusterError: It cannot be read or understood.
        """
        namespace, _, name = reference.partition("/")
        try:
            return lease.read(await self._api.get(_path(namespace, name)))
        except errors.NotThereError:
            return None

    async def every(self) -> tuple[list[lease.Lease], list[errors.ClusterError]]:
        """Return all leases of the namespace, the oldest first, and why some could not be understood.

        Raises:
            ClusterError: They cannot be listed.
        """
        listed = await self._api.list(_path(self.namespace), {"labelSelector": lease.KIND_LABEL})
        found: list[lease.Lease] = []
        wrong: list[errors.ClusterError] = []
        for raw in listed.items:
            try:
                found.append(lease.read(raw))
            except errors.ClusterError as error:
                wrong.append(error)
        return sorted(found, key=lambda one: (one.acquired or self.now(), one.name)), wrong

    async def write(self, one: lease.Lease) -> lease.Lease:
        """Write a lease, new or as it is to be from now on, and return it as it is in the cluster.

        Raises:
            ConflictError: Somebody else made or changed it meanwhile.
            ClusterError: It cannot be written.
        """
        body = one.manifest(self.now())
        if one.version:
            return lease.read(await self._api.replace(_path(one.namespace, one.name), body, _MANAGER))
        return lease.read(await self._api.create(_path(one.namespace), body, _MANAGER))

    async def renew(self, one: lease.Lease) -> lease.Lease:
        """Let a lease's time begin anew; see `write`."""
        return await self.write(msgspec.structs.replace(one, renewed=None))

    async def give_back(self, one: lease.Lease) -> None:
        """Delete a lease, this very one; nothing happens where it is gone.

        Raises:
            ConflictError: Somebody changed it meanwhile.
            ClusterError: It cannot be deleted.
        """
        conditions = {"uid": one.uid, "resourceVersion": one.version}
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": conditions}
        with contextlib.suppress(errors.NotThereError):
            await self._api.delete(_path(one.namespace, one.name), options)


def mine(leases: Sequence[lease.Lease], me: lease.Owner) -> list[lease.Lease]:
    """Return the leases of one person."""
    return [each for each in leases if each.owner.is_same(me)]


def _path(namespace: str, name: str = "") -> str:
    return paths.of(_VERSION, "leases", namespace, name)
