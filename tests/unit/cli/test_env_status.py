from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest

from devloop.cli import output
from tests.unit.argocd import samples, trees
from tests.unit.cli import environments
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api

HERE = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


def test_the_environment_of_a_project(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    templates = tmp_path_factory.mktemp("templates")
    trees.clone(templates, {"envs/ann/web.yaml": trees.manifest("web")}, "https://git.example/templates.git")
    environments.project(f"argocd: {{templates: {templates}, url: 'https://argocd.example'}}\n")
    environments.found(monkeypatch, environments.shop)
    ended = devloop(capsys, "env", "status")
    assert (ended.status, ended.err) == (0, "")
    for said in (
        "argocd/shop  Synced  Healthy",
        "https://argocd.example/applications/argocd/shop",
        "service web",
        "envs/ann/web.yaml:1",
    ):
        assert said in ended.out


def test_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project()
    environments.found(monkeypatch, environments.shop)
    told = json.loads(devloop(capsys, "env", "status", "-o", "json").out)
    assert (told["v"], told["way"]) == (1, "kubernetes")
    (app,) = told["applications"]
    assert (app["name"], app["switch"], app["operation"]["phase"]) == ("shop", "fine", "Succeeded")
    (service,) = told["services"]
    assert service["application"] == {"namespace": "argocd", "name": "shop"}
    assert (service["pods"], service["replicaSet"]) == (["web-9-a"], "web-9")


def drifted() -> dict[str, Any]:
    raw = samples.raw()
    raw["status"]["sync"]["status"] = "OutOfSync"
    return raw


def test_what_is_not_well_is_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def setup(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("GET", environments.APPLICATIONS, environments.listing(drifted()))

    environments.project()
    environments.found(monkeypatch, setup)
    assert devloop(capsys, "env", "status").status == 3


def test_one_by_name_and_an_unknown_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    environments.project()
    environments.found(monkeypatch, environments.shop)
    ended = devloop(capsys, "env", "status", "bobs")
    assert ("argocd/bobs" in ended.out, "service web" in ended.out) == (True, False)
    wrong = devloop(capsys, "env", "status", "bosb")
    assert (wrong.status, wrong.out) == (1, "")
    assert wrong.err == "error[DL1010]: there is no Application bosb\nhint: did you mean bobs?\n"


@pytest.mark.parametrize("form", ["text", "json"])
def test_it_is_told_again_when_it_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    said = output.data

    def setup(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        change = fake_api.streaming(fake_api.event("MODIFIED", drifted()), until=asyncio.Event())
        server.on("GET", HERE, environments.listing(samples.raw()), change)

    def data(text: str) -> None:
        said(text)
        if "OutOfSync" in text:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(output, "data", data)
    monkeypatch.setattr("devloop.cli.env_status._PACE_S", 0.0)
    environments.project()
    environments.found(monkeypatch, setup)
    ended = devloop(capsys, "env", "status", "--watch", "-o", form)
    assert ended.status == 130
    if form == "text":
        assert ended.out.splitlines()[-1] == "argocd/shop: Synced -> OutOfSync"
    else:
        first, *_, last = [json.loads(line) for line in ended.out.splitlines()]
        assert [each["applications"][0]["sync"] for each in (first, last)] == ["Synced", "OutOfSync"]
