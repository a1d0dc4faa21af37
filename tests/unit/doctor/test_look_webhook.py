"""The webhook is judged from where it matters: by what the API server makes of objects that are only tried."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.doctor import facts, look_webhook
from devloop.kube import client, pods, workloads
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.inject.test_admission import AFTER, SESSION, pod
from tests.unit.kube import fake_api
from tests.unit.kube.conftest import api, server

__all__ = ["api", "server"]

ALL = "/apis/devloop.dev/v1alpha1/namespaces/dev/devsessions"
ONE = f"{ALL}/deployment-web"
PODS = "/api/v1/namespaces/dev/pods"
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
ENDPOINTS = "/api/v1/namespaces/ops/endpoints/devloop-admission"
WEB = workloads.parse("deployment/web")
OLD, NEW = facts.Server(1, 20, "v1.20.2"), facts.Server(1, 36, "v1.36.0")


def configured(**changes: Any) -> dict[str, Any]:
    client_config = {"service": {"namespace": "ops", "name": "devloop-admission"}, "caBundle": "eA=="}
    hooks = [
        {"name": "pods.devloop.dev", "failurePolicy": "Ignore", "clientConfig": client_config},
        {"name": "sessions.devloop.dev", "failurePolicy": "Fail", "clientConfig": dict(client_config)},
    ]
    for key, value in changes.items():
        hooks[0]["clientConfig" if key == "caBundle" else key] = (
            {**client_config, "caBundle": value} if key == "caBundle" else value
        )
    return {"metadata": {"name": "devloop-admission"}, "webhooks": hooks}


@pytest.fixture
def hooked(server: fake_api.FakeApi) -> fake_api.FakeApi:
    async def stamped(request: web.Request) -> web.StreamResponse:
        assert request.query["dryRun"] == "All"
        made = await request.json()
        made["spec"]["author"] = {"name": "ann"}
        return web.json_response(made, status=201)

    other = {"metadata": {"name": "others"}, "webhooks": [{"name": "x", "clientConfig": {}}]}
    server.on("POST", ALL, stamped)
    server.on("GET", HOOKS, objects.listed(other, configured()))
    server.on("GET", ENDPOINTS, objects.answered({"subsets": [{"addresses": [{"ip": "a"}, {"ip": "b"}]}]}))
    return server


async def test_a_webhook_that_answers_and_what_is_configured(api: client.Client, hooked: fake_api.FakeApi) -> None:
    found = await look_webhook.look(api)
    assert found.author == "ann"
    assert found.configuration == facts.Configuration(
        name="devloop-admission",
        service="ops/devloop-admission",
        pods_policy="Ignore",
        sessions_policy="Fail",
        bundles=2,
        hooks=2,
        ready=2,
    )
    assert {each.method for each in hooked.requests} == {"POST", "GET"}


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        ("x509: certificate signed by unknown authority", "caBundle"),
        ('service "devloop-admission" not found', "no pod of the webhook answers"),
        ("no endpoints available for service", "no pod of the webhook answers"),
        ("context deadline exceeded", "kubectl get pods -A"),
    ],
)
async def test_one_that_cannot_be_called_is_told_in_the_servers_words(
    api: client.Client, hooked: fake_api.FakeApi, why: str, hint: str
) -> None:
    words = f'Internal error occurred: failed calling webhook "sessions.devloop.dev": failed to call webhook: {why}'
    hooked.on("POST", ALL, objects.failed(500, words, "InternalError"))
    found = (await look_webhook.look(api)).author
    assert isinstance(found, errors.ClusterError)
    assert found.message == f"the API server cannot call the webhook: {why}" and hint in found.hint


async def test_a_session_that_comes_back_as_it_was_sent(api: client.Client, hooked: fake_api.FakeApi) -> None:
    async def same(request: web.Request) -> web.StreamResponse:
        return web.json_response(await request.json(), status=201)

    hooked.on("POST", ALL, same)
    assert (await look_webhook.look(api)).author == ""


async def test_a_refusal_of_the_webhook_is_its_answer(api: client.Client, hooked: fake_api.FakeApi) -> None:
    words = 'admission webhook "sessions.devloop.dev" denied the request: devloop: ann may not create pods/exec in dev'
    hooked.on("POST", ALL, objects.failed(403, words, "Forbidden"))
    found = (await look_webhook.look(api)).author
    assert isinstance(found, errors.RefusedError) and "may not create pods/exec" in found.message


async def test_what_may_not_be_read_is_not_known(api: client.Client, hooked: fake_api.FakeApi) -> None:
    cannot = (
        'User "ann" cannot list resource "mutatingwebhookconfigurations" in API group "admissionregistration.k8s.io"'
    )
    hooked.on("GET", HOOKS, objects.failed(403, cannot, "Forbidden"))
    found = (await look_webhook.look(api)).configuration
    assert isinstance(found, facts.Unknown) and "you may not list mutatingwebhookconfigurations" in found.reason


async def test_endpoints_that_may_not_be_read_or_are_not_there(api: client.Client, hooked: fake_api.FakeApi) -> None:
    hooked.on("GET", ENDPOINTS, objects.failed(404, "no", "NotFound"))
    found = (await look_webhook.look(api)).configuration
    assert isinstance(found, facts.Configuration) and found.ready == 0
    hooked.on("GET", ENDPOINTS, objects.failed(403, 'cannot get resource "endpoints" in API group ""', "Forbidden"))
    found = (await look_webhook.look(api)).configuration
    assert isinstance(found, facts.Configuration) and isinstance(found.ready, facts.Unknown)


async def test_no_configuration_at_all(api: client.Client, hooked: fake_api.FakeApi) -> None:
    hooked.on("GET", HOOKS, objects.listed())
    assert (await look_webhook.look(api)).configuration is None


def test_what_a_configuration_says() -> None:
    found = look_webhook.configuration(configured(caBundle="", failurePolicy="Fail"))
    assert (found.bundles, found.hooks, found.pods_policy) == (1, 2, "Fail")


def deployment() -> dict[str, Any]:
    app = {"name": "app", "image": "app:1"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [app]}}
    return {"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}}


def test_the_pod_that_is_tried_is_one_that_the_workload_would_have() -> None:
    made = look_webhook.pod_like(WEB, deployment())
    wanted = workloads.of_workload(WEB, deployment())
    assert wanted.has(pods.view(made)) and made["metadata"]["labels"]["app"] == "web"
    assert devsession.selects(deployment()["spec"]["selector"], made["metadata"]["labels"])
    stateful = workloads.parse("statefulset/db")
    assert workloads.Wanted(reference=stateful).has(pods.view(look_webhook.pod_like(stateful, deployment())))
    assert made["metadata"]["name"] != look_webhook.pod_like(WEB, deployment())["metadata"]["name"]


async def session(api: client.Client, *there: dict[str, Any]) -> facts.Session:
    found = await look_webhook.session(api, WEB, deployment(), there)
    assert isinstance(found, facts.Session)
    return found


def trying(server: fake_api.FakeApi, **annotations: str) -> None:
    async def tried(request: web.Request) -> web.StreamResponse:
        assert request.query["dryRun"] == "All"
        made = json.loads(await request.read())
        made["metadata"]["annotations"] = annotations
        return web.json_response(made, status=201)

    server.on("POST", PODS, tried)


async def test_what_became_of_the_pods_of_a_session(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ONE, objects.answered(objects.session()))
    trying(server, **{devsession.NOT_INJECTED: "no such container"})
    there = [pod("a", AFTER, SESSION.mark, agent=True), pod("b", AFTER, SESSION.mark, "why"), pod("c", AFTER)]
    found = await session(api, *there)
    assert (found.injected, found.passed, found.stray) == (("a",), {"b": "why"}, ("c",))
    assert (found.owner, found.tried) == ("alice@laptop", "no such container")


async def test_a_pod_that_nobody_looked_at(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ONE, objects.answered(objects.session()))
    trying(server)
    assert (await session(api)).tried == "nobody looked at it"


async def test_a_pod_that_would_come_with_the_agent(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ONE, objects.answered(objects.session()))

    async def tried(request: web.Request) -> web.StreamResponse:
        made = json.loads(await request.read())
        made["spec"]["containers"].append({"name": "devloop-agent"})
        return web.json_response(made, status=201)

    server.on("POST", PODS, tried)
    assert (await session(api)).tried == ""


async def test_where_pods_may_not_be_made_it_is_not_known(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ONE, objects.answered(objects.session()))
    cannot = 'User "ann" cannot create resource "pods" in API group "" in the namespace "dev"'
    server.on("POST", PODS, objects.failed(403, cannot, "Forbidden"))
    tried = (await session(api)).tried
    assert isinstance(tried, facts.Unknown) and "you may not create pods" in tried.reason


async def test_no_session_and_no_right_to_see_one(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", ONE, objects.failed(404, "no", "NotFound"))
    assert await look_webhook.session(api, WEB, deployment(), ()) is None
    assert await look_webhook.session(api, workloads.parse("pod/web"), deployment(), ()) is None
    server.on(
        "GET", ONE, objects.failed(403, 'cannot get resource "devsessions" in API group "devloop.dev"', "Forbidden")
    )
    assert isinstance(await look_webhook.session(api, WEB, deployment(), ()), facts.Unknown)


def budget(name: str, selector: object, allowed: int = 0) -> dict[str, Any]:
    status = {"disruptionsAllowed": allowed, "desiredHealthy": 1, "currentHealthy": 1}
    return {"metadata": {"name": name}, "spec": {"selector": selector}, "status": status}


@pytest.mark.parametrize(("seen", "group", "everything"), [(OLD, "v1beta1", False), (NEW, "v1", True)])
async def test_budgets_that_hold_for_pods(
    api: client.Client, server: fake_api.FakeApi, seen: facts.Server, group: str, everything: bool
) -> None:
    mine, other = budget("web", {"matchLabels": {"app": "web"}}), budget("api", {"matchLabels": {"app": "api"}})
    path = f"/apis/policy/{group}/namespaces/dev/poddisruptionbudgets"
    server.on("GET", path, objects.listed(mine, other, budget("all", {}), {"metadata": {"name": "empty"}}))
    found = await look_webhook.budgets(api, seen, [pod("a")])
    expected = [facts.Budget("web", 0, 1, 1)] + [facts.Budget("all", 0, 1, 1)] * everything
    assert found == tuple(expected)
    assert await look_webhook.budgets(api, seen, []) == ()


async def test_budgets_that_may_not_be_listed(api: client.Client, server: fake_api.FakeApi) -> None:
    cannot = 'User "ann" cannot list resource "poddisruptionbudgets" in API group "policy" in the namespace "dev"'
    server.on("GET", "/apis/policy/v1/namespaces/dev/poddisruptionbudgets", objects.failed(403, cannot, "Forbidden"))
    assert isinstance(await look_webhook.budgets(api, NEW, [pod("a")]), facts.Unknown)
