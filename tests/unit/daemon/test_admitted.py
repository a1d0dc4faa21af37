from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from devloop import errors
from devloop.daemon import admitted, rungs
from devloop.kube import client
from devloop.podspec import request
from devloop.sync import events
from tests.unit.agent.webhook import objects
from tests.unit.inject.test_admission import AFTER, PODS, SESSION, pod
from tests.unit.inject.test_sessions import ALL, EXISTS, KNOWN, ONE, REVIEWS, ROOT, STATUS, namespace, reviews
from tests.unit.kube import fake_api
from tests.unit.kube.conftest import api, server

__all__ = ["api", "server"]

SERVICE = request.Service(name="web", syncs=(request.Sync("/app"),))
OLD = pod("web-1")
NEW = pod("web-2", AFTER, SESSION.mark, agent=True)


class Bench:
    def __init__(self, server: fake_api.FakeApi) -> None:
        self.server = server
        self.notices: list[events.Notice] = []
        self.more = asyncio.Event()
        self.left = rungs.Leftovers("laptop/project", frozenset(), self.publish)
        server.on("GET", "/apis/coordination.k8s.io/v1/namespaces/dev/leases", objects.listed())
        server.on("GET", ROOT, KNOWN)
        server.on("POST", REVIEWS, reviews())
        server.on("GET", "/api/v1/namespaces/dev", namespace({"devloop.dev/inject": "enabled"}))
        server.on("POST", ALL, objects.answered(objects.session(), 201))
        server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", objects.answered(objects.workload()))
        server.on("GET", "/version", objects.answered({"major": "1", "minor": "20", "gitVersion": "v1.20.2"}))
        server.on("PATCH", STATUS, objects.answered({}))
        server.on("GET", PODS, objects.listed(OLD), objects.listed(NEW))
        server.on("POST", f"{PODS}/web-1/eviction", objects.answered({}, 201))

    def rung(
        self, workload: str = "deployment/web", service: request.Service = SERVICE, slept_s: float = 60.0
    ) -> admitted.Admitted:
        return admitted.Admitted(
            service,
            workload,
            "alice@laptop",
            self.left,
            takeover=False,
            publish=self.publish,
            step_s=0.01,
            renew_s=0.01,
            slept_s=slept_s,
        )

    def publish(self, event: events.Event) -> None:
        assert isinstance(event, events.Notice)
        self.notices.append(event)
        self.more.set()

    def said(self, words: str) -> bool:
        return any(words in each.message for each in self.notices)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self.more.wait()
            self.more.clear()

    def count(self, method: str, path: str) -> int:
        return sum((each.method, each.path) == (method, path) for each in self.server.requests)

    @contextlib.asynccontextmanager
    async def held(self, api: client.Client, rung: admitted.Admitted, *there: dict[str, Any]) -> AsyncIterator[None]:
        async with asyncio.timeout(20), rung.held(api, "dev"):
            rung.look(there)
            yield


@pytest.fixture
def bench(server: fake_api.FakeApi) -> Bench:
    return Bench(server)


async def test_pods_that_have_an_agent_by_their_manifests_need_no_session(api: client.Client, bench: Bench) -> None:
    going = pod("c", deletionTimestamp=AFTER)
    async with bench.held(api, bench.rung(), pod("a", agent=True), pod("being-rolled-out"), going):
        await asyncio.sleep(0)
    assert bench.count("POST", ALL) == 0 and bench.count("GET", ROOT) == 0


async def test_pods_without_agent_are_replaced_and_the_session_is_kept(api: client.Client, bench: Bench) -> None:
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said("web-1 was evicted") and bench.count("PATCH", STATUS) > 2)
    assert bench.notices[0].message.startswith("deployment/web is yours by the DevSession deployment-web")
    assert bench.notices[0].level is events.Level.WARNING
    assert bench.count("POST", f"{PODS}/web-1/eviction") == 1
    # The session outlives the watch.
    assert bench.count("DELETE", ONE) == 0


