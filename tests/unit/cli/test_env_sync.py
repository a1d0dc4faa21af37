"""`devloop env sync` asks for a sync and waits for what it asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from tests.unit.argocd import samples
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    raw = samples.raw()
    changes: list[Any] = []

    async def begun(request: web.Request) -> web.StreamResponse:
        changes.append(json.loads(await request.read()))
        raw["status"]["operationState"] = {
            "phase": "Succeeded",
            "startedAt": "2026-11-20T11:00:00Z",
            "finishedAt": "2026-11-20T11:00:01Z",
            "syncResult": {
                "resources": [{"kind": "Service", "name": "web", "status": "Synced", "message": "unchanged"}]
            },
        }
        raw["status"]["reconciledAt"] = "2026-11-20T11:00:02Z"
        return web.json_response(raw)

    def answering(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("GET", living.SHOP, fake_api.giving(raw))
        server.on("PATCH", living.SHOP, begun)
        server.on("GET", living.HOME, environments.listing(raw), fake_api.streaming())

    environments.project()
    environments.found(monkeypatch, answering)
    return changes


def test_it_asks_and_waits(asked: list[Any], capsys: Capture) -> None:
    ended = devloop(capsys, "env", "sync", "--prune")
    assert ended.status == 0, ended.err
    assert ended.out.strip() == "argocd/shop: Service/web unchanged"
    operation = next(each for each in asked[0] if each["path"] == "/operation")["value"]
    assert operation["sync"]["prune"] is True and operation["initiatedBy"]["username"].startswith("devloop/")


def test_what_is_only_tried_or_a_part_is_not_waited_for_as_the_whole(asked: list[Any], capsys: Capture) -> None:
    assert devloop(capsys, "env", "sync", "--dry-run", "--resource", "Service/web").status == 0
    assert devloop(capsys, "env", "sync", "--no-wait", "-o", "name").out == "argocd/shop\n"
    first = next(each for each in asked[0] if each["path"] == "/operation")["value"]["sync"]
    assert (first["dryRun"], first["resources"]) == (True, [{"kind": "Service", "name": "web"}])


def test_nonsense_is_refused_before_anything_is_asked(asked: list[Any], capsys: Capture) -> None:
    assert devloop(capsys, "env", "sync", "--resource", "web").status == 2
    assert asked == []
