from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.inject import sessions
from devloop.kube import client, eviction
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

ROOT = "/apis/devloop.dev/v1alpha1"
ALL = f"{ROOT}/namespaces/dev/devsessions"
ONE = f"{ALL}/deployment-web"
STATUS = f"{ONE}/status"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
KNOWN = objects.answered({"resources": [{"name": "devsessions"}, {"name": "devsessions/status"}]})
EXISTS = objects.failed(409, "already exists", "AlreadyExists")
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def asked(**spec: Any) -> devsession.Spec:
    return devsession.read(objects.session(author={}, **spec)).spec


def session(**spec: Any) -> devsession.Session:
    return devsession.read(objects.session(**spec))


def namespace(labels: dict[str, str]) -> fake_api.Handler:
    return objects.answered({"metadata": {"name": "dev", "labels": labels}})


def reviews(denied: str = "") -> fake_api.Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        told = (await request.json())["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (told["resource"], told.get("subresource"))))
        return web.json_response({"status": {"allowed": resource != denied}}, status=201)

    return handler


async def test_the_rung_is_there_where_all_is(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("POST", REVIEWS, reviews())
    server.on("GET", "/api/v1/namespaces/dev", namespace({"devloop.dev/inject": "enabled"}))
    assert (await sessions.rung(api, "dev")).usable


async def test_whether_the_namespace_is_open_need_not_be_known(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("POST", REVIEWS, reviews())
    server.on("GET", "/api/v1/namespaces/dev", objects.failed(403, 'cannot get resource "namespaces" in API group ""'))
    found = await sessions.rung(api, "dev")
    assert found.usable and "cannot be seen" in found.reason


async def test_without_the_kind_there_is_no_rung(api: client.Client, server: fake_api.FakeApi) -> None:
    found = await sessions.rung(api, "dev")
    assert not found.usable and "no DevSessions" in found.reason and "config/helm" in found.hint


@pytest.mark.parametrize("denied", ["devsessions", "devsessions/status", "pods/eviction"])
async def test_a_right_that_is_missing_is_named(api: client.Client, server: fake_api.FakeApi, denied: str) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("POST", REVIEWS, reviews(denied))
    found = await sessions.rung(api, "dev")
    assert not found.usable and denied in found.reason and "kubectl auth can-i" in found.hint


@pytest.mark.parametrize("labels", [{}, {"devloop.dev/inject": "disabled"}])
async def test_a_namespace_that_is_not_open_is_said_to_be_none(
    api: client.Client, server: fake_api.FakeApi, labels: dict[str, str]
) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("POST", REVIEWS, reviews())
    server.on("GET", "/api/v1/namespaces/dev", namespace(labels))
    found = await sessions.rung(api, "dev")
    assert not found.usable and "kubectl label namespace dev devloop.dev/inject=enabled" in found.hint


async def test_a_session_is_made_without_an_author(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, objects.answered(objects.session(), 201))
    made = await sessions.begin(api, "dev", asked())
    assert made.spec.author.name == "alice"
    body = json.loads(server.bodies[0])
    assert not body["spec"].get("author") and body["metadata"]["labels"] == {"devloop.dev/session": "devsession"}


async def test_an_own_session_is_taken_up_as_it_is(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, EXISTS)
    server.on("GET", ONE, objects.answered(objects.session()))
    assert await sessions.begin(api, "dev", asked()) == session()
    assert len(server.bodies) == 1


async def test_an_own_session_asks_for_what_is_wanted_now(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, EXISTS)
    server.on("GET", ONE, objects.answered(objects.session()))
    server.on("PUT", ONE, objects.answered(objects.session(supervise=True)))
    await sessions.begin(api, "dev", asked(supervise=True))
    put = json.loads(server.bodies[1])
    assert put["spec"]["supervise"] is True and put["spec"]["author"]["name"] == "alice"
    assert put["metadata"]["resourceVersion"] == "7"


async def test_anothers_session_stays_theirs(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, EXISTS)
    server.on("GET", ONE, objects.answered(objects.session(owner="bob@desk")))
    with pytest.raises(errors.OwnedError, match="deployment/web is bob@desk's now") as told:
        await sessions.begin(api, "dev", asked())
    assert told.value.owner == "bob@desk" and "--takeover" in told.value.hint


async def test_anothers_session_is_taken_over_when_that_is_wanted(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, EXISTS, objects.answered(objects.session(), 201))
    server.on("GET", ONE, objects.answered(objects.session(owner="bob@desk")))
    server.on("DELETE", ONE, objects.answered({}))
    await sessions.begin(api, "dev", asked(), takeover=True)
    assert json.loads(server.bodies[1])["preconditions"] == {"uid": objects.SESSION_UID}


async def test_what_the_webhook_says_is_said(api: client.Client, server: fake_api.FakeApi) -> None:
    words = 'admission webhook "sessions.devloop.dev" denied the request: devloop: alice may not'
    server.on("POST", ALL, objects.failed(403, words, "Forbidden"))
    with pytest.raises(errors.RefusedError, match=r"^the session is refused: alice may not$"):
        await sessions.begin(api, "dev", asked())


async def test_a_webhook_that_is_away_is_told_as_such(api: client.Client, server: fake_api.FakeApi) -> None:
    words = 'Internal error occurred: failed calling webhook "sessions.devloop.dev": connection refused'
    server.on("POST", ALL, objects.failed(500, words, "InternalError"))
    with pytest.raises(errors.ClusterError, match="webhook in the cluster does not answer") as told:
        await sessions.begin(api, "dev", asked())
    assert told.value.error_code == sessions.WEBHOOK_CODE


@pytest.mark.parametrize(("code", "error"), [(500, errors.UnreachableError), (422, errors.RefusedError)])
async def test_other_trouble_is_told_as_it_is(
    api: client.Client, server: fake_api.FakeApi, code: int, error: type[errors.ClusterError]
) -> None:
    server.on("POST", ALL, objects.failed(code, "words"))
    with pytest.raises(error, match="words"):
        await sessions.begin(api, "dev", asked())


async def test_a_session_that_nobody_stamped_is_taken_back(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, objects.answered(objects.session(author={}), 201))
    server.on("DELETE", ONE, objects.answered({}))
    with pytest.raises(errors.ClusterError, match="no webhook that looks at them"):
        await sessions.begin(api, "dev", asked())
    assert server.requests[-1].method == "DELETE"


async def test_another_form_of_session_is_not_guessed_at(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("POST", ALL, objects.answered({"spec": 3}, 201))
    with pytest.raises(errors.ClusterError, match="another one than this devloop's"):
        await sessions.begin(api, "dev", asked())


async def test_a_heartbeat_is_for_this_very_session(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("PATCH", STATUS, objects.answered({}))
    await sessions.renew(api, session(), NOW)
    assert json.loads(server.bodies[0]) == [
        {"op": "test", "path": "/metadata/uid", "value": objects.SESSION_UID},
        {"op": "add", "path": "/status", "value": {"renewTime": "2026-01-02T03:04:05.000000Z"}},
    ]


@pytest.mark.parametrize("code", [404, 422])
async def test_a_session_that_was_ended_is_said_to_be(api: client.Client, server: fake_api.FakeApi, code: int) -> None:
    server.on("PATCH", STATUS, objects.failed(code))
    with pytest.raises(errors.OwnedError, match="was ended"):
        await sessions.renew(api, session(), NOW)


@pytest.mark.parametrize(("answer", "was"), [(objects.answered({}), True), (objects.failed(404), False)])
async def test_ending_twice_is_ending_once(
    api: client.Client, server: fake_api.FakeApi, answer: fake_api.Handler, was: bool
) -> None:
    server.on("DELETE", ONE, answer)
    assert await sessions.end(api, session()) is was


def pod(name: str, **meta: Any) -> dict[str, Any]:
    return objects.pod(name=name, uid=f"u-{name}", **meta)


async def test_sessions_end_and_their_pods_go(api: client.Client, server: fake_api.FakeApi) -> None:
    bobs = objects.session("deployment-api", named="api", owner="bob@desk")
    server.on("GET", ROOT, KNOWN)
    server.on("GET", ALL, objects.listed(objects.session(), bobs))
    server.on("DELETE", ONE, objects.answered({}))
    server.on("GET", "/version", objects.answered({"major": "1", "minor": "20+", "gitVersion": "v1.20.2"}))
    ending = pod("web-2", deletionTimestamp="2026-01-02T03:04:05Z")
    server.on("GET", "/api/v1/namespaces/dev/pods", objects.listed(pod("web-1"), ending))
    server.on("POST", "/api/v1/namespaces/dev/pods/web-1/eviction", objects.failed(429, "budget"))
    done = await sessions.end_sessions(api, "dev", "alice@laptop")
    assert (done.sessions, done.others) == (("deployment-web",), ("deployment-api of bob@desk",))
    assert [(each.pod, each.end) for each in done.evictions] == [("web-1", eviction.End.FORBIDDEN_NOW)]
    query = next(request.query for request in server.requests if request.path.endswith("/pods"))
    assert query["labelSelector"] == f"devloop.dev/session={objects.SESSION_UID}"


async def test_all_sessions_end_when_that_is_asked_for(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("GET", ALL, objects.listed(objects.session(owner="bob@desk")))
    server.on("DELETE", ONE, objects.answered({}))
    server.on("GET", "/version", objects.answered({"major": "1", "minor": "30", "gitVersion": "v1.30.0"}))
    server.on("GET", "/api/v1/namespaces/dev/pods", objects.listed())
    done = await sessions.end_sessions(api, "dev", "alice@laptop", everyone=True)
    assert done == sessions.Ended(sessions=("deployment-web",))


async def test_other_workloads_sessions_are_not_meant(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ROOT, KNOWN)
    server.on("GET", ALL, objects.listed(objects.session()))
    server.on("GET", "/version", objects.answered({"major": "1", "minor": "30", "gitVersion": "v1.30.0"}))
    other = devsession.Workload("Deployment", "other")
    assert await sessions.end_sessions(api, "dev", "alice@laptop", [other]) == sessions.Ended()


async def test_where_there_are_no_sessions_there_is_nothing_to_end(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    assert await sessions.end_sessions(api, "dev", "alice@laptop") == sessions.Ended()


async def test_evicted_pods_are_waited_for_and_no_others(
    api: client.Client, server: fake_api.FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "GONE_POLL_S", 0.0)
    pods = "/api/v1/namespaces/dev/pods"
    server.on("GET", pods, fake_api.listing("a", "b"), fake_api.listing("b"))
    await sessions.until_gone(api, "dev", ["a"])
    assert len(server.requests) == 2
    assert server.requests[0].query["labelSelector"] == devsession.LABEL
    await sessions.until_gone(api, "dev", [])
    assert len(server.requests) == 2


async def test_pods_that_do_not_go_are_not_waited_for_for_ever(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", "/api/v1/namespaces/dev/pods", fake_api.listing("a"))
    await sessions.until_gone(api, "dev", ["a"], timeout_s=0.05)
