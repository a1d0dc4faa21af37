"""Applications by the Kubernetes API: no further login, a watch for free, and the rights are RBAC's.

The Application has no status subresource, so whoever may patch it may patch all of it. Syncs are asked for in its
`operation`, and ended by `status.operationState.phase`, as Argo CD's own server does it:
`util/argo/argo.go` (SetAppOperation) and `server/application` (TerminateOperation) of github.com/argoproj/argo-cd.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

from devloop import errors
from devloop.argocd import application, backend
from devloop.kube import client, paths, watch

VERSION: Final = "argoproj.io/v1alpha1"
APPLICATIONS: Final = "applications"
PROJECTS: Final = "appprojects"

# Where Argo CD is unless somebody says otherwise.
HOME: Final = "argocd"

_MANAGER: Final = {"fieldManager": "devloop"}
_REFRESH: Final = "argocd.argoproj.io/refresh"
_NO_ARGOCD: Final = "DL1001"
_BUSY: Final = "DL1002"
_IDLE: Final = "DL1003"
_TRIES: Final = 4


class KubeApplications:
    """The `backend.Backend` of the Kubernetes API.

    Args:
        api: The cluster.
        user: Who is said to have begun a sync.
        homes: Namespaces to look in where Applications of all namespaces may not be listed.
    """

    def __init__(self, api: client.Client, user: str, homes: Iterable[str] = ()) -> None:
        self._api = api
        self._user = user
        self._homes = tuple(dict.fromkeys(home for home in (*homes, HOME, api.namespace) if home))

    @property
    def way(self) -> str:
        """What it is, for people."""
        return "kubernetes"

    async def applications(self) -> Sequence[application.Application]:
        """Return every Application that may be read; see `backend.Backend`."""
        try:
            return await self._listed("")
        except errors.ForbiddenError as refused:
            denied = refused
        except errors.NotThereError as error:
            raise no_argocd(error) from None
        found: list[application.Application] = []
        seen = False
        for home in self._homes:
            with contextlib.suppress(errors.ForbiddenError):
                found += await self._listed(home)
                seen = True
        if not seen:
            raise denied
        return found

    async def get(self, which: application.Reference) -> application.Application:
        """Return one; see `backend.Backend`."""
        return application.read(await self._api.find(path_of(which)))

    async def follow(self, which: Sequence[application.Reference], tell: backend.Tell) -> NoReturn:
        """Tell Applications whenever they change; see `backend.Backend`."""
        async with asyncio.TaskGroup() as group:
            for namespace in sorted({each.namespace for each in which}):
                names = {each.name for each in which if each.namespace == namespace}
                group.create_task(self._follow(namespace, names, tell))
        raise AssertionError("a watch has no end")

    async def project(self, name: str, namespace: str) -> application.Raw:
        """Return an AppProject; see `backend.Backend`."""
        return await self._api.find(paths.of(VERSION, PROJECTS, namespace or HOME, name))

    async def patch(self, which: application.Reference, changes: Sequence[backend.Change]) -> application.Application:
        """Change single fields; see `backend.Backend`."""
        try:
            raw = await self._api.patch(path_of(which), list(changes), client.Patch.JSON, _MANAGER)
        except errors.RefusedError as error:
            # A test that fails and an object that is not valid are both 422 (RFC 5789, section 2.2).
            now = (await self.get(which)).raw
            if not all(holds(now, each) for each in changes if each["op"] == "test"):
                raise errors.ConflictError(f"somebody else changed the Application {which} meanwhile") from None
            raise error
        return application.read(raw)

    async def refresh(self, which: application.Reference, *, hard: bool = False) -> None:
        """Ask Argo CD to compare anew; see `backend.Backend`."""
        body = {"metadata": {"annotations": {_REFRESH: "hard" if hard else "normal"}}}
        await self._api.patch(path_of(which), body, client.Patch.MERGE, _MANAGER)

    async def sync(self, which: application.Reference, ask: backend.SyncAsk) -> None:
        """Begin a sync; see `backend.Backend`."""
        for _ in range(_TRIES):
            now = await self.get(which)
            if now.is_running:
                raise busy(now)
            changes: list[backend.Change] = [
                # what somebody else began meanwhile has another version
                {"op": "test", "path": "/metadata/resourceVersion", "value": now.version},
                {"op": "add", "path": "/operation", "value": operation(now, ask, self._user)},
            ]
            if now.operation is not None:
                # the last one's end is not to be taken for this one's
                changes.append({"op": "remove", "path": "/status/operationState"})
            with contextlib.suppress(errors.ConflictError):
                await self.patch(which, changes)
                return
        raise errors.ConflictError(f"the Application {which} changes all the time", hint="try again in a moment")

    async def terminate(self, which: application.Reference) -> None:
        """End the sync that runs; see `backend.Backend`."""
        now = await self.get(which)
        if not now.is_running:
            raise errors.RefusedError(f"no sync of {which} is running", code=_IDLE)
        changes: list[backend.Change]
        if now.operation is not None and not now.operation.finished:
            changes = [
                {"op": "test", "path": "/status/operationState/phase", "value": now.operation.phase},
                {"op": "replace", "path": "/status/operationState/phase", "value": "Terminating"},
            ]
        else:
            # it was asked for and is not begun
            changes = [{"op": "remove", "path": "/operation"}]
        await self.patch(which, changes)

    async def manifests(self, which: application.Reference, revisions: Sequence[str] = ()) -> Sequence[application.Raw]:
        """Refuse: only Argo CD's own API renders; see `backend.Backend`."""
        raise errors.ClusterError(
            "the Kubernetes API cannot say what Argo CD renders",
            hint="name Argo CD's server as argocd.server in devloop.yaml, or install kustomize or helm on this machine",
            code="DL1004",
        )

    async def _listed(self, namespace: str) -> list[application.Application]:
        listing = await self._api.list(paths.of(VERSION, APPLICATIONS, namespace))
        return [application.read(raw) for raw in listing.items]

    async def _follow(self, namespace: str, names: set[str], tell: backend.Tell) -> None:
        query = {"fieldSelector": f"metadata.name={next(iter(names))}"} if len(names) == 1 else None
        watched = watch.Watch(self._api, paths.of(VERSION, APPLICATIONS, namespace), query)
        async with contextlib.aclosing(watched.events()) as events:
            async for event in events:
                match event:
                    case watch.Listed():
                        there = {one.name: one for one in map(application.read, event.objects)}
                        for name in sorted(names):
                            tell(application.Reference(namespace, name), there.get(name))
                    case watch.Changed() | watch.Gone():
                        one = application.read(event.object)
                        if one.name in names:
                            tell(one.reference, one if isinstance(event, watch.Changed) else None)
                    case _:
                        # a watch that broke comes back by itself, and then lists
                        pass


