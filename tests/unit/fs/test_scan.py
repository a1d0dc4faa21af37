"""The scanner keeps its tree true to the disk, whatever happens on it."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.core import tree
from devloop.fs import body, hashing, rootguard, scan, walk
from tests.unit.fs import scanning
from tests.unit.fs.scanning import Rules, make, scanner


class TestIgnored:
    def test_ignored_paths_are_not_entries_and_their_folders_not_entered(self, tmp_path: Path) -> None:
        make(tmp_path, "out/x/y", "src/out/z", "src/a")
        rules = Rules()
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        assert set(subject.tree) == {"src", "src/a"}
        assert "out/x" not in rules.judged
        make(tmp_path, "out/x/w")
        assert not subject.scan(["out/x/w", "out/x", "out"]).delta

    def test_an_ignored_folder_is_an_entry_while_it_holds_one(self, tmp_path: Path) -> None:
        make(tmp_path, "out/x/keep", "out/x/drop", "out/y/no", "a")
        rules = Rules(tracked=["out/x/keep"])
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        assert set(subject.tree) == {"a", "out", "out/x", "out/x/keep"}
        (tmp_path / "out/x/keep").unlink()
        assert subject.scan(["out/x/keep"]).delta.gone == {"out", "out/x", "out/x/keep"}
        make(tmp_path, "out/x/keep")
        assert set(subject.scan(["out/x/keep"]).delta.put) == {"out", "out/x", "out/x/keep"}

    def test_what_takes_the_place_of_an_ignored_folder_that_held_an_entry_is_one(self, tmp_path: Path) -> None:
        class FoldersOnly(Rules):
            def ignored(self, path: str, is_folder: bool) -> scanning.Verdict:
                return super().ignored(path, is_folder) if is_folder or "/" in path else scanning.Verdict(False)

        make(tmp_path, "out/keep", "moved/a")
        subject = scanner(tmp_path, FoldersOnly(tracked=["out/keep"]))
        subject.scan_all()
        assert "out/keep" in subject.tree
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").symlink_to("moved")
        subject.scan_all()
        assert set(subject.tree) == {"moved", "moved/a", "out"}

    def test_rules_that_change_take_effect_where_the_folder_is_scanned(self, tmp_path: Path) -> None:
        make(tmp_path, "a/gen/x", "a/y", "b")
        rules = Rules()
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        rules.names.add("gen")
        assert subject.scan(["a"]).delta.gone == {"a/gen", "a/gen/x"}
        rules.names.clear()
        assert set(subject.scan(["a"]).delta.put) == {"a/gen", "a/gen/x"}

    def test_a_path_below_a_folder_that_became_ignored_takes_the_folder(self, tmp_path: Path) -> None:
        make(tmp_path, "gen/x", "gen/y", "b")
        rules = Rules()
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        rules.names.add("gen")
        assert subject.scan(["gen/x"]).delta.gone == {"gen", "gen/x", "gen/y"}

    def test_a_folder_that_becomes_ignored_but_holds_a_tracked_file_loses_the_rest(self, tmp_path: Path) -> None:
        make(tmp_path, "gen/x", "gen/y", "b")
        rules = Rules(tracked=["gen/y"])
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        rules.names.add("gen")
        assert subject.scan(["gen/x"]).delta == tree.TreeDelta(gone=frozenset({"gen/x"}))
        assert set(subject.tree) == {"gen", "gen/y", "b"}


class TestBody:
    def test_it_is_read_in_chunks_from_an_offset(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"0123456789")
        subject = scanner(tmp_path)
        subject.scan_all()
        with subject.open_body("f", subject.tree["f"], offset=3) as reading:
            assert reading.left_bytes == 7
            assert [reading.read(4), reading.read(4), reading.read(4)] == [b"3456", b"789", b""]

    def test_a_change_since_the_scan_is_told(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "f").write_text("F")
        with subject.open_body("f", subject.tree["f"]) as reading:
            with pytest.raises(body.BodyChanged, match="content"):
                reading.read(100)


NAMES = ["a", "b", "c", "out"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
STEPS = st.lists(
    st.tuples(st.sampled_from(["file", "folder", "link", "escape", "fifo", "remove", "move", "chmod"]), PATHS, PATHS),
    min_size=1,
    max_size=25,
)


def act(root: Path, action: str, path: str, other: str) -> set[str]:
    """Do something to the disk, where it is possible; return the paths that a watcher would name."""
    at = root / path
    if os.path.realpath(at.parent) != str(at.parent) or (at.is_symlink() and action in {"file", "chmod"}):
        return {path}  # nothing is written through links
    try:
        if action == "remove":
            shutil.rmtree(at) if at.is_dir() and not at.is_symlink() else at.unlink()
        elif action == "move":
            if os.path.realpath((root / other).parent) == str((root / other).parent):
                at.rename(root / other)
            return {path, other}
        elif action == "chmod":
            at.chmod(stat.S_IMODE(at.lstat().st_mode) ^ stat.S_IXUSR) if at.is_file() else None
        else:
            at.parent.mkdir(parents=True, exist_ok=True)
            if action == "file":
                if not at.is_fifo():
                    at.write_text(other)
            elif action == "folder":
                at.mkdir()
            elif action == "fifo":
                os.mkfifo(at)
            elif action == "link":
                at.symlink_to(os.path.relpath(root / other, at.parent))
            else:
                at.symlink_to("/nowhere/at/all")
    except OSError:
        pass
    return {path}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(STEPS, min_size=1, max_size=4),
    st.sets(PATHS, max_size=3),
    st.sampled_from(["keep", "skip", "follow"]),
    st.randoms(use_true_random=False),
)
def test_scanning_what_is_dirty_finds_what_scanning_everything_finds(
    rounds: list[Any], tracked: set[str], symlinks: str, random: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "MAX_NESTED_FOLLOWS", 2)
        root = Path(os.path.realpath(folder))
        make(root, "anchor")
        rules = Rules(tracked)
        subject = scanner(root, rules, symlinks=symlinks)
        subject.scan_all()
        mirror = tree.Tree(subject.tree)
        for steps in rounds:
            dirty = sorted(set().union(*(act(root, *step) for step in steps)))
            random.shuffle(dirty)
            result = subject.scan(dirty)
            mirror.apply(result.delta)
            fresh = scanner(root, Rules(tracked), symlinks=symlinks)
            fresh.scan_all()
            assert dict(mirror) == dict(subject.tree) == dict(fresh.tree)
            assert mirror.digest == subject.tree.digest
            assert subject.problems == fresh.problems
            assert not result.again
            assert not set(result.delta.put) & result.delta.gone
            settled = subject.scan_all()
            assert not settled.delta
            assert not settled.problems
            assert not settled.cleared


def test_an_edit_costs_the_same_in_a_large_tree(tmp_path: Path) -> None:
    def calls_of_an_edit(root: Path, files: int) -> int:
        make(root, *(f"d{number % 10}/f{number}" for number in range(files)))
        subject = scanner(root)
        subject.scan_all()
        (root / "d1" / "f1").write_text("edited")
        count = 0

        def counting(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(counting)
        subject.scan(["d1/f1"])
        sys.setprofile(None)
        return count

    small, large = calls_of_an_edit(tmp_path / "small", 100), calls_of_an_edit(tmp_path / "large", 2000)
    assert large < small * 1.05


def test_the_shared_rules_refuse_what_was_not_entered() -> None:
    with pytest.raises(AssertionError):
        scanning.Rules().ignored("a/b", False)


class TestStillThere:
    def test_a_path_that_became_ignored_is_still_there_and_a_deleted_one_is_not(self, tmp_path: Path) -> None:
        make(tmp_path, "a/x", "a/y")
        rules = Rules()
        subject = scanner(tmp_path, rules)
        subject.scan_all()
        rules.names.add("x")
        (tmp_path / "a/y").unlink()
        gone = subject.scan_all().delta.gone
        assert gone == {"a/x", "a/y"}
        assert subject.still_there(gone) == {"a/x"}

    def test_a_path_behind_a_link_that_took_a_folders_place_is_not(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b/x")
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "a").rename(tmp_path / "moved")
        (tmp_path / "a").symlink_to("moved")
        gone = subject.scan_all().delta.gone
        assert gone == {"a/b", "a/b/x"}
        assert not subject.still_there(gone)

    def test_a_path_behind_a_followed_link_is(self, tmp_path: Path) -> None:
        make(tmp_path, "real/x")
        (tmp_path / "a").symlink_to("real")
        subject = scanner(tmp_path, symlinks="follow")
        subject.scan_all()
        assert subject.still_there(["a/x", "a/y"]) == {"a/x"}


class TestParts:
    def test_the_parts_together_are_the_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scan, "PART_FILES", 2)
        make(tmp_path, *(f"d/{number}" for number in range(5)), "out/keep", "out/drop")
        (tmp_path / "large").write_bytes(bytes(hashing.THREADED_BYTES))
        os.mkfifo(tmp_path / "fifo")
        whole = scanner(tmp_path, Rules(tracked=["out/keep"]))
        expected = whole.scan_all()
        subject = scanner(tmp_path, Rules(tracked=["out/keep"]))
        parts = list(subject.scan_parts())
        assert len(parts) == 4
        assert "large" in parts[-1].delta.put
        put = {path: found for part in parts for path, found in part.delta.put.items()}
        assert put == expected.delta.put
        assert not any(part.delta.gone for part in parts)
        assert sum(part.hashed_files for part in parts) == expected.hashed_files
        assert sum(part.scanned for part in parts) == expected.scanned
        assert subject.tree.digest == whole.tree.digest
        assert not subject.scan_all().delta

    def test_a_tree_without_files_is_one_part(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (part,) = scanner(tmp_path).scan_parts()
        assert set(part.delta.put) == {"d"}

    def test_a_root_that_goes_between_two_parts_ends_the_scan_and_takes_nothing_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scan, "PART_FILES", 1)
        root = tmp_path / "root"
        root.mkdir()
        make(root, "a", "b")
        subject = scanner(root)
        parts = subject.scan_parts()
        (first,) = next(parts).delta.put
        root.rename(tmp_path / "elsewhere")
        with pytest.raises(rootguard.RootLost):
            next(parts)
        assert set(subject.tree) == {first}
        (tmp_path / "elsewhere").rename(root)
        assert set(subject.scan_all().delta.put) == {"a", "b"} - {first}

    def test_trouble_of_earlier_parts_is_told_with_the_last(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scan, "PART_FILES", 1)
        make(tmp_path, "a", "b")
        os.mkfifo(tmp_path / "fifo")
        first, second = scanner(tmp_path).scan_parts()
        assert "fifo" in first.problems and "fifo" not in second.problems
        last = scan.after(first, second)
        assert last.problems == first.problems
        assert last.delta == second.delta
