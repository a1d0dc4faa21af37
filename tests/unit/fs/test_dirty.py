"""From dirty paths to what must be looked at."""

import shutil
from pathlib import Path

import pytest

from devloop.core import entry, tree
from devloop.fs import scan
from tests.unit.fs.scanning import Rules, file_of, make, prove_all, scanner


class TestIncremental:
    def test_a_dirty_file_is_hashed_and_nothing_else_is_judged(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b/one", "a/b/two", "a/c/three", "d")
        rules = Rules()
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        rules.judged.clear()
        (tmp_path / "a/b/one").write_text("new")
        result = subject.scan(["a/b/one"])
        assert result.delta == tree.TreeDelta({"a/b/one": file_of("new")})
        assert (result.scanned, result.hashed_files) == (1, 1)
        assert set(rules.judged) == {"a", "a/b", "a/b/one"}

    def test_a_dirty_folder_is_scanned_with_its_subtree(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b/one", "a/x", "d")
        subject = scanner(tmp_path)
        subject.scan_all()
        shutil.rmtree(tmp_path / "a" / "b")
        make(tmp_path, "a/c/e/new", "d2")
        result = subject.scan(["a"])
        assert result.delta.gone == {"a/b", "a/b/one"}
        assert set(result.delta.put) == {"a/c", "a/c/e", "a/c/e/new"}

    def test_a_vanished_folder_takes_everything_below_with_it(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b/one", "a/two", "ab", "d")
        subject = scanner(tmp_path)
        subject.scan_all()
        shutil.rmtree(tmp_path / "a")
        assert subject.scan(["a"]).delta == tree.TreeDelta(gone=frozenset({"a", "a/b", "a/b/one", "a/two"}))
        assert subject.scan(["a/b/one", "a"]).delta == tree.TreeDelta()

    def test_a_path_in_a_folder_that_vanished_takes_the_folder_with_it(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b/one", "d")
        subject = scanner(tmp_path)
        subject.scan_all()
        shutil.rmtree(tmp_path / "a")
        assert subject.scan(["a/b/one"]).delta.gone == {"a", "a/b", "a/b/one"}

    def test_a_path_in_an_unknown_folder_brings_the_folder(self, tmp_path: Path) -> None:
        make(tmp_path, "d")
        subject = scanner(tmp_path)
        subject.scan_all()
        make(tmp_path, "x/y/z", "x/other")
        assert set(subject.scan(["x/y/z"]).delta.put) == {"x", "x/y", "x/y/z", "x/other"}

    def test_nothing_is_seen_through_a_folder_that_became_a_link(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        make(root, "a/one", "b/one", "b/two")
        subject = scanner(root)
        subject.scan_all()
        shutil.rmtree(root / "a")
        (root / "a").symlink_to("b")
        result = subject.scan(["a/one", "a/two"])
        assert result.delta == tree.TreeDelta({"a": entry.link(b"b")}, frozenset({"a/one"}))

    @pytest.mark.parametrize("dirty", [["a"], ["a", "a/f"], ["a/f"]])
    def test_swaps_of_kind(self, tmp_path: Path, dirty: list[str]) -> None:
        make(tmp_path, "a/f", "z")
        subject = scanner(tmp_path)
        subject.scan_all()
        shutil.rmtree(tmp_path / "a")
        make(tmp_path, "a")
        result = subject.scan(dirty)
        assert result.delta == tree.TreeDelta({"a": file_of("a")}, frozenset({"a/f"}))
        (tmp_path / "a").unlink()
        make(tmp_path, "a/f")
        result = subject.scan(dirty)
        assert result.delta == tree.TreeDelta({"a": entry.folder(), "a/f": file_of("a/f")})

    def test_the_first_scan_is_of_everything(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f", "z")
        subject = scanner(tmp_path)
        assert set(subject.scan(["z"]).delta.put) == {"a", "a/f", "z"}

    def test_the_empty_path_is_everything(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f")
        subject = scanner(tmp_path)
        subject.scan_all()
        make(tmp_path, "z")
        assert set(subject.scan([""]).delta.put) == {"z"}

    @pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\0b", "./a", "a//b"])
    def test_paths_that_no_entry_can_have_are_left_out(self, tmp_path: Path, path: str) -> None:
        make(tmp_path, "a/f")
        subject = scanner(tmp_path)
        subject.scan_all()
        assert subject.scan([path]) == scan.ScanResult()

    def test_an_unchanged_tree_is_not_read_again(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f", "z")
        subject = scanner(tmp_path)
        subject.scan_all()
        prove_all(subject)
        result = subject.scan_all()
        assert result.hashed_files == 0
        assert not result.delta
