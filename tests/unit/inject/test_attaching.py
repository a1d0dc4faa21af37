"""An agent is added to a pod that runs, or every reason is told and nothing is asked of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.inject import attaching, running
from devloop.podspec import request
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_patch import NO_RIGHT

SERVICE = request.Service("web", (request.Sync("/app"),))


def pod_of(bench: Bench) -> tuple[str, dict[str, Any]]:
    (found,) = [each for each in bench.cluster.objects.items() if each[0].startswith(f"{fake_cluster.PODS}/")]
    return found


async def add(bench: Bench, service: request.Service = SERVICE, number: int = 1) -> str:
    return await attaching.add(bench.api, "dev", pod_of(bench)[1], service, "agent:1", number)


async def test_it_is_added_by_its_subresource(bench: Bench) -> None:
    assert await add(bench, number=2) == "user 1000, as its pod says"
    path, pod = pod_of(bench)
    assert [each["name"] for each in pod["spec"]["ephemeralContainers"]] == ["devloop-agent-2"]
    assert bench.cluster.log == [f"PATCH {path.replace('/namespaces/dev', '')}/ephemeralcontainers"]


async def test_every_reason_is_told_at_once(bench: Bench) -> None:
    bench.cluster.minor = "20"
    service = request.Service("web", (request.Sync("/app"),), supervise=True)
    with pytest.raises(errors.RefusedError, match=r"this is Kubernetes 1\.20.*; reload: supervise") as caught:
        await add(bench, service)
    assert caught.value.error_code == "DL0786" and bench.cluster.log == []


async def test_run_as_comes_last_and_nobody_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr(running, "user_of", nobody)
    with pytest.raises(errors.RefusedError, match="nobody says which user") as caught:
        await add(bench)
    assert caught.value.error_code == "DL0803"
    mine = request.Service("web", (request.Sync("/app"),), user=7, group=8)
    assert await add(bench, mine) == "user 7, as run_as: of devloop.yaml says"


async def test_an_unclear_container_is_asked_for(bench: Bench) -> None:
    with pytest.raises(errors.RefusedError, match="there is no container ap") as caught:
        await add(bench, request.Service("web", (request.Sync("/app"),), container="ap"))
    assert caught.value.error_code == "DL0802"


@pytest.mark.parametrize("where", ["initContainers", "containers"])
def test_a_workload_says_whether_its_pods_come_with_an_agent(where: str) -> None:
    for name, declared in (("devloop-agent", True), ("app", False)):
        pod = {"spec": {where: [{"name": name}]}}
        assert attaching.is_declared({"spec": {"template": pod}}) is declared
        assert attaching.is_declared(pod) is declared


async def test_a_missing_right_is_told_as_such(bench: Bench) -> None:
    path, _ = pod_of(bench)
    words = NO_RIGHT.replace("deployments", "pods/ephemeralcontainers").replace('"apps"', '""')
    bench.cluster.refused[f"PATCH {path}/ephemeralcontainers"] = (403, words, "Forbidden")
    with pytest.raises(errors.ForbiddenError, match="pods/ephemeralcontainers"):
        await add(bench)
