"""What the file system is like, and where an entry is."""

import sys
from pathlib import Path

import pytest

from devloop.fs import scanstate


@pytest.mark.skipif(sys.platform == "darwin", reason="names are always loose there")
@pytest.mark.parametrize("name", ["Root", "123", "none"])
def test_a_file_system_that_tells_case_apart_has_no_loose_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "Root").mkdir()
    (tmp_path / "123").mkdir()
    assert not scanstate.has_loose_names(str(tmp_path / name))


def test_an_entry_is_found_through_the_nearest_followed_link() -> None:
    follows = {"a": "/lib/a", "a/b/c": "/other"}
    found = [scanstate.locate("/root", follows, path) for path in ("", "x/y", "a", "a/b", "a/b/c", "a/b/c/d", "ab")]
    assert found == ["/root", "/root/x/y", "/lib/a", "/lib/a/b", "/other", "/other/d", "/root/ab"]
