"""Applications and leases in memory, which do to a patch what the real ones do, and fail where a test says so."""

from __future__ import annotations

import copy
import datetime
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from devloop import errors
from devloop.argocd import application, backend, lease, leasing
from tests.unit.argocd import jsonpatch

NOW = datetime.datetime(2026, 11, 20, 10, 0, tzinfo=datetime.UTC)


class World:
    """What is in the cluster."""

    def __init__(self, *raws: dict[str, Any]) -> None:
        self.raws = {application.read(raw).reference: copy.deepcopy(raw) for raw in raws}
        self.leases: dict[str, dict[str, Any]] = {}
        self.patches: list[application.Reference] = []
        self.before_patch: Callable[[application.Reference], None] = lambda which: None
        self.now = NOW
        self._versions = itertools.count(100)

    def apps(self) -> backend.Backend:
        """Return the way to the Applications."""
        return cast(backend.Backend, _Apps(self))

    def of(self, owner: lease.Owner, namespace: str = "ann") -> leasing.Leases:
        """Return the leases as one person sees them."""
        return cast(leasing.Leases, _Leases(self, owner, namespace))

    def all(self) -> list[application.Application]:
        """Return the Applications as they are."""
        return [application.read(copy.deepcopy(raw)) for raw in self.raws.values()]

    def specs(self) -> dict[str, Any]:
        """Return what is in them that matters: specs, and marks."""
        return {str(which): (raw["spec"], raw["metadata"].get("annotations") or {}) for which, raw in self.raws.items()}

    def version(self) -> str:
        """Return a resourceVersion that no object had."""
        return str(next(self._versions))


class _Apps:
    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, which: application.Reference) -> application.Application:
        try:
            return application.read(copy.deepcopy(self._world.raws[which]))
        except KeyError:
            raise errors.NotThereError(f"there is no {which}") from None

    async def patch(self, which: application.Reference, changes: Sequence[backend.Change]) -> application.Application:
        self._world.before_patch(which)
        self._world.patches.append(which)
        try:
            self._world.raws[which] = jsonpatch.apply(self._world.raws[which], [dict(each) for each in changes])
        except KeyError:
            raise errors.NotThereError(f"there is no {which}") from None
        except jsonpatch.TestFailed as error:
            raise errors.ConflictError(f"somebody else changed {which}: {error}") from None
        return await self.get(which)


class _Leases:
    def __init__(self, world: World, owner: lease.Owner, namespace: str) -> None:
        self._world = world
        self._owner = owner
        self.namespace = namespace

    async def me(self) -> lease.Owner:
        return self._owner

    def now(self) -> datetime.datetime:
        return self._world.now

    async def find(self, reference: str) -> lease.Lease | None:
        raw = self._world.leases.get(reference)
        return lease.read(raw) if raw is not None else None

    async def write(self, one: lease.Lease) -> lease.Lease:
        there = self._world.leases.get(one.reference)
        if (there["metadata"]["resourceVersion"] if there else "") != one.version:
            raise errors.ConflictError(f"{one.reference} was changed meanwhile")
        made = msgspec.json.decode(msgspec.json.encode(one.manifest(self._world.now)))
        made["metadata"] |= {"resourceVersion": self._world.version(), "uid": one.uid or self._world.version()}
        self._world.leases[one.reference] = made
        return lease.read(made)

    async def give_back(self, one: lease.Lease) -> None:
        there = self._world.leases.get(one.reference)
        if there is not None and there["metadata"]["resourceVersion"] != one.version:
            raise errors.ConflictError(f"{one.reference} was changed meanwhile")
        self._world.leases.pop(one.reference, None)