def path_of(which: application.Reference) -> str:
    """Return the path of an Application."""
    return paths.of(VERSION, APPLICATIONS, which.namespace, which.name)


def operation(now: application.Application, ask: backend.SyncAsk, user: str) -> dict[str, Any]:
    """Return the `operation` that asks the controller for a sync.

    Args:
        now: The Application.
        ask: What is asked.
        user: Who asks.
    """
    sync: dict[str, Any] = {"syncStrategy": {"hook": {}}}
    options = (*sorted(now.options), *ask.options)
    if ask.revisions:
        sync |= {"revisions": list(ask.revisions)} if now.is_multi else {"revision": ask.revisions[0]}
    if ask.resources:
        sync["resources"] = [_resource(each) for each in ask.resources]
    for key, value in (("prune", ask.prune), ("dryRun", ask.dry_run), ("syncOptions", list(dict.fromkeys(options)))):
        if value:
            sync[key] = value
    if ask.manifests:
        sync["manifests"] = list(ask.manifests)
    info = [{"name": key, "value": value} for key, value in ask.info.items()]
    return {"initiatedBy": {"username": user}, "sync": sync, **({"info": info} if info else {})}


def _resource(text: str) -> dict[str, str]:
    """Return `GROUP/KIND/NAMESPACE/NAME`, or without its beginning, as the operation has it."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 4 or not parts[-1] or not parts[-2 if len(parts) == 2 else -3]:
        raise errors.UsageError(
            f"{text!r} is no resource", hint="write KIND/NAME, GROUP/KIND/NAME or GROUP/KIND/NAMESPACE/NAME"
        )
    if len(parts) == 2:
        return {"kind": parts[0], "name": parts[1]}
    if len(parts) == 3:
        return {"group": parts[0], "kind": parts[1], "name": parts[2]}
    return {"group": parts[0], "kind": parts[1], "namespace": parts[2], "name": parts[3]}


def holds(raw: application.Raw, test: backend.Change) -> bool:
    """Say whether a `test` of a JSON patch holds for an object; a path that is not there equals null (as `null` does).

    Args:
        raw: The object.
        test: `path` by RFC 6901, and `value`.
    """
    found: Any = raw
    for part in str(test["path"]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            found = None
    return bool(found == test.get("value"))


def busy(now: application.Application) -> errors.ConflictError:
    """Return the error for an Application that is being synced already."""
    by = f", begun by {now.operation.by}" if now.operation is not None and now.operation.by else ""
    return errors.ConflictError(
        f"the Application {now.reference} is being synced already{by}",
        hint="wait for it with `devloop env wait`, or end it with `devloop env terminate`",
        code=_BUSY,
    )


def no_argocd(error: errors.NotThereError) -> errors.NotThereError:
    """Return the error for a cluster without Argo CD."""
    return errors.NotThereError(
        "the cluster has no Argo CD: it does not know the kind Application",
        hint="check --context; everything of devloop but `devloop env` works without it",
        code=_NO_ARGOCD,
        status=error.status,
        reason=error.reason,
    )