async def test_an_earlier_watchs_session_is_taken_up_without_replacing_its_pods(
    api: client.Client, bench: Bench
) -> None:
    mine = objects.session(syncs=[{"to": "/app", "seed": ["**"]}])
    bench.server.on("POST", ALL, EXISTS)
    bench.server.on("GET", ONE, objects.answered(mine))
    bench.server.on("GET", PODS, objects.listed(NEW))
    async with bench.held(api, bench.rung(), NEW):
        await bench.until(lambda: bench.count("PATCH", STATUS) > 1)
    assert bench.count("PUT", ONE) == 0 and not bench.said("was evicted")


async def test_another_owner_ends_the_service(api: client.Client, bench: Bench) -> None:
    bench.server.on("POST", ALL, EXISTS)
    bench.server.on("GET", ONE, objects.answered(objects.session(owner="bob@desk")))
    with pytest.raises(ExceptionGroup) as caught:
        async with bench.held(api, bench.rung(), OLD):
            await asyncio.Event().wait()
    found = errors.first(caught.value)
    assert isinstance(found, errors.OwnedError) and "bob@desk" in found.message


async def test_a_session_that_is_taken_over_ends_the_service(api: client.Client, bench: Bench) -> None:
    bench.server.on("PATCH", STATUS, objects.answered({}), objects.failed(404))
    with pytest.raises(ExceptionGroup) as caught:
        async with bench.held(api, bench.rung(), OLD):
            await asyncio.Event().wait()
    assert "was ended by somebody else" in str(errors.first(caught.value))


async def test_a_heartbeat_that_fails_for_a_while_is_said_and_goes_on(api: client.Client, bench: Bench) -> None:
    bench.server.on("PATCH", STATUS, objects.failed(503, "busy"), objects.answered({}))
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said("cannot be renewed now") and bench.count("PATCH", STATUS) > 2)


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        (("GET", ROOT), objects.failed(404), "the cluster has no DevSessions"),
        (("POST", ALL), objects.failed(422, "oh"), "no session could be had"),
        (("GET", "/apis/apps/v1/namespaces/dev/deployments/web"), objects.failed(404), "no session could be had"),
    ],
)
async def test_where_there_is_no_such_way_it_is_said_and_the_watch_goes_on(
    api: client.Client, bench: Bench, path: tuple[str, str], answer: fake_api.Handler, words: str
) -> None:
    bench.server.on(*path, answer)
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said(words))
    assert not bench.said("was evicted")


@pytest.mark.parametrize("workload", ["", "pod/web"])
async def test_what_is_no_workload_has_no_session(api: client.Client, bench: Bench, workload: str) -> None:
    async with bench.held(api, bench.rung(workload), OLD):
        await bench.until(lambda: bench.said("a session is for a workload"))


async def test_an_image_of_ones_own_is_not_for_sessions(api: client.Client, bench: Bench) -> None:
    service = request.Service(name="web", syncs=(request.Sync("/app"),), image="mine")
    async with bench.held(api, bench.rung(service=service), OLD):
        await bench.until(lambda: bench.said("cannot be asked for this: image:"))


async def test_a_budget_and_a_reason_are_told(api: client.Client, bench: Bench) -> None:
    bench.server.on("POST", f"{PODS}/web-1/eviction", objects.failed(429, "budget"), objects.answered({}, 201))
    bench.server.on(
        "GET", PODS, objects.listed(OLD), objects.listed(OLD), objects.listed(pod("c", AFTER, SESSION.mark, "no"))
    )
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said("c has no agent: no"))
    assert bench.said("a PodDisruptionBudget does not let web-1 go now: budget; tried again") and bench.said(
        "web-1 was evicted"
    )


async def test_a_webhook_that_does_nothing_is_found_out(api: client.Client, bench: Bench) -> None:
    bench.server.on("GET", PODS, objects.listed(pod("web-1", AFTER)), objects.listed(pod("web-2", AFTER)))
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said("does not see them"))
    assert bench.count("POST", f"{PODS}/web-2/eviction") == 0


