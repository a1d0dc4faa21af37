"""Which repositories an AppProject lets its Applications have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.argocd import projects


def project(*patterns: str) -> dict[str, dict[str, list[str]]]:
    return {"spec": {"sourceRepos": list(patterns)}}


@pytest.mark.parametrize(
    ("patterns", "repo", "allowed"),
    [
        (["*"], "https://git.example/ann/shop.git", True),
        ([], "https://git.example/ann/shop.git", False),
        (["https://git.example/team/shop"], "https://git.example/Team/shop.git", True),
        (["https://git.example/team/*"], "https://git.example/team/shop", True),
        (["https://git.example/team/*"], "https://git.example/ann/shop", False),
        # a star stays within its path element
        (["https://git.example/*"], "https://git.example/ann/shop", False),
        (["https://git.example/**"], "https://git.example/ann/shop", True),
        (["git@git.example:team/shop.git"], "ssh://git@git.example/team/shop", True),
        (["git@git.example:team/*"], "git@git.example:ann/shop", False),
        (["*", "!https://git.example/secret/*"], "https://git.example/secret/shop", False),
        (["!https://git.example/secret/*", "*"], "https://git.example/open/shop", True),
        (["!https://git.example/secret/*"], "https://git.example/open/shop", False),
        (["https://git.example/{ann,bob}/shop"], "https://git.example/bob/shop", True),
        (["https://git.example/team-[ab]/shop"], "https://git.example/team-c/shop", False),
        (["https://git.example/te?m/shop"], "https://git.example/team/shop", True),
    ],
)
def test_as_argo_cd_decides(patterns: list[str], repo: str, allowed: bool) -> None:
    assert projects.allows(project(*patterns), repo) is allowed


def test_a_project_that_says_nothing_allows_nothing() -> None:
    assert not projects.allows({}, "https://git.example/shop")
    assert not projects.allows({"spec": {"sourceRepos": None}}, "https://git.example/shop")


@given(st.text(), st.text())
def test_no_pattern_breaks_it(pattern: str, repo: str) -> None:
    assert projects.allows(project(pattern), repo) in {True, False}
