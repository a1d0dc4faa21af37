"""`devloop env terminate` ends what runs, and says where nothing does."""

from __future__ import annotations

import pytest

from tests.unit.argocd import samples
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api


@pytest.mark.parametrize("runs", [True, False])
def test_it_ends(runs: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raw = {**samples.raw(), **({"operation": {"sync": {}}} if runs else {})}

    def answering(server: fake_api.FakeApi) -> None:
        environments.shop(server)
        server.on("GET", living.SHOP, fake_api.giving(raw))
        server.on("PATCH", living.SHOP, fake_api.giving(samples.raw()))

    environments.project()
    served = environments.found(monkeypatch, answering)
    ended = devloop(capsys, "env", "terminate", "shop")
    assert len(served[0].bodies) == runs
    assert ended.status == (0 if runs else 1)
    assert ("being ended" in ended.err) is runs and ("DL1003" in ended.err) is not runs
