"""Which container a command runs in, from what an API server says."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.kube import client
from devloop.shell import find
from tests.unit.kube import fake_api

PODS = "/api/v1/namespaces/dev/pods"
RUNNING: dict[str, Any] = {"running": {}}


def spec(**more: Any) -> model.Service:
    return model.Service.model_validate({"selector": {"app": "web"}, "sync": [{"from": "/w", "to": "/app"}], **more})


def pod(name: str, state: dict[str, Any] | None = None, *, created: str = "1", **more: Any) -> dict[str, Any]:
    containers = more.pop("containers", ["app"])
    status = {
        "phase": more.pop("phase", "Running"),
        "containerStatuses": [{"name": each, "state": RUNNING if state is None else state} for each in containers],
    }
    meta = {"name": name, "uid": name, "creationTimestamp": created, **more.pop("meta", {})}
    return {"metadata": meta, "spec": {"containers": [{"name": each} for each in containers], **more}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": "why"}}


async def found(
    server: fake_api.FakeApi, api: client.Client, *answers: list[dict[str, Any]], service: model.Service | None = None,
    patience_s: float = 30.0, **asked: str,
) -> tuple[find.Found, list[str]]:  # fmt: skip
    said: list[str] = []
    server.on("GET", PODS, *(fake_api.giving({"items": each, "metadata": {}}) for each in answers))
    made = await find.find(api, service or spec(), said.append, patience_s=patience_s, **asked)
    return made, said


async def test_the_newest_whose_container_runs(server: fake_api.FakeApi, api: client.Client) -> None:
    there = [
        pod("old"), pod("new", created="2"), pod("newest", waiting("ContainerCreating"), created="3"),
        pod("going", created="4", meta={"deletionTimestamp": "x"}), pod("done", phase="Succeeded", created="5"),
    ]  # fmt: skip
    made, said = await found(server, api, there)
    assert made.where.pod == "new" and made.where.container == "app" and not said and not made.tools
    made, _ = await found(server, api, there, pod="old")
    assert made.where.pod == "old"


async def test_one_that_is_being_started_is_waited_for(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_LOOK_S", 0.0)
    slow = [pod("a", waiting("ContainerCreating"))]
    made, said = await found(server, api, slow, slow, [pod("a")])
    assert made.where.pod == "a" and said == ["waiting for container app of a: ContainerCreating: why"]


@pytest.mark.parametrize(
    ("there", "words", "hint"),
    [
        ([pod("a", waiting("ImagePullBackOff"))], "does not run: ImagePullBackOff", "describe pod a"),
        ([pod("a", waiting("CrashLoopBackOff"))], "does not run: CrashLoopBackOff", "--previous"),
        ([pod("a", {"terminated": {"exitCode": 3}}, restartPolicy="Never")], "does not run: exit 3", "logs"),
        ([pod("a", waiting("ContainerCreating"))], "does not run: ContainerCreating", "it was waited for"),
    ],
)
async def test_one_that_does_not_run_is_said_why(
    server: fake_api.FakeApi, api: client.Client, there: list[dict[str, Any]], words: str, hint: str
) -> None:
    with pytest.raises(errors.NotRunError, match=words) as caught:
        await found(server, api, there, patience_s=-1)
    assert hint in caught.value.hint and not caught.value.missing


async def test_names_that_are_not_there(server: fake_api.FakeApi, api: client.Client) -> None:
    with pytest.raises(errors.NotThereError, match="no pods that live"):
        await found(server, api, [])
    with pytest.raises(errors.NotThereError) as caught:
        await found(server, api, [pod("web-1")], pod="web-2")
    assert "web-1" in caught.value.hint
    with pytest.raises(errors.UsageError, match="which container of a") as unclear:
        await found(server, api, [pod("a", containers=["app", "proxy"])])
    assert "app, proxy" in unclear.value.hint and unclear.value.error_code == "DL0802"
    with pytest.raises(errors.UsageError, match="no container nope"):
        await found(server, api, [pod("a")], container="nope")
    missing = model.Service.model_validate({"workload": "deployment/web", "sync": [{"from": "/w", "to": "/app"}]})
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments", fake_api.listing("wev"))
    with pytest.raises(errors.NotThereError, match="no deployment web") as near:
        await found(server, api, [], service=missing)
    assert "wev" in near.value.hint


async def test_the_services_container_another_one_and_the_agents(server: fake_api.FakeApi, api: client.Client) -> None:
    both = pod("a", containers=["app", "proxy", "devloop-agent"])
    both["spec"]["containers"][0]["volumeMounts"] = [{"mountPath": "/devloop/tools"}]
    made, _ = await found(server, api, [both], service=spec(container="app"))
    assert made.where.container == "app" and made.tools and made.spec["name"] == "app"
    for name in ("proxy", "devloop-agent"):
        made, _ = await found(server, api, [both], service=spec(container="app"), container=name)
        assert made.where.container == name and not made.tools
