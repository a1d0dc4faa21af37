"""`devloop env pause`: auto-sync off for a time, and on again as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop

Capture = pytest.CaptureFixture[str]
AUTOMATED = {"prune": True, "selfHeal": True}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> living.Living:
    made = living.Living(tmp_path)
    environments.project()
    environments.found(monkeypatch, made)
    return made


def test_off_and_on_again(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "pause", "--for", "10m", "-o", "name")
    assert (ended.status, ended.out) == (0, "argocd/shop\n"), ended.err
    assert "automated" not in there.raw["spec"]["syncPolicy"]
    assert "off already" in devloop(capsys, "env", "pause").err
    ended = devloop(capsys, "env", "resume", "-o", "name")
    assert (ended.status, ended.out) == (0, "argocd/shop\n"), ended.err
    assert there.raw["spec"]["syncPolicy"]["automated"] == AUTOMATED and there.leases == {}


def test_an_expired_pause_ends_with_the_next_verb(there: living.Living, capsys: Capture) -> None:
    devloop(capsys, "env", "pause", "--for", "1m")
    there.age()
    assert "had expired" in devloop(capsys, "env", "use", "main").err
    assert there.raw["spec"]["syncPolicy"]["automated"] == AUTOMATED


def test_what_would_turn_it_on_again_refuses(there: living.Living, capsys: Capture) -> None:
    there.owned()
    ended = devloop(capsys, "env", "pause")
    assert "error[DL1027]" in ended.err and there.leases == {}
    assert devloop(capsys, "env", "pause", "--force").status == 0
