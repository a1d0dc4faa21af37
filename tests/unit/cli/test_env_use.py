"""`devloop env use`: a branch under a lease, after everything that speaks against it was looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devloop.argocd import lease
from tests.unit.argocd import samples
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop
from tests.unit.kube import fake_api

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> living.Living:
    made = living.Living(tmp_path)
    made.git("branch", "feature/x")
    environments.project()
    environments.found(monkeypatch, made)
    return made


def test_a_branch_that_is_there(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "use", "feature/x", "--for", "2h", "-o", "json")
    assert ended.status == 0, ended.err
    assert there.revision() == "feature/x"
    assert "argocd/shop: targetRevision main -> feature/x" in ended.err
    told = json.loads(ended.out)
    assert told["lease"]["name"] == "devloop-branch-argocd.shop" and told["lease"]["ends"]
    assert told["applications"][0]["changes"] == [
        {"path": "/spec/source/targetRevision", "old": "main", "new": "feature/x"}
    ]
    (held,) = map(lease.read, there.leases.values())
    assert (held.record.asked, held.duration_s) == ("feature/x", 7200)


def test_a_branch_that_is_not_there_changes_nothing(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "use", "nope")
    assert ended.status == 1 and "error[DL1025]" in ended.err and "git push -u origin nope" in ended.err
    assert there.revision() == "main" and there.leases == {}
    assert devloop(capsys, "env", "use", "nope", "--unchecked", "--no-wait").status == 0
    assert there.revision() == "nope"


def test_a_fork_that_the_project_does_not_allow(there: living.Living, tmp_path: Path, capsys: Capture) -> None:
    there.allowed = [f"file://{there.repo}"]
    fork = tmp_path / "fork"
    there.git("clone", "-q", "--bare", ".", str(fork))
    ended = devloop(capsys, "env", "use", "feature/x", "--repo", f"file://{fork}")
    assert "error[DL1026]" in ended.err and there.leases == {}
    there.allowed = ["*"]
    assert devloop(capsys, "env", "use", "feature/x", "--repo", f"file://{fork}", "--no-wait").status == 0
    assert there.raw["spec"]["source"]["repoURL"] == f"file://{fork}"


def test_an_application_set_would_change_it_back(there: living.Living, capsys: Capture) -> None:
    there.owned()
    ended = devloop(capsys, "env", "use", "feature/x")
    assert "error[DL1027]" in ended.err and "ignoreApplicationDifferences" in ended.err
    assert there.revision() == "main" and there.leases == {}


def test_a_dry_run_and_what_is_so_already(there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "use", "feature/x", "--dry-run", "-o", "json")
    assert json.loads(ended.out)["lease"] is None and there.leases == {} and there.revision() == "main"
    ended = devloop(capsys, "env", "use", "main")
    assert (ended.status, "nothing to change" in ended.err) == (0, True)


@pytest.mark.parametrize(
    "arguments", [["x", "--app", "shop", "--tree"], ["x", "--for", "soon"], ["x", "--app", "shopp"], []]
)
def test_what_cannot_be_meant(arguments: list[str], there: living.Living, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "use", *arguments)
    assert ended.status != 0 and ended.err.startswith("error[")
    assert there.leases == {}


def test_somebody_elses_lease(there: living.Living, capsys: Capture) -> None:
    devloop(capsys, "env", "use", "feature/x", "--no-wait")
    for raw in there.leases.values():
        raw["metadata"]["annotations"] |= {lease.OWNER: "bob@desktop", lease.USER: "bob", lease.INSTALL: "other"}
    ended = devloop(capsys, "env", "use", "main")
    assert ended.status == 7 and "bob@desktop" in ended.err
    assert there.revision() == "feature/x"


def test_an_expired_lease_of_ones_own_is_put_back_first(there: living.Living, capsys: Capture) -> None:
    devloop(capsys, "env", "use", "feature/x", "--for", "1m", "--no-wait")
    there.age()
    ended = devloop(capsys, "env", "use", "main")
    assert "had expired: argocd/shop is put back" in ended.err
    assert there.revision() == "main" and there.leases == {}


def test_without_the_right_to_patch_nothing_is_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    made = living.Living(tmp_path)
    made.git("branch", "feature/x")
    environments.project()

    def refused(server: fake_api.FakeApi) -> None:
        made(server)
        words = 'User "ann" cannot patch resource "applications" in API group "argoproj.io" in the namespace "argocd"'
        server.on("PATCH", living.SHOP, fake_api.refusing(403, words, "Forbidden"))

    environments.found(monkeypatch, refused)
    ended = devloop(capsys, "env", "use", "feature/x")
    assert ended.status == 4 and "patch applications" in ended.err
    assert made.leases == {} and made.raw["spec"]["source"] == {
        **samples.raw()["spec"]["source"],
        **made.raw["spec"]["source"],
    }
