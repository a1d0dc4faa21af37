"""A watch that was told no way in takes the first that can be used, and says which and why."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devloop.daemon import attached, unasked
from devloop.kube import client
from devloop.podspec import request
from tests.unit.agent.webhook import objects
from tests.unit.daemon import test_admitted
from tests.unit.inject.test_admission import AFTER, PODS, pod
from tests.unit.inject.test_sessions import ALL, KNOWN, REVIEWS, ROOT, reviews
from tests.unit.kube import fake_api
from tests.unit.kube.conftest import api, server

__all__ = ["api", "server"]

WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"
ATTACH = f"{PODS}/web-1/ephemeralcontainers"
SERVICE = test_admitted.SERVICE


def running_pod(name: str = "web-1", *attached_states: dict[str, Any], **how: Any) -> dict[str, Any]:
    made = pod(name, **how)
    made["status"] = {"containerStatuses": [{"name": "app", "state": {"running": {}}, "containerID": "id-1"}]}
    names = [f"devloop-agent-{number + 1}" for number in range(len(attached_states))]
    made["spec"]["ephemeralContainers"] = [{"name": each} for each in names]
    made["status"]["ephemeralContainerStatuses"] = [
        {"name": each, "state": state} for each, state in zip(names, attached_states, strict=True)
    ]
    return made


class Bench(test_admitted.Bench):
    """A cluster of a current version, at first without sessions; pods can be attached to."""

    def __init__(self, server: fake_api.FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(server)
        monkeypatch.setattr(unasked, "AGAIN_S", 0.0)
        server.on("GET", "/version", objects.answered({"major": "1", "minor": "36", "gitVersion": "v1.36.2"}))
        server.on("GET", ROOT, objects.failed(404))
        server.on("PATCH", ATTACH, objects.answered({}))

    def first(self, workload: str = "deployment/web", service: request.Service = SERVICE) -> unasked.Unasked:
        ephemeral = attached.Attached(service, "agent:1", self.left, self.publish)
        return unasked.Unasked(service, workload, self.rung(workload, service), ephemeral, self.publish)

    @contextlib.asynccontextmanager
    async def watching(self, api: client.Client, rung: unasked.Unasked, *there: dict[str, Any]) -> AsyncIterator[None]:
        async with asyncio.timeout(20), rung.held(api, "dev"):
            rung.look(there)
            yield

    @property
    def attached(self) -> int:
        return self.count("PATCH", ATTACH)


@pytest.fixture
def bench(server: fake_api.FakeApi, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(server, monkeypatch)


async def test_without_agent_and_sessions_it_is_attached_and_said(api: client.Client, bench: Bench) -> None:
    async with bench.watching(api, bench.first(), running_pod()):
        await bench.until(lambda: bench.said("attached to pod web-1 as user 1000"))
    (told,) = [each for each in bench.notices if "no workload is changed" in each.message]
    assert "the cluster has no DevSessions" in told.message and "stays in each of them" in told.message
    assert "config/helm/devloop" in told.hint and "--no-attach" in told.hint
    assert bench.attached == 1


async def test_where_sessions_can_be_had_nothing_is_attached(api: client.Client, bench: Bench) -> None:
    bench.server.on("GET", ROOT, KNOWN)
    async with bench.watching(api, bench.first(), running_pod()):
        await bench.until(lambda: bench.said("web-1 was evicted"))
    assert bench.attached == 0


async def test_a_session_that_is_somebody_elses_or_fails_is_no_reason_to_attach(
    api: client.Client, bench: Bench
) -> None:
    bench.server.on("GET", ROOT, KNOWN)
    bench.server.on("POST", ALL, objects.failed(422, "oh"))
    async with bench.watching(api, bench.first(), running_pod()):
        await bench.until(lambda: bench.said("no session could be had"))
    assert bench.attached == 0


async def test_pods_that_come_with_an_agent_are_left_alone(api: client.Client, bench: Bench) -> None:
    going = running_pod("c", deletionTimestamp=AFTER)
    async with bench.watching(api, bench.first(), running_pod("web-1", agent=True), running_pod("b"), going):
        await asyncio.sleep(0)
    assert bench.attached == 0 and bench.count("GET", ROOT) == 0


async def test_what_is_declared_and_still_rolled_out_is_waited_for(api: client.Client, bench: Bench) -> None:
    declared = {"template": {"spec": {"initContainers": [{"name": "devloop-agent"}], "containers": [{"name": "app"}]}}}
    bench.server.on("GET", WORKLOAD, objects.answered(objects.workload(**declared)))
    rung = bench.first()
    async with bench.watching(api, rung, running_pod()):
        await bench.until(lambda: bench.count("GET", WORKLOAD) == 1)
        rung.look([running_pod(), running_pod("web-2", agent=True)])
        # and one whose manifests take the agent out again
        bench.server.on("GET", WORKLOAD, objects.answered(objects.workload()))
        assert bench.attached == 0
        rung.look([running_pod()])
        await bench.until(lambda: bench.attached == 1)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (request.Service("web", (request.Sync("/app"),), supervise=True), "reload: supervise"),
        (request.Service("web", (request.Sync("/app"),), container="ap"), "there is no container ap"),
    ],
)
async def test_what_cannot_be_attached_is_told_with_both_reasons(
    api: client.Client, bench: Bench, service: request.Service, words: str
) -> None:
    async with bench.watching(api, bench.first(service=service), running_pod()):
        await bench.until(lambda: len(bench.notices) == 2)
    assert "the cluster has no DevSessions" in bench.notices[0].message
    assert bench.notices[1].message.startswith("no agent can be attached to the running pods: ")
    assert words in bench.notices[1].message and bench.attached == 0


async def test_a_missing_right_is_a_reason_and_does_not_end_the_watch(api: client.Client, bench: Bench) -> None:
    bench.server.on("POST", REVIEWS, reviews("pods/ephemeralcontainers"))
    async with bench.watching(api, bench.first(), running_pod()):
        await bench.until(lambda: bench.said("you may not patch pods/ephemeralcontainers in namespace dev"))
    assert "--subresource=ephemeralcontainers -n dev" in bench.notices[-1].hint and bench.attached == 0


@pytest.mark.parametrize("workload", ["", "pod/web-1"])
async def test_what_has_no_workload_is_attached_to(api: client.Client, bench: Bench, workload: str) -> None:
    bench.server.on("GET", f"{PODS}/web-1", objects.answered(running_pod()))
    async with bench.watching(api, bench.first(workload), running_pod()):
        await bench.until(lambda: bench.attached == 1)
    assert bench.said("a session is for a workload")


async def test_what_an_earlier_watch_attached_is_taken_up_without_a_word(api: client.Client, bench: Bench) -> None:
    ended = {"terminated": {"exitCode": 137}}
    async with bench.watching(api, bench.first(), running_pod("web-1", ended)):
        await bench.until(lambda: bench.attached == 1)
        await bench.until(lambda: bench.said("attached to pod web-1"))
    assert len(bench.notices) == 1 and bench.count("GET", ROOT) == 0


async def test_while_the_cluster_does_not_tell_it_asks_again(api: client.Client, bench: Bench) -> None:
    bench.server.on("GET", WORKLOAD, objects.failed(503, "busy"), objects.answered(objects.workload()))
    async with bench.watching(api, bench.first(), running_pod()):
        await bench.until(lambda: bench.attached == 1)
    assert bench.said("whether it can be attached is not known yet")


async def test_pods_that_come_later_are_attached_to_as_well(api: client.Client, bench: Bench) -> None:
    rung = bench.first()
    bench.server.on("PATCH", f"{PODS}/web-2/ephemeralcontainers", objects.answered({}))
    async with bench.watching(api, rung):
        rung.look([running_pod()])
        await bench.until(lambda: bench.said("attached to pod web-1"))
        rung.look([running_pod("web-2")])
        await bench.until(lambda: bench.said("attached to pod web-2"))


async def test_a_right_that_is_taken_away_ends_the_service(api: client.Client, bench: Bench) -> None:
    words = 'pods "web-1" is forbidden: User "ann" cannot patch resource "pods/ephemeralcontainers" in API group ""'
    bench.server.on("PATCH", ATTACH, objects.failed(403, words, "Forbidden"))
    with pytest.raises(ExceptionGroup):
        async with bench.watching(api, bench.first(), running_pod()):
            await asyncio.Event().wait()
