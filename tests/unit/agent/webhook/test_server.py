from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.webhook import mutation, server
from devloop.kube import client
from devloop.podspec import request
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

SESSIONS = "/apis/devloop.dev/v1alpha1/namespaces/dev/devsessions"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"

ALLOWED = objects.answered({"status": {"allowed": True}}, 201)
DENIED = objects.answered({"status": {"allowed": False, "reason": "no"}}, 201)


@pytest.fixture
async def webhook(api: client.Client) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    chart = mutation.Chart("agent:1", request.KubeVersion(1, 20))
    made = server.Webhook(api, chart, budget_s=0.5).app()
    async with TestClient(TestServer(made)) as opened:
        yield opened


async def asked(
    webhook: TestClient[web.Request, web.Application], path: str, thing: dict[str, Any], user: str = "alice"
) -> dict[str, Any]:
    request_ = {
        "uid": "u1",
        "namespace": "dev",
        "operation": "CREATE",
        "userInfo": {"username": user, "groups": ["devs"]},
        "object": thing,
    }
    async with webhook.post(path, json={"kind": "AdmissionReview", "request": request_}) as answer:
        assert answer.status == 200
        response: dict[str, Any] = (await answer.json())["response"]
        return response


def patch(response: dict[str, Any]) -> str:
    return base64.b64decode(response.get("patch", "")).decode()


async def test_a_pod_of_a_session_is_injected(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed(objects.session()))
    server.on("POST", REVIEWS, ALLOWED)
    server.on("GET", WORKLOAD, objects.answered(objects.workload()))
    response = await asked(webhook, "/pods", objects.pod())
    assert response["allowed"] and "agent:1" in patch(response)
    (review,) = map(json.loads, server.bodies)
    assert review["spec"] == {
        "user": "alice",
        "uid": "",
        "groups": ["devs"],
        "extra": {},
        "resourceAttributes": {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "dev"},
    }


async def test_a_pod_without_session_is_left_alone(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed(objects.session(named="other")))
    assert await asked(webhook, "/pods", objects.pod()) == {"uid": "u1", "allowed": True}


async def test_a_pod_that_is_not_ours_costs_no_question(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    assert await asked(webhook, "/pods", objects.pod(owner=None)) == {"uid": "u1", "allowed": True}
    assert server.requests == []


async def test_a_session_whose_author_lost_the_right_injects_nothing(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed(objects.session()))
    server.on("POST", REVIEWS, DENIED)
    response = await asked(webhook, "/pods", objects.pod())
    assert "agent:1" not in patch(response)
    assert "alice, whose session it is, may not exec in dev" in patch(response)


@pytest.mark.parametrize("trouble", [objects.failed(500), objects.failed(403), objects.failed(404)])
async def test_trouble_lets_the_pod_through_with_a_warning(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi, trouble: fake_api.Handler
) -> None:
    server.on("GET", SESSIONS, trouble)
    response = await asked(webhook, "/pods", objects.pod())
    assert response["allowed"] and "patch" not in response and "without an agent" in response["warnings"][0]


async def test_an_api_server_that_hangs_holds_up_no_pod(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    over = asyncio.Event()

    async def hangs(_request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    server.on("GET", SESSIONS, hangs)
    response = await asked(webhook, "/pods", objects.pod())
    over.set()
    assert response["allowed"] and "in time" in response["warnings"][0]


async def test_a_pod_that_would_wait_for_a_claim_for_ever_goes_without_an_agent(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed(objects.session(persist=["/app/node_modules"])))
    server.on("POST", REVIEWS, ALLOWED)
    response = await asked(webhook, "/pods", objects.pod())
    assert "agent:1" not in patch(response) and "PersistentVolumeClaim devloop-web" in patch(response)


async def test_a_workload_that_is_gone_lets_the_pod_through(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed(objects.session()))
    server.on("POST", REVIEWS, ALLOWED)
    response = await asked(webhook, "/pods", objects.pod())
    assert response["allowed"] and "patch" not in response


async def test_a_session_that_cannot_be_read_harms_no_other(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("GET", SESSIONS, objects.listed({"metadata": {"name": "x"}, "spec": 1}, objects.session()))
    server.on("POST", REVIEWS, ALLOWED)
    server.on("GET", WORKLOAD, objects.answered(objects.workload()))
    assert "agent:1" in patch(await asked(webhook, "/pods", objects.pod()))


async def test_an_ending_session_injects_nothing(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    ending = objects.session()
    ending["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:06Z"
    server.on("GET", SESSIONS, objects.listed(ending))
    assert await asked(webhook, "/pods", objects.pod()) == {"uid": "u1", "allowed": True}


async def test_a_session_is_stamped_for_who_may_exec(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("POST", REVIEWS, ALLOWED)
    raw = objects.session(author={})
    response = await asked(webhook, "/sessions", raw)
    assert response["allowed"] and '"alice"' in patch(response)


async def test_a_session_of_who_may_not_exec_is_refused(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("POST", REVIEWS, DENIED)
    response = await asked(webhook, "/sessions", objects.session(author={}))
    assert not response["allowed"] and "may not create pods/exec in dev" in response["status"]["message"]


async def test_a_session_is_refused_where_nobody_can_tell_its_rights(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    server.on("POST", REVIEWS, objects.failed(500, "etcd is away"))
    response = await asked(webhook, "/sessions", objects.session(author={}))
    assert not response["allowed"] and "cannot be looked up" in response["status"]["message"]


async def test_a_forged_session_is_refused_without_a_question(
    webhook: TestClient[web.Request, web.Application], server: fake_api.FakeApi
) -> None:
    response = await asked(webhook, "/sessions", objects.session(), user="mallory")
    assert not response["allowed"] and server.requests == []


@pytest.mark.parametrize(("path", "body"), [("/pods", b"{"), ("/sessions", b"[]")])
async def test_what_is_no_review_is_a_bad_request(
    webhook: TestClient[web.Request, web.Application], path: str, body: bytes
) -> None:
    async with webhook.post(path, data=body) as answer:
        assert answer.status == 400


async def test_the_kubelet_is_told_that_it_lives(webhook: TestClient[web.Request, web.Application]) -> None:
    async with webhook.get("/healthz") as answer:
        assert answer.status == 200
