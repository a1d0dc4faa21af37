"""`devloop env pull-upstream`: upstream's commits in the branch, pushed, and Argo CD told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.argocd import clones
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> clones.Clones:
    (tmp_path / "git").mkdir()
    made = clones.Clones(tmp_path / "git")
    environments.project(f"argocd: {{templates: {made.mine}, application: shop}}\n")
    cluster = living.Living(tmp_path)
    cluster.raw["spec"]["source"] |= {"repoURL": str(made.fork), "targetRevision": "feature/x"}
    environments.found(monkeypatch, cluster)
    made.commit(made.mine, "a.yaml", "a\n")
    return made


def push(there: clones.Clones) -> None:
    clones.git(there.mine, "push", "-q", "origin", "feature/x")


def test_a_pushed_branch_is_merged_pushed_and_looked_at(there: clones.Clones, capsys: Capture) -> None:
    push(there)
    tip = there.upstream("web.yaml", "two\n")
    ended = devloop(capsys, "env", "pull-upstream", "--yes", "-o", "json")
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    assert (told["way"], told["taken"], told["pushed"]) == ("merge", 1, True)
    assert told["refreshed"] == [{"namespace": "argocd", "name": "shop"}]
    assert there.head() == told["after"] and tip in clones.git(there.fork, "rev-list", "feature/x")
    again = json.loads(devloop(capsys, "env", "pull-upstream", "-o", "json").out)
    assert (again["taken"], again["pushed"]) == (0, True)


def test_one_that_is_not_pushed_is_rebased_and_stays_here(there: clones.Clones, capsys: Capture) -> None:
    there.upstream("web.yaml", "two\n")
    told = json.loads(devloop(capsys, "env", "pull-upstream", "--yes", "-o", "json").out)
    assert (told["way"], told["pushed"], told["refreshed"]) == ("rebase", False, [])


def test_nobody_is_pushed_for_without_asking(there: clones.Clones, capsys: Capture) -> None:
    push(there)
    before = there.head()
    there.upstream("web.yaml", "two\n")
    ended = devloop(capsys, "env", "pull-upstream")
    assert ended.status == 0 and "not pushed" in ended.err and there.head() == before
    assert devloop(capsys, "env", "pull-upstream", "--no-push", "--yes").status == 0
    assert there.head() == before


def test_a_rebased_branch_is_overwritten_only_on_request(there: clones.Clones, capsys: Capture) -> None:
    push(there)
    before = there.head()
    there.upstream("web.yaml", "two\n")
    ended = devloop(capsys, "env", "pull-upstream", "--rebase", "--yes")
    assert ended.status == 0 and "git push --force-with-lease" in ended.err and there.head() == before
    assert devloop(capsys, "env", "pull-upstream", "--rebase", "--force-with-lease").status == 2
    assert there.head() == before
    # it is rebased already: what is there is the branch as it was before, which this checkout had
    ended = devloop(capsys, "env", "pull-upstream", "--rebase", "--force-with-lease", "--yes")
    assert ended.status == 0, ended.err
    assert there.head() == clones.git(there.mine, "rev-parse", "HEAD")


def test_a_colleagues_commit_on_the_branch_is_never_overwritten(there: clones.Clones, capsys: Capture) -> None:
    push(there)
    clones.git(there.other, "fetch", "-q", str(there.fork), "feature/x:feature/x")
    clones.git(there.other, "switch", "-q", "feature/x")
    theirs = there.commit(there.other, "b.yaml", "b\n")
    clones.git(there.other, "push", "-q", str(there.fork), "feature/x")
    clones.git(there.other, "switch", "-q", "main")
    there.upstream("web.yaml", "two\n")
    ended = devloop(capsys, "env", "pull-upstream", "--rebase", "--force-with-lease", "--yes")
    assert ended.status == 1 and "error[DL1063]" in ended.err and there.head() == theirs


def test_what_is_not_committed_stops_it(there: clones.Clones, capsys: Capture) -> None:
    there.upstream("web.yaml", "two\n")
    (there.mine / "a.yaml").write_text("draft\n")
    assert "error[DL1061]" in devloop(capsys, "env", "pull-upstream").err
    assert devloop(capsys, "env", "pull-upstream", "--autostash").status == 0
    assert (there.mine / "a.yaml").read_text() == "draft\n"


def test_conflicts_end_it_and_the_next_time_it_says_so(there: clones.Clones, capsys: Capture) -> None:
    there.commit(there.mine, "web.yaml", "mine\n")
    there.upstream("web.yaml", "theirs\n")
    ended = devloop(capsys, "env", "pull-upstream", "--merge")
    assert ended.status == 1 and "error[DL1065]" in ended.err and "web.yaml" in ended.err
    assert "error[DL1064]" in devloop(capsys, "env", "pull-upstream").err


def test_a_cluster_that_cannot_be_told(
    there: clones.Clones, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    environments.found(monkeypatch)
    push(there)
    there.upstream("web.yaml", "two\n")
    ended = devloop(capsys, "env", "pull-upstream", "--yes", "-o", "json")
    assert ended.status == 3 and json.loads(ended.out)["pushed"] is True and "Argo CD was not told" in ended.err
