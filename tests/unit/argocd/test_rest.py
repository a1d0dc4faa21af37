"""Applications by Argo CD's own API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.argocd import application, backend, login, rest, server
from tests.unit.argocd import samples
from tests.unit.kube import fake_api

APPS = "/api/v1/applications"
SHOP = f"{APPS}/shop"
WHICH = application.Reference("argocd", "shop")
OWN = application.Reference("teams", "shop")


@pytest.fixture
async def fake() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def apps(fake: fake_api.FakeApi) -> AsyncIterator[rest.RestApplications]:
    async with server.connect(login.Login(fake.url, "t")) as made:
        yield rest.RestApplications(made)


def refusing(status: int, message: str) -> fake_api.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": message}, status=status)

    return answer


def running() -> dict[str, Any]:
    return {**samples.raw(), "operation": {"initiatedBy": {"username": "bob"}, "sync": {}}}


async def test_another_namespace_is_named(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", SHOP, fake_api.giving(samples.raw()))
    await apps.get(WHICH)
    assert fake.requests[-1].query_string == ""
    await apps.get(OWN)
    assert fake.requests[-1].query_string == "appNamespace=teams"


async def test_what_is_not_there_is_told_with_near_names(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", f"{APPS}/shopp", refusing(403, "permission denied"))
    fake.on("GET", APPS, fake_api.giving({"items": [samples.raw(), samples.raw("billing")]}))
    with pytest.raises(errors.NotThereError) as raised:
        await apps.get(application.Reference("argocd", "shopp"))
    assert raised.value.hint == "did you mean argocd/shop?"


async def test_what_is_there_and_forbidden_stays_forbidden(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", SHOP, refusing(403, "permission denied"))
    fake.on("GET", APPS, fake_api.giving({"items": [samples.raw()]}))
    with pytest.raises(errors.ForbiddenError):
        await apps.get(WHICH)


async def test_a_patch_is_sent_whole_and_a_failed_test_is_a_conflict(
    fake: fake_api.FakeApi, apps: rest.RestApplications
) -> None:
    path = "/spec/source/targetRevision"
    changes = [{"op": "test", "path": path, "value": "main"}, {"op": "replace", "path": path, "value": "mine"}]
    fake.on("PATCH", SHOP, fake_api.giving(samples.raw()), refusing(400, "testing path failed"))
    await apps.patch(OWN, changes)
    sent = json.loads(fake.bodies[-1])
    assert (sent["name"], sent["patchType"], sent["appNamespace"]) == ("shop", "json", "teams")
    assert json.loads(sent["patch"]) == changes
    other = samples.raw()
    other["spec"]["source"]["targetRevision"] = "theirs"
    fake.on("GET", SHOP, fake_api.giving(other))
    with pytest.raises(errors.ConflictError):
        await apps.patch(WHICH, changes)
    fake.on("GET", SHOP, fake_api.giving(samples.raw()))
    with pytest.raises(errors.RefusedError, match="testing path failed"):
        await apps.patch(WHICH, changes)


async def test_a_sync(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", SHOP, fake_api.giving(samples.raw(sources=[{"repoURL": "a"}, {"repoURL": "b"}])))
    fake.on("POST", f"{SHOP}/sync", fake_api.giving({}))
    await apps.sync(WHICH, backend.SyncAsk(revisions=("x", "y"), dry_run=True, info={"why": "try"}))
    assert json.loads(fake.bodies[-1]) == {
        "name": "shop",
        "strategy": {"hook": {}},
        "syncOptions": {"items": ["CreateNamespace=true"]},
        "infos": [{"name": "why", "value": "try"}],
        "revisions": ["x", "y"],
        "sourcePositions": [1, 2],
        "dryRun": True,
    }


async def test_a_sync_that_runs_or_begins_meanwhile_is_told(
    fake: fake_api.FakeApi, apps: rest.RestApplications
) -> None:
    fake.on("GET", SHOP, fake_api.giving(running()))
    with pytest.raises(errors.ConflictError) as raised:
        await apps.sync(WHICH, backend.SyncAsk())
    assert raised.value.error_code == "DL1002"
    fake.on("GET", SHOP, fake_api.giving(samples.raw()), fake_api.giving(running()))
    fake.on("POST", f"{SHOP}/sync", refusing(400, "another operation is already in progress"))
    with pytest.raises(errors.ConflictError) as raised:
        await apps.sync(WHICH, backend.SyncAsk())
    assert raised.value.error_code == "DL1002"


async def test_what_does_not_run_is_not_ended(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", SHOP, fake_api.giving(samples.raw()), fake_api.giving(running()))
    fake.on("DELETE", f"{SHOP}/operation", fake_api.giving({}))
    with pytest.raises(errors.RefusedError) as raised:
        await apps.terminate(WHICH)
    assert raised.value.error_code == "DL1003"
    await apps.terminate(WHICH)
    assert fake.requests[-1].method == "DELETE"


async def test_what_argo_cd_renders(fake: fake_api.FakeApi, apps: rest.RestApplications) -> None:
    fake.on("GET", f"{SHOP}/manifests", fake_api.giving({"manifests": [json.dumps(samples.deployment())]}))
    assert list(await apps.manifests(WHICH, ["abc"])) == [samples.deployment()]
    assert fake.requests[-1].query_string == "revision=abc"
    fake.on("GET", f"{SHOP}/manifests", fake_api.giving({"manifests": ["not json"]}))
    with pytest.raises(errors.UnreachableError):
        await apps.manifests(WHICH)


async def test_changes_are_told_and_after_a_cut_everything_again(
    fake: fake_api.FakeApi, apps: rest.RestApplications
) -> None:
    drifted = samples.raw()
    drifted["status"]["sync"]["status"] = "OutOfSync"
    event = json.dumps({"result": {"type": "MODIFIED", "application": drifted}}).encode() + b"\n"
    fake.on("GET", APPS, fake_api.giving({"items": [samples.raw()]}), fake_api.giving({"items": []}))
    hold = asyncio.Event()
    fake.on(
        "GET",
        "/api/v1/stream/applications",
        fake_api.streaming(event, cut=True),
        fake_api.streaming(until=hold),
    )
    told: list[str] = []
    seen = asyncio.Event()

    def tell(which: application.Reference, one: application.Application | None) -> None:
        told.append(one.sync if one is not None else "gone")
        if len(told) == 3:
            seen.set()

    async with asyncio.timeout(15):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(apps.follow([WHICH], tell))
            await seen.wait()
            hold.set()
            following.cancel()
    assert told == ["Synced", "OutOfSync", "gone"]
