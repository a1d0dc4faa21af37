"""`devloop env pr`: pushed, proposed, and after the merge the environment given back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devloop.argocd import forges
from tests.unit.argocd import clones
from tests.unit.cli import environments, living
from tests.unit.cli.run import devloop

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> clones.Clones:
    (tmp_path / "git").mkdir()
    made = clones.Clones(tmp_path / "git")
    environments.project(f"argocd: {{templates: {made.mine}}}\n")
    # none of this machine's own programs
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return made


def on_github(there: clones.Clones) -> None:
    """Let the remotes have addresses on GitHub, which lead here."""
    for name, path in (("team", there.up), ("ann", there.fork)):
        clones.git(there.mine, "config", f"url.{path}.insteadOf", f"https://github.com/{name}/tpl.git")
    clones.git(there.mine, "remote", "set-url", "upstream", "https://github.com/team/tpl.git")
    clones.git(there.mine, "remote", "set-url", "origin", "https://github.com/ann/tpl.git")


def test_pushed_and_proposed_on_a_page(there: clones.Clones, capsys: Capture) -> None:
    on_github(there)
    made = there.commit(there.mine, "a.yaml", "a\n", "Add a")
    ended = devloop(capsys, "env", "pr", "-o", "json")
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    assert (told["standing"], told["opened"], told["commit"]) == ("ahead", False, made)
    assert told["url"] == "https://github.com/team/tpl/compare/main...ann:feature/x?expand=1&title=Add%20a"
    assert there.head() == made


def test_opened_by_gh(there: clones.Clones, tmp_path: Path, capsys: Capture) -> None:
    on_github(there)
    there.commit(there.mine, "a.yaml", "a\n", "Add a")
    gh = tmp_path / "bin" / "gh"
    gh.write_text(
        f'#!/bin/sh\n[ "$1" = auth ] && exit 0\nprintf "%s\\n" "$@" > {tmp_path}/told\necho https://github.com/team/tpl/pull/7\n'
    )
    gh.chmod(0o755)
    ended = devloop(capsys, "env", "pr", "--title", "Mine", "--draft")
    assert (ended.status, ended.out) == (0, "https://github.com/team/tpl/pull/7\n")
    told = (tmp_path / "told").read_text().splitlines()
    assert {"--repo=github.com/team/tpl", "--head=ann:feature/x", "--title=Mine", "--draft"} <= set(told)
    ended = devloop(capsys, "env", "pr", "--print")
    assert ended.out.startswith("https://github.com/team/tpl/compare/")


def test_what_is_refused_is_not_pushed(there: clones.Clones, capsys: Capture) -> None:
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 1 and "error[DL1062]" in ended.err and "has nothing that upstream/main has not" in ended.err
    there.commit(there.mine, "a.yaml", "a\n")
    (there.mine / "b.yaml").write_text("b\n")
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 1 and "error[DL1061]" in ended.err and "b.yaml" in ended.err
    clones.git(there.mine, "switch", "-q", "main")
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 1 and "error[DL1062]" in ended.err
    with pytest.raises(Exception, match="rev-parse"):
        there.head()


def test_a_branch_that_is_named_as_the_base(there: clones.Clones, capsys: Capture) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    assert "error[DL1062]" in devloop(capsys, "env", "pr", "--base", "feature/x").err
    assert "error[DL1024]" in devloop(capsys, "env", "pr", "--base", "gone").err


def test_without_a_checkout(capsys: Capture) -> None:
    environments.project()
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 1 and "error[DL1060]" in ended.err


def follow(there: clones.Clones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> living.Living:
    """Let the environment follow the branch under a lease, and upstream take it."""
    made = living.Living(tmp_path)
    made.git("branch", "feature/x")
    environments.found(monkeypatch, made)
    ended = devloop(capsys, "env", "use", "feature/x", "--unchecked", "--no-wait", "--app", "shop")
    assert ended.status == 0 and made.revision() == "feature/x", ended.err
    there.commit(there.mine, "a.yaml", "a\n")
    clones.git(there.mine, "push", "-q", "origin", "feature/x")
    there.take("merge", "-q", "--squash")
    return made


def test_after_the_merge_the_environment_is_offered_back(
    there: clones.Clones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    made = follow(there, tmp_path, monkeypatch, capsys)
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 0 and "`devloop env restore` puts it back" in ended.err and made.leases
    ended = devloop(capsys, "env", "pr", "--yes", "-o", "json")
    assert ended.status == 0, ended.err
    assert "all of feature/x is in upstream/main as other commits" in ended.err
    assert json.loads(ended.out)["restored"] == ["devloop-branch-argocd.shop"]
    assert made.revision() == "main" and made.leases == {}
    assert json.loads(devloop(capsys, "env", "pr", "--yes", "-o", "json").out)["restored"] == []


def test_after_the_merge_without_a_cluster(
    there: clones.Clones, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    follow(there, tmp_path, monkeypatch, capsys)
    environments.found(monkeypatch)
    ended = devloop(capsys, "env", "pr")
    assert ended.status == 0 and "is not known" in ended.err


def test_the_page_that_an_unknown_forge_names(
    there: clones.Clones, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    there.commit(there.mine, "a.yaml", "a\n")
    hook = there.fork / "hooks" / "post-receive"
    hook.write_text("#!/bin/sh\necho 'Open it: https://git.example.com/team/tpl/pulls/new' >&2\n")
    hook.chmod(0o755)
    for name, path in (("team", there.up), ("ann", there.fork)):
        clones.git(there.mine, "config", f"url.{path}.insteadOf", f"https://git.example.com/{name}/tpl.git")
    clones.git(there.mine, "remote", "set-url", "upstream", "https://git.example.com/team/tpl.git")
    clones.git(there.mine, "remote", "set-url", "origin", "https://git.example.com/ann/tpl.git")
    found = forges.repository("https://git.example.com/team/tpl.git")
    assert found is not None and found.forge is forges.Forge.UNKNOWN
    assert devloop(capsys, "env", "pr").out == "https://git.example.com/team/tpl/pulls/new\n"
