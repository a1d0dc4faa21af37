"""Applications by the Kubernetes API: what is asked of it, and what is made of its answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from devloop import errors
from devloop.argocd import application, backend, kubeapps
from devloop.kube import client
from tests.unit.argocd import samples
from tests.unit.kube import fake_api

ALL = "/apis/argoproj.io/v1alpha1/applications"
HERE = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
SHOP = f"{HERE}/shop"
WHICH = application.Reference("argocd", "shop")


@pytest.fixture
def apps(api: client.Client) -> kubeapps.KubeApplications:
    return kubeapps.KubeApplications(api, "devloop/ann", homes=["teams"])


def listing(*found: dict[str, Any]) -> fake_api.Handler:
    return fake_api.giving({"items": list(found), "metadata": {"resourceVersion": "9"}})


def running() -> dict[str, Any]:
    raw = samples.raw()
    raw["status"]["operationState"] = {
        "phase": "Running",
        "startedAt": "2026-11-20T10:00:00Z",
        "operation": {"initiatedBy": {"username": "bob"}, "sync": {}},
    }
    return raw


def body(server: fake_api.FakeApi) -> Any:
    return json.loads(server.bodies[-1])


async def test_all_of_the_cluster_where_that_is_allowed(
    server: fake_api.FakeApi, apps: kubeapps.KubeApplications
) -> None:
    server.on("GET", ALL, listing(samples.raw(), samples.raw("web", "teams")))
    assert [str(one.reference) for one in await apps.applications()] == ["argocd/shop", "teams/web"]


async def test_else_of_the_namespaces_that_are_known(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    server.on("GET", ALL, fake_api.refusing(403, "no", "Forbidden"))
    server.on("GET", HERE, listing(samples.raw()))
    server.on("GET", HERE.replace("argocd/", "teams/"), fake_api.refusing(403, "no", "Forbidden"))
    server.on("GET", HERE.replace("argocd/", "dev/"), listing(samples.raw("mine", "dev")))
    assert [str(one.reference) for one in await apps.applications()] == ["argocd/shop", "dev/mine"]


async def test_nothing_that_may_be_read_is_an_error_and_not_empty(
    server: fake_api.FakeApi, apps: kubeapps.KubeApplications
) -> None:
    for namespace in ("argocd/", "teams/", "dev/"):
        server.on("GET", HERE.replace("argocd/", namespace), fake_api.refusing(403, "no", "Forbidden"))
    server.on("GET", ALL, fake_api.refusing(403, "no", "Forbidden"))
    with pytest.raises(errors.ForbiddenError):
        await apps.applications()


async def test_a_cluster_without_argo_cd_says_so(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    with pytest.raises(errors.NotThereError) as raised:
        await apps.applications()
    assert raised.value.error_code == "DL1001"


async def test_a_test_that_fails_is_a_conflict(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    server.on("PATCH", SHOP, fake_api.refusing(422, "the request is invalid", "Invalid"))
    server.on("GET", SHOP, fake_api.giving(samples.raw()))
    path = "/spec/source/targetRevision"
    test = {"op": "test", "path": path, "value": "other"}
    with pytest.raises(errors.ConflictError):
        await apps.patch(WHICH, [test, {"op": "replace", "path": path, "value": "mine"}])
    # where the tests hold, it is the change that was refused
    with pytest.raises(errors.RefusedError) as raised:
        await apps.patch(WHICH, [{**test, "value": "main"}, {"op": "replace", "path": path, "value": 7}])
    assert not isinstance(raised.value, errors.ConflictError)


async def test_a_sync_is_asked_for_where_none_runs(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    server.on("GET", SHOP, fake_api.giving(samples.raw()))
    server.on("PATCH", SHOP, fake_api.giving(samples.raw()))
    ask = backend.SyncAsk(prune=True, resources=("apps/Deployment/ann/web",), info={"why": "try"})
    await apps.sync(WHICH, ask)
    test, add, remove = body(server)
    assert test == {"op": "test", "path": "/metadata/resourceVersion", "value": "7"}
    assert remove == {"op": "remove", "path": "/status/operationState"}
    assert add["value"] == {
        "initiatedBy": {"username": "devloop/ann"},
        "info": [{"name": "why", "value": "try"}],
        "sync": {
            "syncStrategy": {"hook": {}},
            "prune": True,
            "syncOptions": ["CreateNamespace=true"],
            "resources": [{"group": "apps", "kind": "Deployment", "namespace": "ann", "name": "web"}],
        },
    }


async def test_a_sync_that_runs_is_left_alone(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    server.on("GET", SHOP, fake_api.giving(running()))
    with pytest.raises(errors.ConflictError, match="begun by bob") as raised:
        await apps.sync(WHICH, backend.SyncAsk())
    assert raised.value.error_code == "DL1002"
    assert server.bodies == []


async def test_a_sync_begun_by_somebody_between_look_and_write_is_seen(
    server: fake_api.FakeApi, apps: kubeapps.KubeApplications
) -> None:
    changed = {**running(), "metadata": {**samples.raw()["metadata"], "resourceVersion": "8"}}
    server.on("GET", SHOP, fake_api.giving(samples.raw()), fake_api.giving(changed))
    server.on("PATCH", SHOP, fake_api.refusing(422, "the request is invalid", "Invalid"))
    with pytest.raises(errors.ConflictError) as raised:
        await apps.sync(WHICH, backend.SyncAsk())
    assert raised.value.error_code == "DL1002"


@pytest.mark.parametrize("text", ["web", "a/b/c/d/e", "/", "Deployment/"])
def test_a_resource_is_written_as_it_should_be(text: str) -> None:
    with pytest.raises(errors.UsageError):
        kubeapps.operation(application.read(samples.raw()), backend.SyncAsk(resources=(text,)), "x")


def test_several_sources_have_several_revisions() -> None:
    several = application.read(samples.raw(sources=[{"repoURL": "a"}, {"repoURL": "b"}]))
    made = kubeapps.operation(several, backend.SyncAsk(revisions=("x", "y")), "ann")
    assert made["sync"]["revisions"] == ["x", "y"]
    one = application.read(samples.raw())
    assert kubeapps.operation(one, backend.SyncAsk(revisions=("x",)), "ann")["sync"]["revision"] == "x"


async def test_what_runs_is_ended_and_what_does_not_is_said(
    server: fake_api.FakeApi, apps: kubeapps.KubeApplications
) -> None:
    asked = {**samples.raw(), "operation": {"sync": {}}}
    server.on("GET", SHOP, fake_api.giving(running()), fake_api.giving(asked), fake_api.giving(samples.raw()))
    server.on("PATCH", SHOP, fake_api.giving(samples.raw()))
    await apps.terminate(WHICH)
    assert body(server)[-1] == {"op": "replace", "path": "/status/operationState/phase", "value": "Terminating"}
    await apps.terminate(WHICH)
    assert body(server) == [{"op": "remove", "path": "/operation"}]
    with pytest.raises(errors.RefusedError) as raised:
        await apps.terminate(WHICH)
    assert raised.value.error_code == "DL1003"


async def test_a_refresh_is_an_annotation(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    server.on("PATCH", SHOP, fake_api.giving(samples.raw()))
    await apps.refresh(WHICH, hard=True)
    assert body(server) == {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}


async def test_changes_are_told_as_they_come(server: fake_api.FakeApi, apps: kubeapps.KubeApplications) -> None:
    drifted = samples.raw()
    drifted["status"]["sync"]["status"] = "OutOfSync"
    parts = [
        fake_api.event("MODIFIED", drifted),
        fake_api.event("MODIFIED", samples.raw("other")),
        fake_api.event("DELETED", drifted),
    ]
    hold = asyncio.Event()
    server.on("GET", HERE, listing(samples.raw(), samples.raw("other")), fake_api.streaming(*parts, until=hold))
    told: list[tuple[str, str]] = []
    done = asyncio.Event()

    def tell(which: application.Reference, one: application.Application | None) -> None:
        told.append((str(which), one.sync if one is not None else "gone"))
        if told[-1][1] == "gone" and len(told) > 2:
            done.set()

    async def until_done() -> None:
        async with asyncio.timeout(10):
            await done.wait()
        hold.set()
        raise Enough

    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as group:
            group.create_task(apps.follow([WHICH, application.Reference("argocd", "missing")], tell))
            group.create_task(until_done())
    assert raised.group_contains(Enough)
    assert told == [
        ("argocd/missing", "gone"),
        ("argocd/shop", "Synced"),
        ("argocd/shop", "OutOfSync"),
        ("argocd/shop", "gone"),
    ]


class Enough(Exception):
    """All was seen."""


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/spec/source/targetRevision", "main", True),
        ("/spec/source/targetRevision", "other", False),
        ("/spec/nothing/here", None, True),
        ("/status/resources/1/kind", "Service", True),
        ("/status/resources/9/kind", "Service", False),
        ("/metadata/annotations/a~1b~0c", "yes", True),
    ],
)
def test_tests_of_patches(path: str, value: object, expected: bool) -> None:
    raw = samples.raw()
    raw["metadata"]["annotations"] = {"a/b~c": "yes"}
    assert kubeapps.holds(raw, {"op": "test", "path": path, "value": value}) is expected
