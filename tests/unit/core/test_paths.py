"""Paths that are safe, and all that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import paths

segments = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)
good = st.lists(segments, min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize("path", ["a", "a/b", ".a", "..a", "a..", "...", ".gitignore", "a b", "caf\udce9", "x" * 255])
def test_safe_paths_pass_as_they_are(path: str) -> None:
    assert paths.check(path) == path
    assert paths.from_wire(paths.to_wire(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../../x", "a\0b", ".git", ".git/x",
        "a/.git", ".devloop/x", "x" * 256, "é" * 128, "a/" * 2048 + "a",
    ],
)  # fmt: skip
def test_others_are_refused(path: str) -> None:
    with pytest.raises(paths.UnsafePathError) as caught:
        paths.check(path)
    assert caught.value.reason
    with pytest.raises(paths.UnsafePathError):
        paths.from_wire(paths.to_wire(path))


@given(st.binary(max_size=300))
def test_bytes_either_keep_their_form_or_are_refused(raw: bytes) -> None:
    try:
        path = paths.from_wire(raw)
    except paths.UnsafePathError:
        return
    assert paths.to_wire(path) == raw
    assert not path.startswith("/") and ".." not in path.split("/")


@given(good)
def test_a_path_is_its_folder_and_its_name(path: str) -> None:
    assert paths.join(paths.parent(path), paths.name(path)) == path
    assert paths.depth(path) == len(path.split("/"))
    above = list(paths.ancestors(path))
    assert len(above) == paths.depth(path) - 1
    assert all(paths.is_under(path, folder) for folder in ["", path, *above])


def test_siblings_with_a_common_beginning_are_not_under_each_other() -> None:
    assert not paths.is_under("ab", "a")
    assert not paths.is_under("a", "a/b")
    assert paths.join("a", "") == "a"
    assert paths.depth("") == 0


def test_the_outermost_folders() -> None:
    assert paths.outermost({"a", "a/b", "b/c", "b/c/d", "bc"}) == ["a", "b/c", "bc"]
    assert paths.outermost({"a", ""}) == [""]
    assert paths.outermost(set()) == []
