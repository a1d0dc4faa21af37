"""`devloop env wait` ends when all is well, and not before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.argocd import samples
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api

Capture = pytest.CaptureFixture[str]


def setup(monkeypatch: pytest.MonkeyPatch, **status: Any) -> None:
    raw = samples.raw()
    raw["status"] |= status

    def answering(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("GET", living.HOME, environments.listing(raw), fake_api.streaming())

    environments.project()
    environments.found(monkeypatch, answering)


def test_it_ends_at_once_where_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    setup(monkeypatch)
    ended = devloop(capsys, "env", "wait", "-o", "json")
    assert ended.status == 0
    assert json.loads(ended.out)["applications"][0]["health"] == "Healthy"


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    setup(monkeypatch, health={"status": "Progressing", "message": "1 of 2 ready"})
    ended = devloop(capsys, "env", "wait", "--timeout", "300ms")
    assert ended.status == 1 and "error[DL1044]" in ended.err and "1 of 2 ready" in ended.err
    assert devloop(capsys, "env", "wait", "--synced").status == 0
