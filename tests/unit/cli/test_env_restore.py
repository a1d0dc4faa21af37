"""`devloop env restore`: as it was, unless somebody else has changed it since."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devloop.argocd import lease
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> living.Living:
    made = living.Living(tmp_path)
    made.git("branch", "feature/x")
    environments.project()
    environments.found(monkeypatch, made)
    assert devloop(capsys, "env", "use", "feature/x", "--no-wait").status == 0
    return made


def test_as_it_was(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "restore", "-o", "json")
    assert ended.status == 0 and there.revision() == "main" and there.leases == {}
    assert [each["standing"] for each in json.loads(ended.out)["applications"]] == ["ours"]
    assert not there.raw["metadata"]["annotations"]
    assert "nothing to put back" in devloop(capsys, "env", "restore").err


def test_somebody_elses_change_stays_and_is_said(there: living.Living, capsys: Capture) -> None:
    there.raw["spec"]["source"]["targetRevision"] = "by-hand"
    ended = devloop(capsys, "env", "restore")
    assert ended.status == 3 and "by-hand" in ended.err
    assert there.revision() == "by-hand" and there.leases == {}


def test_somebody_elses_lease_is_ended_only_when_that_is_meant(there: living.Living, capsys: Capture) -> None:
    for raw in there.leases.values():
        raw["metadata"]["annotations"] |= {lease.OWNER: "bob@desktop", lease.USER: "bob", lease.INSTALL: "other"}
    assert "nothing to put back" in devloop(capsys, "env", "restore").err
    ended = devloop(capsys, "env", "restore", "--lease", "devloop-branch-argocd.shop")
    assert ended.status == 2 and "bob@desktop" in ended.err and there.revision() == "feature/x"
    ended = devloop(capsys, "env", "restore", "--lease", "devloop-branch-argocd.shop", "--yes")
    assert ended.status == 0 and there.revision() == "main"


def test_others_expired_ones_on_request(there: living.Living, capsys: Capture) -> None:
    for raw in there.leases.values():
        raw["metadata"]["annotations"] |= {lease.OWNER: "bob@desktop", lease.USER: "bob", lease.INSTALL: "other"}
        raw["spec"]["leaseDurationSeconds"] = 60
    assert devloop(capsys, "env", "restore", "--all-expired").err.strip() == "nothing to put back"
    there.age()
    assert devloop(capsys, "env", "restore", "--all-expired").status == 0
    assert there.revision() == "main"


def test_an_unknown_lease(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "restore", "--lease", "nope")
    assert ended.status == 1 and "devloop-branch-argocd.shop" in ended.err
