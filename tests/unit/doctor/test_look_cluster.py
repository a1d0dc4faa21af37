"""What is asked of an API server, and what its silence becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.config import model
from devloop.doctor import facts, look_cluster
from devloop.kube import client
from tests.unit.kube import fake_api

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
NAMESPACE = "/api/v1/namespaces/dev"
WAY = facts.Way("test", "https://k8s", "dev")
SERVER = facts.Server(1, 35, "v1.35.0", 0.0)


def spec(workload: str = "deployment/web") -> model.Service:
    return model.Service.model_validate({"workload": workload, "sync": [{"from": "/laptop", "to": "/app"}]})


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        running.on("POST", REVIEWS, allowing())
        running.on("GET", NAMESPACE, fake_api.giving({"metadata": {"labels": {"team": "a"}}}))
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected


def allowing(*denied: str) -> fake_api.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["spec"]["resourceAttributes"]
        words = " ".join(asked[key] for key in ("verb", "group", "resource", "subresource") if asked.get(key))
        return web.json_response({"status": {"allowed": words not in denied}})

    return answer


async def look(api: client.Client, *specs: model.Service, **changes: Any) -> facts.Cluster:
    return await look_cluster.look(api, WAY, SERVER, specs or (spec(),))


async def test_the_server_tells_its_version_and_its_clock(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", "/version", fake_api.giving({"major": "1", "minor": "30+", "gitVersion": "v1.30.2"}))
    found = await look_cluster.server(api)
    assert isinstance(found, facts.Server)
    assert (found.major, found.minor, found.text) == (1, 30, "v1.30.2")
    assert found.skew_s is not None and abs(found.skew_s) < 60


async def test_a_server_that_refuses_or_is_silent(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", "/version", fake_api.refusing(401))
    assert isinstance(await look_cluster.server(api), errors.CredentialsError)
    monkeypatch.setattr(look_cluster, "ASK_S", 0.01)
    assert isinstance(await look_cluster.asked(asyncio.Event().wait()), facts.Unknown)


async def test_every_right_is_asked_for_and_told(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", REVIEWS, allowing("patch apps deployments", "create pods exec"))
    found = await look(api, spec(), spec("pod/x"))
    kinds = {(each.verb, each.kind): each.allowed for each in found.base}
    assert kinds[("get", "deployments.apps")] is True
    # A websocket is asked for with `create` from 1.35 on.
    assert kinds[("create", "pods/exec")] is False
    assert [each.allowed for each in found.rungs["patch"]] == [False]
    assert {each.kind for each in found.rungs["ephemeral"]} == {"pods", "pods/ephemeralcontainers"}
    assert {each.kind for each in found.rungs["admission"]} == {"devsessions.devloop.dev", "pods/eviction"}
    assert found.rungs["patch"][0].can_i == "kubectl auth can-i patch deployments.apps -n dev"


async def test_a_right_that_nobody_answers_is_unknown(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", REVIEWS, fake_api.refusing(500, "broken"))
    assert all(isinstance(each.allowed, facts.Unknown) for each in (await look(api)).base)


async def test_the_namespace_and_the_chart(server: fake_api.FakeApi, api: client.Client) -> None:
    found = await look(api)
    assert (found.namespace_labels, found.chart) == ({"team": "a"}, False)
    server.on("GET", "/apis/devloop.dev", fake_api.giving({"kind": "APIGroup"}))
    server.on("GET", NAMESPACE, fake_api.refusing(403))
    found = await look(api)
    assert isinstance(found.namespace_labels, errors.ForbiddenError) and found.chart is True
    server.on("GET", "/apis/devloop.dev", fake_api.refusing(503, "busy"))
    server.on("GET", NAMESPACE, fake_api.refusing(404))
    found = await look(api)
    assert isinstance(found.namespace_labels, errors.NotThereError) and isinstance(found.chart, facts.Unknown)
