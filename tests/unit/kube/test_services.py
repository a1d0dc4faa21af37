"""Names of Services, and the pods behind their ports: by slices, by endpoints, and as they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, services
from tests.unit.kube import fake_api

SERVICE = "/api/v1/namespaces/dev/services/web"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/dev/endpointslices"
ENDPOINTS = "/api/v1/namespaces/dev/endpoints"
WEB = services.Name("web", "dev")


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    return {"metadata": {"name": "web"}, "spec": {"ports": ports, **spec}}


def endpoint(pod: str, *, ready: bool | None = True) -> dict[str, Any]:
    return {
        "addresses": ["10.0.0.1"],
        "conditions": {} if ready is None else {"ready": ready},
        "targetRef": {"kind": "Pod", "name": pod},
    }


def slice_(*endpoints: dict[str, Any], port: int = 8000, name: str = "http", uid: str = "s1") -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "resourceVersion": "2"},
        "ports": [{"name": name, "port": port}],
        "endpoints": list(endpoints),
    }


def listing(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items), "metadata": {"resourceVersion": "1"}}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web", WEB),
        ("WEB.", WEB),
        ("db.other", services.Name("db", "other")),
        ("db.other.svc", services.Name("db", "other")),
        ("db.other.svc.cluster.local", services.Name("db", "other")),
        ("10.0.0.1", None),
        ("www.example.com", None),
        ("we b", None),
        ("a..b", None),
        ("", None),
        ("::1", None),
        ("web/../x", None),
    ],
)
def test_a_host_names_a_service_or_none(host: str, name: services.Name | None) -> None:
    assert services.parse(host, "dev") == name


def test_a_port_is_found_by_its_number() -> None:
    assert services.port_name(service(), 80) == "http"
    assert services.port_name({"spec": {"ports": [{"port": 5432}]}}, 5432) == ""


@pytest.mark.parametrize(
    ("raw", "port", "kind", "words"),
    [
        (service(), 81, errors.NotThereError, "no port 81"),
        (service(), 53, errors.RefusedError, "is UDP"),
        (service(type="ExternalName", externalName="example.com"), 80, errors.RefusedError, "alias of example.com"),
        ({}, 80, errors.NotThereError, "no port 80"),
    ],
)
def test_what_cannot_be_forwarded_to_is_told(
    raw: dict[str, Any], port: int, kind: type[errors.ClusterError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        services.port_name(raw, port)
    assert caught.value.error_code == "DL0765"


def test_ready_pods_of_all_slices_count() -> None:
    found = services.of_slices(
        [
            slice_(endpoint("web-2"), endpoint("web-0", ready=False), endpoint("web-3", ready=None)),
            slice_(endpoint("web-1"), port=9000),
            slice_(endpoint("other"), name="metrics"),
            {"ports": None, "endpoints": None},
        ],
        "http",
    )
    assert [(each.pod, each.port) for each in found] == [("web-1", 9000), ("web-2", 8000), ("web-3", 8000)]


def test_endpoints_say_the_same_and_addresses_without_a_pod_are_known() -> None:
    raw = {
        "subsets": [
            {
                "ports": [{"name": "http", "port": 8000}],
                "addresses": [
                    {"ip": "10.0.0.2", "targetRef": {"kind": "Pod", "name": "web-2"}},
                    {"ip": "192.0.2.1"},
                ],
                "notReadyAddresses": [{"ip": "10.0.0.3", "targetRef": {"kind": "Pod", "name": "web-3"}}],
            },
            {"ports": [{"name": "metrics", "port": 1}], "addresses": [{"ip": "10.0.0.9"}]},
        ]
    }
    found = services.of_endpoints([raw, {}], "http")
    assert found == [services.Backend("", 8000, "192.0.2.1"), services.Backend("web-2", 8000, "10.0.0.2")]


class Resolving:
    def __init__(self, api: client.Client, group: asyncio.TaskGroup) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.changes = 0
        self.group = group
        self.resolver = services.Resolver(api, self.spawn, self.changed)

    def spawn(self, work: Any) -> None:
        self.tasks.append(self.group.create_task(work))

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def resolving(api: client.Client) -> AsyncIterator[Resolving]:
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        made = Resolving(api, group)
        yield made
        for task in made.tasks:
            task.cancel()


async def test_a_pod_is_kept_while_it_is_ready_and_replaced_at_once(
    server: fake_api.FakeApi, resolving: Resolving
) -> None:
    gone, forever = asyncio.Event(), asyncio.Event()
    server.on("GET", SERVICE, fake_api.giving(service()))

    async def slices(request: Any) -> Any:
        if "watch" not in request.query:
            return await fake_api.giving(listing(slice_(endpoint("web-1"), endpoint("web-2"))))(request)
        response = web.StreamResponse()
        await response.prepare(request)
        fewer = slice_(endpoint("web-2"), endpoint("web-0", ready=False))
        await gone.wait()
        await response.write(fake_api.event("MODIFIED", fewer))
        await forever.wait()
        return response

    server.on("GET", SLICES, slices)
    assert await resolving.resolver.backend(WEB, 80) == services.Backend("web-1", 8000, "10.0.0.1")
    before = resolving.changes
    gone.set()
    while resolving.changes == before:
        await asyncio.sleep(0.01)
    assert (await resolving.resolver.backend(WEB, 80)).pod == "web-2"
    assert [request.path for request in server.requests].count(SERVICE) == 1
    forever.set()


async def test_a_cluster_without_slices_is_asked_for_endpoints(server: fake_api.FakeApi, resolving: Resolving) -> None:
    raw = {
        "metadata": {"uid": "e"},
        "subsets": [
            {
                "ports": [{"name": "http", "port": 8000}],
                "addresses": [{"ip": "10.0.0.2", "targetRef": {"kind": "Pod", "name": "web-2"}}],
            }
        ],
    }
    server.on("GET", SERVICE, fake_api.giving(service()))
    server.on("GET", ENDPOINTS, fake_api.giving(listing(raw)))
    assert (await resolving.resolver.backend(WEB, 80)).pod == "web-2"
    asked = next(request for request in server.requests if request.path == ENDPOINTS)
    assert asked.query["fieldSelector"] == "metadata.name=web"


@pytest.mark.parametrize(
    ("items", "kind", "words"),
    [
        ([slice_(endpoint("web-1", ready=False))], errors.UnreachableError, "no pod of the service web.dev is ready"),
        ([], errors.UnreachableError, "no pod"),
        ([slice_({"addresses": ["192.0.2.1"]})], errors.RefusedError, "192.0.2.1, which is no pod"),
    ],
)
async def test_a_service_without_a_ready_pod_is_told(
    server: fake_api.FakeApi,
    resolving: Resolving,
    items: list[dict[str, Any]],
    kind: type[errors.ClusterError],
    words: str,
) -> None:
    server.on("GET", SERVICE, fake_api.giving(service()))
    server.on("GET", SLICES, fake_api.giving(listing(*items)))
    for _ in range(2):
        with pytest.raises(kind, match=words):
            await resolving.resolver.backend(WEB, 80)


async def test_what_may_not_be_listed_is_told_and_asked_again(server: fake_api.FakeApi, resolving: Resolving) -> None:
    server.on("GET", SERVICE, fake_api.giving(service()))
    server.on("GET", SLICES, fake_api.refusing(403, "no", "Forbidden"))
    server.on("GET", ENDPOINTS, fake_api.refusing(403, "no", "Forbidden"))
    with pytest.raises(errors.ForbiddenError):
        await resolving.resolver.backend(WEB, 80)
    server.on("GET", SLICES, fake_api.giving(listing(slice_(endpoint("web-1")))))
    assert (await resolving.resolver.backend(WEB, 80)).pod == "web-1"


async def test_a_service_that_does_not_exist_is_told_with_those_that_do(
    server: fake_api.FakeApi, resolving: Resolving
) -> None:
    server.on("GET", "/api/v1/namespaces/dev/services", fake_api.listing("webs"))
    with pytest.raises(errors.NotThereError, match="no service web") as caught:
        await resolving.resolver.backend(WEB, 80)
    assert "webs" in caught.value.hint
