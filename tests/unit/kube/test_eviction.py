from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, eviction, pods
from tests.unit.kube import fake_api

PATH = "/api/v1/namespaces/dev/pods/web-1/eviction"
OLD = client.Version(1, 21, "v1.21.0")
NEW = client.Version(1, 22, "v1.22.0")


def pod(**meta: Any) -> pods.Pod:
    owners = [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]
    return pods.view({"metadata": {"name": "web-1", "uid": "p1", "ownerReferences": owners, **meta}})


def answer(code: int) -> fake_api.Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response({}, status=201) if code == 201 else fake_api.status(code, "words")

    return handler


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (201, eviction.End.EVICTED),
        (404, eviction.End.GONE),
        (409, eviction.End.GONE),
        (429, eviction.End.FORBIDDEN_NOW),
    ],
)
async def test_what_an_eviction_comes_to(
    api: client.Client, server: fake_api.FakeApi, code: int, end: eviction.End
) -> None:
    server.on("POST", PATH, answer(code))
    done = await eviction.evict(api, "dev", pod(), NEW)
    assert (done.pod, done.end) == ("web-1", end)
    assert done.message == ("words" if end is eviction.End.FORBIDDEN_NOW else "")


@pytest.mark.parametrize(("version", "policy"), [(OLD, "policy/v1beta1"), (NEW, "policy/v1")])
async def test_it_is_this_very_pod_in_the_form_that_the_server_knows(
    api: client.Client, server: fake_api.FakeApi, version: client.Version, policy: str
) -> None:
    server.on("POST", PATH, answer(201))
    await eviction.evict(api, "dev", pod(), version)
    body = json.loads(server.bodies[0])
    assert body["apiVersion"] == policy and body["deleteOptions"]["preconditions"] == {"uid": "p1"}


@pytest.mark.parametrize("meta", [{"ownerReferences": []}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}])
async def test_what_nobody_would_make_again_or_is_going_is_left(
    api: client.Client, server: fake_api.FakeApi, meta: dict[str, Any]
) -> None:
    done = await eviction.evict(api, "dev", pod(**meta), NEW)
    assert done.end is eviction.End.LEFT and "web-1" in done.message and server.requests == []


@pytest.mark.parametrize(("code", "error"), [(403, errors.ClusterError), (500, errors.UnreachableError)])
async def test_other_trouble_is_an_error(
    api: client.Client, server: fake_api.FakeApi, code: int, error: type[errors.ClusterError]
) -> None:
    server.on("POST", PATH, answer(code))
    with pytest.raises(error):
        await eviction.evict(api, "dev", pod(), NEW)
