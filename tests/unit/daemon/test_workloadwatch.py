"""A workload that comes to mean other pods is noticed, against an API server that says what the test wants."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.daemon import workloadwatch
from devloop.kube import client, workloads
from tests.unit.kube import fake_api
from tests.unit.kube.conftest import api, server

__all__ = ["api", "server"]

ALL = "/apis/apps/v1/namespaces/dev/deployments"
WEB = workloads.parse("deployment/web")


def deployment(app: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": "web", "resourceVersion": "2"}, "spec": {"selector": {"matchLabels": {"app": app}}}}


def mean(raw: client.Object) -> workloads.Wanted:
    return workloads.of_workload(WEB, raw)


KNOWN = mean(deployment())


def telling(server: fake_api.FakeApi, listed: list[dict[str, Any]], *lines: bytes) -> None:
    """List objects, then say lines on the watch, which stays open."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["fieldSelector"] == "metadata.name=web"
        if "watch" not in request.query:
            return web.json_response({"items": listed, "metadata": {"resourceVersion": "1"}})
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        await asyncio.Event().wait()
        return response

    server.on("GET", ALL, answer)


async def another(api: client.Client, said: list[str] | None = None) -> workloads.Wanted:
    async with asyncio.timeout(10):
        told: list[str] = said if said is not None else []
        return await workloadwatch.until_another(api, "dev", WEB, KNOWN, mean, lambda each: told.append(each.message))


async def test_one_that_is_made_anew_with_other_labels(api: client.Client, server: fake_api.FakeApi) -> None:
    lines = (
        fake_api.event("MODIFIED", deployment()),
        fake_api.event("DELETED", deployment()),
        fake_api.event("ADDED", deployment("shop")),
    )
    telling(server, [deployment()], *lines)
    assert (await another(api)).label_selector == "app=shop"


async def test_one_that_was_another_already_when_it_is_looked_at(api: client.Client, server: fake_api.FakeApi) -> None:
    telling(server, [deployment("shop")])
    assert (await another(api)).label_selector == "app=shop"


async def test_one_that_cannot_be_followed_is_said_and_the_next_is_taken(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    nothing = {"metadata": {"name": "web"}, "spec": {}}
    telling(server, [], fake_api.event("ADDED", nothing), fake_api.event("MODIFIED", deployment("shop")))
    said: list[str] = []
    assert (await another(api, said)).label_selector == "app=shop"
    assert said == ["deployment/web has no selector, so its pods cannot be found"]


@pytest.mark.parametrize("code", [403, 404])
async def test_where_it_may_not_be_watched_nothing_changes(
    api: client.Client, server: fake_api.FakeApi, code: int
) -> None:
    async def refused(_request: web.Request) -> web.StreamResponse:
        return fake_api.status(code, 'cannot list resource "deployments" in API group "apps"')

    server.on("GET", ALL, refused)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await another(api)


@pytest.mark.parametrize("reference", [None, workloads.parse("pod/web")])
async def test_labels_and_single_pods_mean_the_same_for_ever(
    api: client.Client, server: fake_api.FakeApi, reference: workloads.Reference | None
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await workloadwatch.until_another(api, "dev", reference, KNOWN, mean, _none)
    assert server.requests == []


def _none(error: errors.ClusterError) -> None:
    raise error
