"""`devloop env refresh` asks, for the environment or for those that are named."""

from __future__ import annotations

import json

import pytest

from tests.unit.argocd import samples
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api


@pytest.mark.parametrize(("arguments", "kind"), [([], "normal"), (["shop", "--hard"], "hard")])
def test_it_asks(
    arguments: list[str], kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answering(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("PATCH", living.SHOP, fake_api.giving(samples.raw()))

    environments.project()
    served = environments.found(monkeypatch, answering)
    ended = devloop(capsys, "env", "refresh", *arguments, "-o", "name")
    assert (ended.status, ended.out) == (0, "argocd/shop\n")
    asked = json.loads(served[0].bodies[-1])
    assert asked == {"metadata": {"annotations": {"argocd.argoproj.io/refresh": kind}}}
