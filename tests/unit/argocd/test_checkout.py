"""The clone of the templates: whose it is, and what it knows of what Argo CD compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from devloop.argocd import checkout
from tests.unit.argocd import trees


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example/team/templates.git",
        "https://git.example/team/templates/",
        "https://me:secret@GIT.example:8443/team/templates",
        "ssh://git@git.example:22/team/templates.git",
        "git@git.example:team/templates.git",
        "git.example:team/templates",
    ],
)
def test_ways_to_write_one_repository(address: str) -> None:
    assert checkout.same(address) == "git.example/team/templates"


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("file:///srv/templates.git", "/srv/templates"),
        ("/srv/templates.git", "/srv/templates"),
        ("https://git.example/team/Templates", "git.example/team/Templates"),
        ("", ""),
    ],
)
def test_other_addresses(address: str, same: str) -> None:
    assert checkout.same(address) == same


@pytest.fixture
def repos(tmp_path: Path) -> tuple[Path, Path]:
    """Return a repository of two commits, and a clone of it."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    trees.git(origin, "init", "-q")
    for number in range(2):
        trees.git(origin, "commit", "-q", "--allow-empty", "-m", str(number))
    trees.git(tmp_path, "clone", "-q", str(origin), str(clone))
    trees.git(clone, "fetch", "-q")
    return origin, clone


def found(folder: Path) -> checkout.Clone:
    clone = checkout.find(str(folder))
    assert isinstance(clone, checkout.Clone)
    return clone


def test_a_clone_with_its_remotes(repos: tuple[Path, Path]) -> None:
    origin, folder = repos
    (folder / "envs").mkdir()
    clone = found(folder / "envs")
    assert (clone.top, clone.remotes, clone.branch) == (str(folder), {"origin": str(origin)}, "main")
    assert checkout.remote_of(clone, f"file://{origin}") == "origin"
    assert checkout.remote_of(clone, "https://git.example/x") == ""


def test_what_is_no_clone_says_why(tmp_path: Path) -> None:
    assert "there is no folder" in str(checkout.find(str(tmp_path / "missing")))
    assert "is no clone" in str(checkout.find(str(tmp_path)))


def test_how_a_commit_stands_to_a_branch(repos: tuple[Path, Path]) -> None:
    origin, folder = repos
    clone = found(folder)
    tip, before = trees.git(origin, "rev-parse", "HEAD"), trees.git(origin, "rev-parse", "HEAD~1")
    same = checkout.standing(clone, "origin", "main", tip)
    assert same is not None
    assert (same.branch, same.tip, same.behind, same.ahead, same.known) == ("origin/main", tip, 0, 0, True)
    assert same.fetched_s > 0
    old = checkout.standing(clone, "origin", "refs/heads/main", before)
    assert old is not None
    assert (old.behind, old.ahead) == (1, 0)
    for branch in ("HEAD", ""):
        default = checkout.standing(clone, "origin", branch, tip)
        assert default is not None
        assert default.tip == tip
    unknown = checkout.standing(clone, "origin", "main", "f" * 40)
    assert unknown is not None
    assert not unknown.known


def test_what_the_clone_does_not_have_yet_is_ahead(repos: tuple[Path, Path]) -> None:
    _, folder = repos
    trees.git(folder, "commit", "-q", "--allow-empty", "-m", "mine")
    mine = checkout.standing(found(folder), "origin", "main", trees.git(folder, "rev-parse", "HEAD"))
    assert mine is not None
    assert (mine.behind, mine.ahead) == (0, 1)


@pytest.mark.parametrize(
    ("remote", "branch", "compared"),
    [("origin", "nothing", "f" * 40), ("", "main", "f" * 40), ("origin", "main", ""), ("origin", "--help", "f" * 40)],
)
def test_what_cannot_be_told(repos: tuple[Path, Path], remote: str, branch: str, compared: str) -> None:
    assert checkout.standing(found(repos[1]), remote, branch, compared) is None


def test_a_detached_head_has_no_branch(repos: tuple[Path, Path]) -> None:
    trees.git(repos[1], "checkout", "-q", "--detach")
    assert found(repos[1]).branch == ""