async def test_pods_that_cannot_be_looked_at_for_a_while_are_looked_at_again(api: client.Client, bench: Bench) -> None:
    bench.server.on("GET", PODS, objects.failed(503, "busy"), objects.listed(OLD), objects.listed(NEW))
    async with bench.held(api, bench.rung(), OLD):
        await bench.until(lambda: bench.said("cannot be replaced now") and bench.said("web-1 was evicted"))


CLAIMS = "/api/v1/namespaces/dev/persistentvolumeclaims"
CLAIM = f"{CLAIMS}/devloop-web"
KEEPS = request.Service(name="web", syncs=(request.Sync("/app"),), persist=("/cache",), persist_size="2Gi")


def claim(bench: Bench) -> None:
    made = {"metadata": {"name": "devloop-web", "uid": "c1"}, "spec": {"storageClassName": "standard"}}
    bench.server.on("GET", CLAIM, objects.failed(404, "not found", "NotFound"))
    bench.server.on("POST", CLAIMS, objects.answered(made, 201))
    bench.server.on("DELETE", CLAIM, objects.answered({}))


async def test_what_is_to_persist_has_its_claim_before_there_is_a_session(api: client.Client, bench: Bench) -> None:
    claim(bench)
    async with bench.held(api, bench.rung(service=KEEPS), OLD):
        await bench.until(lambda: bench.said("web-1 was evicted"))
    posted = [each.path for each in bench.server.requests if each.method == "POST" and each.path in (CLAIMS, ALL)]
    assert posted == [CLAIMS, ALL]
    assert bench.said("the claim devloop-web of 2Gi was made for /cache") and bench.count("DELETE", CLAIM) == 0


async def test_a_session_that_is_somebody_elses_leaves_no_claim(api: client.Client, bench: Bench) -> None:
    claim(bench)
    bench.server.on("POST", ALL, EXISTS)
    bench.server.on("GET", ONE, objects.answered(objects.session(owner="bob@desk")))
    with pytest.raises(ExceptionGroup):
        async with bench.held(api, bench.rung(service=KEEPS), OLD):
            await asyncio.Event().wait()
    assert bench.count("DELETE", CLAIM) == 1


async def test_a_quota_that_forbids_the_claim_is_said_and_there_is_no_session(api: client.Client, bench: Bench) -> None:
    claim(bench)
    bench.server.on("POST", CLAIMS, objects.failed(403, "x is forbidden: exceeded quota: small", "Forbidden"))
    async with bench.held(api, bench.rung(service=KEEPS), OLD):
        await bench.until(lambda: bench.said("exceeded quota: small"))
    assert bench.count("POST", ALL) == 0


async def test_a_session_that_the_sweeper_ended_while_the_laptop_slept_is_asked_for_anew(
    api: client.Client, bench: Bench
) -> None:
    # Every gap is a sleep here.
    bench.server.on("PATCH", STATUS, objects.answered({}), objects.failed(404), objects.answered({}))
    async with bench.held(api, bench.rung(slept_s=0.0), OLD):
        await bench.until(lambda: bench.count("POST", ALL) == 2 and bench.count("PATCH", STATUS) > 2)
    assert bench.said("was ended while this laptop was not heard of, and is asked for anew")


async def test_one_that_somebody_else_took_meanwhile_is_theirs(api: client.Client, bench: Bench) -> None:
    bench.server.on("PATCH", STATUS, objects.answered({}), objects.failed(404))
    bench.server.on("POST", ALL, objects.answered(objects.session(), 201), EXISTS)
    bench.server.on("GET", ONE, objects.answered(objects.session(owner="bob@desk")))
    with pytest.raises(ExceptionGroup) as caught:
        async with bench.held(api, bench.rung(slept_s=0.0), OLD):
            await asyncio.Event().wait()
    assert "bob@desk" in str(errors.first(caught.value))
