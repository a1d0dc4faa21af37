"""Applications by Argo CD's own API: its rights are Argo CD's RBAC, and it renders.

The paths and fields are those of `server/application/application.proto` of github.com/argoproj/argo-cd, on 3.6. The
server applies a JSON patch to what it has read and writes the whole spec: a `test` is checked there, and between that
and the write is a moment in which somebody else's change would be lost. The Kubernetes way has no such moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import msgspec

from devloop import errors
from devloop.argocd import application, backend, kubeapps, server
from devloop.core import backoff

_APPLICATIONS: Final = "applications"
_IDLE: Final = "DL1003"
_REFRESH_TIMEOUT_S: Final = 90.0


class RestApplications:
    """The `backend.Backend` of Argo CD's server.

    Args:
        api: The server.
        home: The namespace of Argo CD, whose Applications are named without theirs.
    """

    def __init__(self, api: server.Server, home: str = kubeapps.HOME) -> None:
        self._api = api
        self._home = home

    @property
    def way(self) -> str:
        """What it is, for people."""
        return "argocd"

    async def applications(self) -> Sequence[application.Application]:
        """Return every Application that may be read; see `backend.Backend`."""
        told = await self._api.ask("GET", (_APPLICATIONS,))
        return [application.read(raw) for raw in application.mappings(told, "items")]

    async def get(self, which: application.Reference) -> application.Application:
        """Return one; see `backend.Backend`."""
        try:
            return application.read(await self._api.ask("GET", (_APPLICATIONS, which.name), self._where(which)))
        except (errors.NotThereError, errors.ForbiddenError) as error:
            # What is not there may be forbidden too, so that nobody finds out names by asking.
            raise await self._unknown(which, error) from None

    async def follow(self, which: Sequence[application.Reference], tell: backend.Tell) -> NoReturn:
        """Tell Applications whenever they change; see `backend.Backend`."""
        wanted = set(which)
        delays = backoff.delays()
        while True:
            there = {one.reference: one for one in await self._looked(wanted)}
            for each in sorted(wanted):
                tell(each, there.get(each))
            with contextlib.suppress(errors.UnreachableError):
                async with contextlib.aclosing(self._api.follow(("stream", _APPLICATIONS))) as told:
                    async for each_told in told:
                        delays = backoff.delays()
                        event = application.mapping(each_told, "result")
                        one = application.read(application.mapping(event, "application"))
                        if one.reference in wanted:
                            tell(one.reference, None if application.text(event, "type") == "DELETED" else one)
            await asyncio.sleep(next(delays))

    async def project(self, name: str, namespace: str) -> application.Raw:
        """Return an AppProject; see `backend.Backend`."""
        return await self._api.ask("GET", ("projects", name))

    async def patch(self, which: application.Reference, changes: Sequence[backend.Change]) -> application.Application:
        """Change single fields; see `backend.Backend`, and the module for what a `test` is worth here."""
        body = {
            "name": which.name,
            "patch": msgspec.json.encode(list(changes)).decode(),
            "patchType": "json",
            **self._where(which),
        }
        try:
            return application.read(await self._api.ask("PATCH", (_APPLICATIONS, which.name), None, body))
        except errors.RefusedError as error:
            now = (await self.get(which)).raw
            if not all(kubeapps.holds(now, each) for each in changes if each["op"] == "test"):
                raise errors.ConflictError(f"somebody else changed the Application {which} meanwhile") from None
            raise error

    async def refresh(self, which: application.Reference, *, hard: bool = False) -> None:
        """Ask Argo CD to compare anew; see `backend.Backend`. Its server answers when it has."""
        query = {"refresh": "hard" if hard else "normal", **self._where(which)}
        await self._api.ask("GET", (_APPLICATIONS, which.name), query, timeout_s=_REFRESH_TIMEOUT_S)

    async def sync(self, which: application.Reference, ask: backend.SyncAsk) -> None:
        """Begin a sync; see `backend.Backend`."""
        now = await self.get(which)
        if now.is_running:
            raise kubeapps.busy(now)
        made: dict[str, Any] = kubeapps.operation(now, ask, "")["sync"]
        body: dict[str, Any] = {
            "name": which.name,
            "strategy": made["syncStrategy"],
            "syncOptions": {"items": made.get("syncOptions", [])},
            "infos": [{"name": key, "value": value} for key, value in ask.info.items()],
            **self._where(which),
        }
        body |= {
            key: made[key]
            for key in ("revision", "revisions", "prune", "dryRun", "resources", "manifests")
            if key in made
        }
        if "revisions" in body:
            body["sourcePositions"] = list(range(1, len(body["revisions"]) + 1))
        try:
            await self._api.ask("POST", (_APPLICATIONS, which.name, "sync"), None, body)
        except errors.RefusedError as error:
            if (await self.get(which)).is_running:
                raise kubeapps.busy(await self.get(which)) from None
            raise error

    async def terminate(self, which: application.Reference) -> None:
        """End the sync that runs; see `backend.Backend`."""
        if not (await self.get(which)).is_running:
            raise errors.RefusedError(f"no sync of {which} is running", code=_IDLE)
        await self._api.ask("DELETE", (_APPLICATIONS, which.name, "operation"), self._where(which))

    async def manifests(self, which: application.Reference, revisions: Sequence[str] = ()) -> Sequence[application.Raw]:
        """Return what Argo CD renders; see `backend.Backend`."""
        query: dict[str, str | list[str]] = dict(self._where(which))
        if len(revisions) == 1:
            query["revision"] = revisions[0]
        elif revisions:
            query |= {
                "revisions": list(revisions),
                "sourcePositions": [str(number) for number in range(1, len(revisions) + 1)],
            }
        told = await self._api.ask("GET", (_APPLICATIONS, which.name, "manifests"), query, timeout_s=_REFRESH_TIMEOUT_S)
        return [_manifest(each) for each in application.items(told, "manifests")]

    def _where(self, which: application.Reference) -> dict[str, str]:
        return {"appNamespace": which.namespace} if which.namespace and which.namespace != self._home else {}

    async def _unknown(self, which: application.Reference, error: errors.ClusterError) -> errors.ClusterError:
        try:
            names = [str(one.reference) for one in await self.applications()]
        except errors.ClusterError:
            return error
        if str(which) in names:
            return error
        near = difflib.get_close_matches(str(which), names, 3) or sorted(names)[:5]
        hint = f"did you mean {' or '.join(near)}?" if near else "you may read none"
        return errors.NotThereError(f"there is no Application {which} that you may read", hint=hint, status=404)

    async def _looked(self, wanted: set[application.Reference]) -> list[application.Application]:
        return [one for one in await self.applications() if one.reference in wanted]


def _manifest(text: object) -> application.Raw:
    try:
        found = msgspec.json.decode(str(text))
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise errors.UnreachableError("Argo CD rendered what is no object", code="DL1041")
    return found
