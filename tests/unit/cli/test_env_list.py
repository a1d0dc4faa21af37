from __future__ import annotations

import json

import pytest

from tests.unit.cli import environments
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api


def test_the_applications_of_this_project(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project()
    environments.found(monkeypatch, environments.shop)
    ended = devloop(capsys, "env", "list")
    assert (ended.status, ended.err) == (0, "")
    head, line = ended.out.splitlines()
    assert head.split() == ["APPLICATION", "SYNC", "HEALTH", "REVISION", "AUTO-SYNC", "BECAUSE"]
    assert line.split("  ")[-1] == "owns web"
    assert "bobs" not in ended.out


def test_all_that_may_be_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project()
    environments.found(monkeypatch, environments.shop)
    lines = devloop(capsys, "env", "list", "--all").out.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["APPLICATION", "argocd/shop", "", "argocd/bobs"]


def test_as_json_and_as_names(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project()
    environments.found(monkeypatch, environments.shop)
    told = json.loads(devloop(capsys, "env", "list", "-o", "json").out)
    assert told["v"] == 1
    assert [(each["name"], each["because"]["kind"]) for each in told["applications"]] == [("shop", "workload")]
    assert told["related"] == []
    assert devloop(capsys, "env", "list", "-o", "name").out == "argocd/shop\n"


def test_no_application_is_an_error_and_not_an_empty_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("GET", environments.APPLICATIONS, environments.listing())

    environments.project()
    environments.found(monkeypatch, nobody)
    ended = devloop(capsys, "env", "list")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith("error[DL1012]: the services belong to shop, which is not there or may not be read")
    assert devloop(capsys, "env", "list", "--all").status == 0
