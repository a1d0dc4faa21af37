"""What is asked of the API server about Argo CD."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from devloop.config import model
from devloop.doctor import facts, look_argocd
from devloop.kube import client
from tests.unit.kube import fake_api

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
KINDS = "/apis/argoproj.io/v1alpha1"


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        running.on("GET", KINDS, fake_api.giving({"resources": [{"name": "applications"}]}))
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected


def allowing(*granted: str) -> fake_api.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["spec"]["resourceAttributes"]
        words = f"{asked['verb']} {asked['namespace']}" + (f" {asked['name']}" if asked.get("name") else "")
        assert (asked["group"], asked["resource"]) == ("argoproj.io", "applications")
        return web.json_response({"status": {"allowed": words in granted}})

    return answer


def config(**argocd: str) -> model.Argocd:
    return model.Argocd.model_validate(argocd, context={"folder": "/p"})


async def test_rights_are_asked_for_where_applications_may_be(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", REVIEWS, allowing("get argocd", "list argocd", "watch argocd", "patch teams"))
    found = await look_argocd.look(api, config(namespace="teams", server="https://a.example"))
    assert (found.there, found.asked, found.server) == (True, True, "https://a.example")
    assert [(each.namespace, each.is_argocds) for each in found.homes] == [
        ("argocd", True),
        ("teams", False),
        ("dev", False),
    ]
    assert [all(right.allowed for right in each.reads) for each in found.homes] == [True, False, False]
    assert [each.patch.allowed for each in found.homes] == [False, True, False]


async def test_a_right_on_the_named_application_alone_is_found(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", REVIEWS, allowing("patch argocd shop"))
    found = await look_argocd.look(api, config(application="shop"))
    assert [each.patch.allowed for each in found.homes] == [True, False]
    assert [each.patch.allowed for each in (await look_argocd.look(api, None)).homes] == [False, False]


@pytest.mark.parametrize("kinds", [{"resources": [{"name": "rollouts"}]}, {"resources": 7}, {}])
async def test_argo_rollouts_alone_are_no_argo_cd(
    server: fake_api.FakeApi, api: client.Client, kinds: dict[str, object]
) -> None:
    server.on("GET", KINDS, fake_api.giving(kinds))
    assert await look_argocd.look(api, None) == facts.Argocd(there=False)


async def test_no_answer_is_not_a_no(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", KINDS, fake_api.refusing(500, "broken"))
    assert isinstance((await look_argocd.look(api, None)).there, facts.Unknown)
    server.on("GET", KINDS, fake_api.refusing(404, "none", "NotFound"))
    assert (await look_argocd.look(api, config())).there is False
