"""What events tell of a pod that does not start, and of a workload without pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from devloop.daemon import podtrouble
from devloop.kube import client
from tests.unit.kube import fake_api

EVENTS = "/api/v1/namespaces/dev/events"


def event(
    message: str, *, reason: str = "Failed", at: str = "2026-01-01T00:00:00Z", of: str = "web-1"
) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": at, "involvedObject": {"name": of}}


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected


def told(server: fake_api.FakeApi, *some: dict[str, Any]) -> None:
    server.on("GET", EVENTS, fake_api.giving({"items": list(some), "metadata": {}}))


def test_the_newest_event_with_a_reason_counts() -> None:
    some = [
        event("Failed to pull image x: no such host", at="2026-01-01T00:00:02Z"),
        event("Failed to pull image x: refused", at="2026-01-01T00:00:01Z"),
        event("Error: ErrImagePull", at="2026-01-01T00:00:09Z"),
        event("Back-off pulling image x", at="2026-01-01T00:00:09Z"),
        event("Pulling image x", reason="Pulling", at="2026-01-01T00:00:09Z"),
    ]
    assert podtrouble.newest(some) == "Failed to pull image x: no such host"
    assert podtrouble.newest(some[2:]) == ""


def test_odd_events_are_harmless_and_long_ones_are_cut() -> None:
    late = {"reason": "Failed", "message": "x\n  y", "lastTimestamp": None, "metadata": {"creationTimestamp": "z"}}
    assert podtrouble.newest([{}, {"reason": "Failed"}, late]) == "x y"
    assert len(podtrouble.newest([event("word " * 500)])) < 500


async def test_a_pods_events_are_asked_for_by_its_name(server: fake_api.FakeApi, api: client.Client) -> None:
    told(server, event("Failed to pull image x"))
    assert await podtrouble.of_pod(api, "dev", "web-1") == "Failed to pull image x"
    assert "involvedObject.name=web-1" in server.requests[-1].query["fieldSelector"]


@pytest.mark.parametrize(
    ("of", "is_ours"), [("web", True), ("web-5d8f", True), ("web-api-5d8f", False), ("webs", False), ("db", False)]
)
async def test_a_workloads_events_are_its_own_or_its_replica_sets(
    server: fake_api.FakeApi, api: client.Client, of: str, is_ours: bool
) -> None:
    told(server, event("exceeded quota", reason="FailedCreate", of=of))
    assert await podtrouble.of_workload(api, "dev", "web") == ("exceeded quota" if is_ours else "")


async def test_without_an_answer_there_is_no_reason(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET", EVENTS, fake_api.refusing(403))
    assert await podtrouble.of_pod(api, "dev", "web-1") == ""
    silent = asyncio.Event()

    async def silence(request: web.Request) -> web.StreamResponse:
        await silent.wait()
        return web.json_response({})

    monkeypatch.setattr(podtrouble, "ASK_S", 0.01)
    server.on("GET", EVENTS, silence)
    assert await podtrouble.of_pod(api, "dev", "web-1") == ""
    silent.set()
