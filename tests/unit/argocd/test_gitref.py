"""A repository has many names, and is one repository by all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.argocd import gitref


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/org/shop.git",
        "https://github.com/Org/Shop",
        "https://ann:secret@github.com:443/org/shop/",
        "git@github.com:org/shop.git",
        "github.com:org/shop",
        "ssh://git@github.com/org/shop.git",
        "ssh://git@github.com:22/org/shop",
        "git://GitHub.com/org/shop",
    ],
)
def test_one_repository(url: str) -> None:
    assert gitref.same(url, "https://github.com/org/shop")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://github.com/org/shop", "https://github.com/ann/shop"),
        ("https://github.com/org/shop", "https://gitlab.com/org/shop"),
        ("https://git.example:8443/org/shop", "https://git.example/org/shop"),
        ("file:///srv/Shop.git", "file:///srv/shop.git"),
        ("https://github.com/org/shop", "https://github.com/org/shop/deep"),
    ],
)
def test_two_repositories(one: str, other: str) -> None:
    assert not gitref.same(one, other)


def test_a_folder_is_a_repository_too() -> None:
    assert gitref.same("file:///srv/shop.git", "/srv/shop")


@given(st.text())
def test_anything_is_taken(text: str) -> None:
    try:
        assert gitref.same(text, text)
    except ValueError:
        # brackets in a host that are no IPv6 address: urllib's own word for it
        assert "://" in text


def test_commits_are_shown_short_and_branches_whole() -> None:
    assert gitref.short("a" * 40) == "a" * 8
    assert gitref.short("feature/a-very-long-name") == "feature/a-very-long-name"
    assert not gitref.is_commit("main") and not gitref.is_commit("A" * 40)
