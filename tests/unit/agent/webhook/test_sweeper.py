from __future__ import annotations

import json
from typing import Any

from agent.webhook import sweeper
from devloop.kube import client
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

VERSION = client.Version(1, 20, "v1.20.2")
PODS = "/api/v1/pods"
SESSIONS = "/apis/devloop.dev/v1alpha1/devsessions"
SESSION = "/apis/devloop.dev/v1alpha1/namespaces/dev/devsessions/deployment-web"
EVICTION = "/api/v1/namespaces/dev/pods/web-1/eviction"


def session(renewed: str = "", uid: str = objects.SESSION_UID) -> devsession.Session:
    raw = objects.session()
    raw["metadata"]["uid"] = uid
    return devsession.read({**raw, "status": {"renewTime": renewed}})


def pod(uid: str = "p1", **meta: Any) -> dict[str, Any]:
    made = objects.pod(**{"name": "web-1", "namespace": "dev", "uid": uid, **meta})
    made["metadata"]["labels"][devsession.LABEL] = objects.SESSION_UID
    return {**made, "status": {"phase": "Running"}}


def test_a_session_ends_when_it_is_silent_for_long_enough_by_our_own_clock() -> None:
    memory = sweeper.Memory(10.0)
    assert memory.silent([session("2001")], 100.0) == []
    assert memory.silent([session("2001")], 109.9) == []
    assert memory.silent([session("2001")], 110.0) == [session("2001")]


def test_every_heartbeat_gives_it_its_full_time_again_whatever_it_says() -> None:
    memory = sweeper.Memory(10.0)
    for now_s, renewed in ((0.0, "2026"), (9.0, "1970"), (18.0, "2026"), (27.9, "2026")):
        assert memory.silent([session(renewed)], now_s) == []
    assert memory.silent([session("2026")], 28.0)


def test_a_session_that_never_beat_has_its_full_time_too() -> None:
    memory = sweeper.Memory(10.0)
    assert memory.silent([session()], 1000.0) == []
    assert memory.silent([session()], 1010.0) == [session()]


def test_a_session_of_the_same_name_that_is_another_one_starts_anew() -> None:
    memory = sweeper.Memory(10.0)
    memory.silent([session(uid="a")], 0.0)
    assert memory.silent([session(uid="b")], 10.0) == []


def test_pods_of_living_sessions_and_pods_that_nobody_would_make_again_stay() -> None:
    memory = sweeper.Memory(10.0)
    mine = sweeper.held(pod())
    alone = pod("p2")
    del alone["metadata"]["ownerReferences"]
    others = [
        sweeper.held(alone),
        sweeper.held(pod("p3", deletionTimestamp="2026-01-02T03:04:06Z")),
        sweeper.held({**pod("p4"), "status": {"phase": "Succeeded"}}),
    ]
    assert memory.orphans([mine, *others], set(), 0.0) == [mine]
    assert memory.orphans([mine, *others], {objects.SESSION_UID}, 0.0) == []


def test_a_pod_is_evicted_twice_at_most() -> None:
    memory = sweeper.Memory(10.0)
    mine = sweeper.held(pod())
    for _ in range(sweeper.MAX_EVICTIONS):
        assert memory.orphans([mine], set(), 0.0) == [mine]
        memory.evicted("p1")
    assert memory.orphans([mine], set(), 0.0) == []


def test_pods_that_come_long_after_their_session_have_the_label_from_elsewhere() -> None:
    memory = sweeper.Memory(10.0)
    first, late, later = (sweeper.held(pod(uid)) for uid in ("p1", "p2", "p3"))
    assert memory.orphans([first], set(), 0.0) == [first]
    assert memory.orphans([first, late], set(), sweeper.LATE_S) == [first, late]
    assert memory.orphans([first, late, later], set(), sweeper.LATE_S + 1.0) == [first, late]
    # What a budget keeps stays to be evicted, however long that takes.
    assert memory.orphans([first, later], set(), 1e6) == [first]


def test_what_is_remembered_of_pods_goes_with_them() -> None:
    memory = sweeper.Memory(10.0)
    for _ in range(sweeper.MAX_EVICTIONS):
        memory.evicted("p1")
    memory.orphans([], set(), 0.0)
    assert memory.orphans([sweeper.held(pod())], set(), 0.0)


async def test_the_pods_of_a_session_that_is_gone_are_evicted(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod()))
    server.on("GET", SESSIONS, objects.listed())
    server.on("POST", EVICTION, objects.answered({}, 201))
    await sweeper.sweep(api, VERSION, sweeper.Memory(10.0))
    (body,) = map(json.loads, server.bodies)
    assert body["apiVersion"] == "policy/v1beta1"
    assert body["deleteOptions"] == {"preconditions": {"uid": "p1"}}
    assert server.requests[0].query["labelSelector"] == "devloop.dev/session"


async def test_a_silent_session_is_deleted_as_it_was_seen_and_its_pods_go(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    server.on("GET", PODS, objects.listed(pod()))
    server.on("GET", SESSIONS, objects.listed(objects.session()))
    server.on("DELETE", SESSION, objects.answered({}))
    server.on("POST", EVICTION, objects.answered({}, 201))
    memory = sweeper.Memory(0.0)
    await sweeper.sweep(api, VERSION, memory)
    deleted, _ = map(json.loads, server.bodies)
    assert deleted["preconditions"] == {"uid": objects.SESSION_UID, "resourceVersion": "7"}


async def test_a_session_that_was_renewed_meanwhile_goes_on(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod()))
    server.on("GET", SESSIONS, objects.listed(objects.session()))
    server.on("DELETE", SESSION, objects.failed(409, "precondition", "Conflict"))
    await sweeper.sweep(api, VERSION, sweeper.Memory(0.0))
    assert [request.method for request in server.requests] == ["GET", "GET", "DELETE"]


async def test_a_budget_is_respected_and_asked_again(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", PODS, objects.listed(pod()))
    server.on("GET", SESSIONS, objects.listed())
    server.on("POST", EVICTION, objects.failed(429, "disruption budget", "TooManyRequests"))
    memory = sweeper.Memory(10.0)
    for _ in range(4):
        await sweeper.sweep(api, VERSION, memory)
    assert len(server.bodies) == 4


async def test_trouble_with_one_pod_does_not_keep_the_next(api: client.Client, server: fake_api.FakeApi) -> None:
    second = pod("p2", name="web-2")
    server.on("GET", PODS, objects.listed(pod(), second))
    server.on("GET", SESSIONS, objects.listed())
    server.on("POST", EVICTION, objects.failed(500, "oh", "InternalError"))
    server.on("POST", "/api/v1/namespaces/dev/pods/web-2/eviction", objects.answered({}, 201))
    await sweeper.sweep(api, VERSION, sweeper.Memory(10.0))
    assert [request.path.split("/")[6] for request in server.requests if request.method == "POST"] == ["web-1", "web-2"]
