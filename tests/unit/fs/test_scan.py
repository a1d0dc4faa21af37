"""The scanner keeps its tree true to the disk, whatever happens on it."""

import hashlib
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.core import entry, problem, tree
from devloop.fs import body, hashing, rootguard, scan, statcache, walk
from tests.unit.fs import scanning
from tests.unit.fs.scanning import Rules, make, scanner


def file_of(content: str | bytes, *, executable: bool = False) -> entry.Entry:
    raw = content.encode() if isinstance(content, str) else content
    return entry.file(hashlib.sha256(raw).digest(), len(raw), executable=executable)


class TestWhatIsAnEntry:
    def test_files_folders_links_and_executables(self, tmp_path: Path) -> None:
        make(tmp_path, "a/b.txt", "run.sh")
        (tmp_path / "run.sh").chmod(0o744)
        (tmp_path / "empty").mkdir()
        (tmp_path / "a" / "up").symlink_to("../run.sh")
        subject = scanner(tmp_path)
        result = subject.scan_all()
        assert dict(subject.tree) == {
            "a": entry.folder(),
            "a/b.txt": file_of("a/b.txt"),
            "a/up": entry.link(b"../run.sh"),
            "empty": entry.folder(),
            "run.sh": file_of("run.sh", executable=True),
        }
        assert result.delta == tree.TreeDelta(dict(subject.tree))
        assert (result.hashed_files, result.hashed_bytes, result.scanned) == (2, 13, 5)
        assert not result.problems

    def test_only_the_owners_execute_bit_counts(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        (tmp_path / "f").chmod(0o655)
        subject = scanner(tmp_path)
        subject.scan_all()
        assert not subject.tree["f"].executable
        (tmp_path / "f").chmod(0o755)
        assert subject.scan(["f"]).delta.put == {"f": file_of("f", executable=True)}

    def test_gits_and_devloops_own_folders_are_never_entries(self, tmp_path: Path) -> None:
        make(tmp_path, ".git/config", ".devloop/conflicts/x", "sub/.git/HEAD", "sub/.devloop", ".gitignore")
        subject = scanner(tmp_path)
        subject.scan_all()
        assert sorted(subject.tree) == [".gitignore", "sub"]
        assert not subject.scan([".git/config", ".git", "sub/.devloop"]).delta

    def test_names_that_are_not_utf8_and_names_that_only_look_equal(self, tmp_path: Path) -> None:
        raw = os.fsencode(tmp_path)
        composed, split = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
        for name in (b"caf\xe9", composed.encode(), split.encode(), b"README", b"readme", b"with\nnewline"):
            Path(os.fsdecode(raw + b"/" + name)).write_bytes(name)
        subject = scanner(tmp_path)
        subject.scan_all()
        assert set(subject.tree) == {"caf\udce9", composed, split, "README", "readme", "with\nnewline"}
        assert subject.tree["caf\udce9"] == file_of(b"caf\xe9")

    @pytest.mark.parametrize(
        ("old", "new"),
        [("readme", "README"), (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"))],
    )
    def test_a_rename_of_case_or_form_only_is_gone_and_put(self, tmp_path: Path, old: str, new: str) -> None:
        make(tmp_path, old)
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / old).rename(tmp_path / new)
        assert subject.scan([old, new]).delta == tree.TreeDelta({new: file_of(old)}, frozenset({old}))

    def test_where_a_name_has_many_spellings_the_listings_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "d/readme", "z")
        monkeypatch.setattr(walk, "has_loose_names", lambda _: True)
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "d/readme").rename(tmp_path / "d/README")
        real = os.lstat
        monkeypatch.setattr(os, "lstat", lambda path: real(os.fspath(path).replace("readme", "README")))
        expected = tree.TreeDelta({"d/README": file_of("d/readme")}, frozenset({"d/readme"}))
        assert subject.scan(["d/readme", "d/README"]).delta == expected

    def test_specials_are_problems_and_never_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        make(tmp_path, "file")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(tmp_path / "sock"))
            subject = scanner(tmp_path)
            result = subject.scan_all()
        assert set(subject.tree) == {"file"}
        assert {path: trouble.reason for path, trouble in result.problems.items()} == {
            "pipe": problem.Reason.SPECIAL,
            "sock": problem.Reason.SPECIAL,
        }
        assert "FIFO" in result.problems["pipe"].detail

    def test_a_fifo_that_takes_a_files_place_is_gone_and_a_problem_until_it_is_a_file(self, tmp_path: Path) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "f").unlink()
        os.mkfifo(tmp_path / "f")
        result = subject.scan(["f"])
        assert result.delta.gone == {"f"}
        assert set(result.problems) == set(subject.problems) == {"f"}
        assert not subject.scan(["f"]).problems
        (tmp_path / "f").unlink()
        make(tmp_path, "f")
        result = subject.scan(["f"])
        assert result.delta.put == {"f": file_of("f")}
        assert result.cleared == {"f"}
        assert not subject.problems

    def test_a_problem_goes_with_its_path(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f")
        os.mkfifo(tmp_path / "a" / "p")
        subject = scanner(tmp_path)
        subject.scan_all()
        shutil.rmtree(tmp_path / "a")
        make(tmp_path, "b")
        result = subject.scan(["a", "b"])
        assert result.cleared == {"a/p"}
        assert result.delta.gone == {"a", "a/f"}


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


def prove_all(subject: scan.Scanner) -> None:
    """Scan until every stamp is proven, with a clock that makes great steps."""
    ahead = 0
    real = time.monotonic_ns
    with pytest.MonkeyPatch.context() as patch:
        while subject.unproven:
            ahead += 10_000_000_000
            now = real() + ahead
            patch.setattr(time, "monotonic_ns", lambda now=now: now)
            subject.scan(subject.unproven)


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


class TestTrouble:
    def test_a_file_that_cannot_be_read_stays_as_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "f").write_text("changed")
        with monkeypatch.context() as patch:
            deny(patch, "open", "f")
            result = subject.scan(["f", "g"])
            assert result.problems == {"f": problem.from_read_error("f", PermissionError(13, "Permission denied"))}
            assert not result.delta
            assert subject.tree["f"] == file_of("f")
        result = subject.scan(["f"])
        assert result.cleared == {"f"}
        assert result.delta.put == {"f": file_of("changed")}

    def test_a_folder_that_cannot_be_listed_keeps_its_children(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "a/b/f", "a/g", "z")
        subject = scanner(tmp_path)
        subject.scan_all()
        before = dict(subject.tree)
        shutil.rmtree(tmp_path / "a" / "b")
        with monkeypatch.context() as patch:
            deny(patch, "open", "a")
            for result in (subject.scan_all(), subject.scan(["a"])):
                assert not result.delta
            assert subject.problems["a"].reason is problem.Reason.UNREADABLE
        assert dict(subject.tree) == before
        result = subject.scan(["a"])
        assert result.delta.gone == {"a/b", "a/b/f"}
        assert result.cleared == {"a"}

    def test_a_listing_that_breaks_off_deletes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path, "a/f", "a/g", "z")
        subject = scanner(tmp_path)
        subject.scan_all()
        real = os.scandir

        def broken(where: int) -> Any:
            if os.path.samestat(os.stat(where), os.stat(tmp_path / "a")):
                raise OSError(5, "Input/output error")
            return real(where)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", broken)
            assert not subject.scan_all().delta
        assert subject.problems["a"].errno == 5

    def test_a_new_folder_that_cannot_be_listed_is_an_entry_with_a_problem(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "a/f", "z")
        subject = scanner(tmp_path)
        with monkeypatch.context() as patch:
            deny(patch, "open", "a")
            subject.scan_all()
        assert set(subject.tree) == {"a", "z"}
        assert set(subject.scan(["a/f"]).delta.put) == {"a/f"}
        assert not subject.problems

    def test_a_file_that_never_holds_still_is_a_problem_and_asked_for_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "log", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        with monkeypatch.context() as patch:
            meddle(patch, lambda: append(tmp_path / "log"), times=100)
            append(tmp_path / "log")
            result = subject.scan(["log"])
        assert result.again == {"log"}
        assert result.problems["log"].reason is problem.Reason.UNSTABLE
        assert subject.tree["log"] == file_of("log")
        result = subject.scan(result.again)
        assert result.cleared == {"log"}
        assert subject.tree["log"] == file_of((tmp_path / "log").read_bytes())

    def test_a_file_that_vanishes_before_it_is_read_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        append(tmp_path / "f")
        real = hashing.digest_all

        def late(*args: Any) -> Any:
            (tmp_path / "f").unlink()
            return real(*args)

        monkeypatch.setattr(hashing, "digest_all", late)
        result = subject.scan(["f"])
        assert result.delta.gone == {"f"}
        assert result.again == {"f"}

    def test_a_file_that_becomes_a_fifo_before_it_is_read_is_looked_at_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        real = hashing.digest_all

        def late(*args: Any) -> Any:
            (tmp_path / "f").unlink()
            os.mkfifo(tmp_path / "f")
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(hashing, "digest_all", late)
            result = subject.scan_all()
        assert result.again == {"f"}
        assert set(subject.tree) == {"g"}
        assert subject.scan(result.again).problems["f"].reason is problem.Reason.SPECIAL

    def test_a_folder_swapped_for_a_link_in_the_middle_of_a_walk_is_not_entered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
        make(root, "a/f", "z")
        make(elsewhere, "secret")
        subject = scanner(root)
        real = walk.Look._open

        def swap(look: walk.Look, folder: str) -> int:
            if folder == "a":
                shutil.rmtree(root / "a")
                (root / "a").symlink_to(elsewhere)
            return real(look, folder)

        with monkeypatch.context() as patch:
            patch.setattr(walk.Look, "_open", swap)
            result = subject.scan_all()
        assert "a/secret" not in subject.tree
        assert result.again == {"a"}
        assert subject.scan(result.again).problems["a"].reason is problem.Reason.LINK_ESCAPES

    def test_a_cancelled_scan_changes_nothing(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.cancel()
        with pytest.raises(hashing.Cancelled):
            subject.scan_all()
        assert not subject.tree


def deny(patch: pytest.MonkeyPatch, call: str, name: str) -> None:
    """Make opening everything of that name fail, as it does for anyone but root."""
    real = getattr(os, call)

    def denied(path: Any, *args: Any, **options: Any) -> Any:
        if os.path.basename(os.fspath(path)) == name:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    patch.setattr(os, call, denied)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def meddle(patch: pytest.MonkeyPatch, act: Callable[[], object], times: int) -> None:
    """Do something to the disk after each of the first reads of content."""
    real, left = hashing.read_into, times

    def reading(fd: int, buffer: memoryview) -> int:
        nonlocal left
        count = real(fd, buffer)
        if left:
            left -= 1
            act()
        return count

    patch.setattr(hashing, "read_into", reading)


class TestRacilyClean:
    """A second write of the same size within one tick of the clock leaves the same stamp, and is found."""

    @pytest.fixture
    def frozen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system whose clock stands still: every stamp has the same times."""
        real = statcache.stamp
        standing_ns = time.time_ns() + 3600 * 10**9 + 1

        def still(status: os.stat_result) -> bytes:
            size, _, _, inode, mode = statcache._STAMP.unpack(real(status))
            return statcache._STAMP.pack(size, standing_ns, standing_ns, inode, mode)

        monkeypatch.setattr(statcache, "stamp", still)

    @pytest.mark.usefixtures("frozen")
    @pytest.mark.parametrize("whole", [False, True])
    def test_it_is_found(self, tmp_path: Path, whole: bool) -> None:
        make(tmp_path, "f", "g")
        subject = scanner(tmp_path)
        subject.scan_all()
        for content in ("1", "2", "3"):
            with (tmp_path / "f").open("r+") as file:
                file.write(content)
            result = subject.scan_all() if whole else subject.scan(["f"])
            assert result.delta.put == {"f": file_of(content)}

    def test_a_forced_mtime_does_not_hide_an_edit(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        os.utime(tmp_path / "f", ns=(10**18, 10**18))
        subject = scanner(tmp_path)
        subject.scan_all()
        for content in ("1", "2", "3"):
            (tmp_path / "f").write_text(content)
            os.utime(tmp_path / "f", ns=(10**18, 10**18))
            assert subject.scan_all().delta.put == {"f": file_of(content)}

    @pytest.mark.usefixtures("frozen")
    def test_a_stamp_is_proven_by_a_read_after_its_tick(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.scan_all()
        assert subject.unproven == {"f"}
        prove_all(subject)
        assert subject.scan_all().hashed_files == 0

    def test_a_stamp_is_proven_at_once_by_a_later_change_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "f", "g")
        monkeypatch.setattr(statcache, "FINE_TICK_NS", -(10**9))
        subject = scanner(tmp_path)
        subject.scan_all()
        assert not subject.unproven
        assert subject.scan_all().hashed_files == 0

    def test_an_mtime_that_goes_backwards_is_a_change(self, tmp_path: Path) -> None:
        make(tmp_path, "f")
        subject = scanner(tmp_path)
        subject.scan_all()
        prove_all(subject)
        (tmp_path / "f").write_text("F")
        os.utime(tmp_path / "f", ns=(1, 1))
        assert subject.scan(["f"]).delta.put == {"f": file_of("F")}


class TestRootLost:
    def lost(self, subject: scan.Scanner, how: rootguard.Lost) -> None:
        before = dict(subject.tree)
        for look in (subject.scan_all, lambda: subject.scan(["a", "a/f", "z"])):
            with pytest.raises(rootguard.RootLost) as caught:
                look()
            assert caught.value.lost is how
            assert subject.root in str(caught.value)
            assert caught.value.hint
        assert dict(subject.tree) == before

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        make(tmp_path / "root", "a/f", "z")
        return tmp_path / "root"

    @pytest.fixture
    def subject(self, root: Path) -> scan.Scanner:
        subject = scanner(root)
        subject.scan_all()
        return subject

    def test_missing(self, root: Path, subject: scan.Scanner) -> None:
        root.rename(root.parent / "elsewhere")
        self.lost(subject, rootguard.Lost.MISSING)
        (root.parent / "elsewhere").rename(root)
        assert not subject.scan_all().delta

    def test_a_file(self, root: Path, subject: scan.Scanner) -> None:
        shutil.rmtree(root)
        root.write_text("")
        self.lost(subject, rootguard.Lost.NOT_A_FOLDER)

    def test_missing_or_a_file_from_the_start(self, tmp_path: Path) -> None:
        make(tmp_path, "file")
        self.lost(scanner(tmp_path / "none"), rootguard.Lost.MISSING)
        self.lost(scanner(tmp_path / "file"), rootguard.Lost.NOT_A_FOLDER)

    def test_unreadable(self, root: Path, subject: scan.Scanner, monkeypatch: pytest.MonkeyPatch) -> None:
        deny(monkeypatch, "open", "root")
        with pytest.raises(rootguard.RootLost) as caught:
            subject.scan_all()
        assert caught.value.lost is rootguard.Lost.UNREADABLE
        assert len(subject.tree) == 3

    def test_emptied(self, root: Path, subject: scan.Scanner) -> None:
        shutil.rmtree(root / "a")
        (root / "z").unlink()
        (root / ".devloop").mkdir()
        self.lost(subject, rootguard.Lost.EMPTIED)

    def test_emptied_before_the_first_scan_of_this_process(self, root: Path) -> None:
        cache = statcache.StatCache()
        first = scan.Scanner(str(root), ignore=Rules(), cache=cache)
        first.scan_all()
        prove_all(first)
        shutil.rmtree(root / "a")
        (root / "z").unlink()
        second = scan.Scanner(str(root), ignore=Rules(), cache=cache)
        self.lost(second, rootguard.Lost.EMPTIED)

    def test_a_root_whose_last_entry_goes_but_not_its_last_file(self, root: Path, subject: scan.Scanner) -> None:
        make(root, "out/ignored")
        shutil.rmtree(root / "a")
        (root / "z").unlink()
        assert subject.scan(["a", "z"]).delta.gone == {"a", "a/f", "z"}

    def test_an_empty_root_that_never_had_entries_is_fine(self, tmp_path: Path) -> None:
        assert scanner(tmp_path).scan_all() == scan.ScanResult()

    def test_replaced(self, root: Path, subject: scan.Scanner) -> None:
        root.rename(root.parent / "old")
        make(root, "a/f")
        self.lost(subject, rootguard.Lost.REPLACED)

    def test_lost_in_the_middle_of_a_scan(
        self, root: Path, subject: scan.Scanner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = walk.Look._list

        def moved(look: walk.Look, folder: str, stack: list[str]) -> None:
            real(look, folder, stack)
            if root.exists():
                root.rename(root.parent / "elsewhere")

        monkeypatch.setattr(walk.Look, "_list", moved)
        with pytest.raises(rootguard.RootLost):
            subject.scan_all()
        assert len(subject.tree) == 3

    def test_an_accepted_root_is_taken_as_it_is(self, root: Path, subject: scan.Scanner) -> None:
        root.rename(root.parent / "old")
        root.mkdir()
        self.lost(subject, rootguard.Lost.REPLACED)
        subject.accept_root()
        assert subject.scan_all().delta.gone == {"a", "a/f", "z"}
        make(root, "new")
        assert set(subject.scan(["new"]).delta.put) == {"new"}

    def test_a_root_behind_a_link_is_resolved_once(self, root: Path) -> None:
        (root.parent / "link").symlink_to(root)
        subject = scanner(root.parent / "link")
        subject.scan_all()
        (root.parent / "link").unlink()
        make(root.parent / "other", "x")
        (root.parent / "link").symlink_to(root.parent / "other")
        assert not subject.scan_all().delta


class TestSymlinks:
    def test_kept_unless_they_escape(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        make(root, "a/f")
        links = {
            "in": "a/f",
            "a/dangling": "../nowhere",
            "abs": str(root / "a"),
            "a/esc": "../../root/a",
            "raw": "\udcff",
        }
        for path, target in links.items():
            (root / path).symlink_to(target)
        subject = scanner(root)
        result = subject.scan_all()
        assert set(subject.tree) == {"a", "a/f", "in", "a/dangling", "raw"}
        assert subject.tree["raw"] == entry.link(b"\xff")
        assert {path: trouble.reason.value for path, trouble in result.problems.items()} == {
            "abs": "link-escapes",
            "a/esc": "link-escapes",
        }
        (root / "abs").unlink()
        (root / "abs").symlink_to("a")
        assert subject.scan(["abs"]).cleared == {"abs"}
        assert subject.tree["abs"] == entry.link(b"a")

    def test_a_link_that_says_something_else_is_a_change(self, tmp_path: Path) -> None:
        (tmp_path / "l").symlink_to("one")
        subject = scanner(tmp_path)
        subject.scan_all()
        (tmp_path / "l").unlink()
        (tmp_path / "l").symlink_to("two")
        assert subject.scan(["l"]).delta.put == {"l": entry.link(b"two")}

    def test_skipped(self, tmp_path: Path) -> None:
        make(tmp_path, "f", "g")
        (tmp_path / "l").symlink_to("/etc/passwd")
        subject = scanner(tmp_path, symlinks="skip")
        result = subject.scan_all()
        assert set(subject.tree) == {"f", "g"}
        assert not result.problems
        (tmp_path / "f").unlink()
        (tmp_path / "f").symlink_to("g")
        assert subject.scan(["f"]).delta.gone == {"f"}

    def test_followed(self, tmp_path: Path) -> None:
        make(tmp_path, "libs/shared/x", "web/main")
        (tmp_path / "web" / "shared").symlink_to("../libs/shared")
        (tmp_path / "web" / "file").symlink_to(tmp_path / "libs/shared/x")
        (tmp_path / "web" / "esc").symlink_to("/etc")
        (tmp_path / "web" / "dangling").symlink_to("nowhere")
        (tmp_path / "web" / "again").symlink_to(".")
        subject = scanner(tmp_path / "web", symlinks="follow", boundary=str(tmp_path))
        result = subject.scan_all()
        assert dict(subject.tree) == {
            "main": file_of("web/main"),
            "shared": entry.folder(),
            "shared/x": file_of("libs/shared/x"),
            "file": file_of("libs/shared/x"),
        }
        reasons = {path: trouble.reason.value for path, trouble in result.problems.items()}
        assert reasons == {"esc": "link-escapes", "dangling": "unreadable", "again": "special"}
        with subject.open_body("shared/x", subject.tree["shared/x"]) as reading:
            assert reading.read(100) == b"libs/shared/x"

    def test_without_a_boundary_nothing_beyond_the_root_is_followed(self, tmp_path: Path) -> None:
        make(tmp_path, "secret", "web/main")
        (tmp_path / "web" / "l").symlink_to("../secret")
        subject = scanner(tmp_path / "web", symlinks="follow")
        assert subject.scan_all().problems["l"].reason is problem.Reason.LINK_ESCAPES
        assert set(subject.tree) == {"main"}

    def test_a_change_is_seen_under_all_of_its_names(self, tmp_path: Path) -> None:
        make(tmp_path, "libs/x", "web/main")
        (tmp_path / "web" / "libs").symlink_to("../libs")
        subject = scanner(tmp_path, symlinks="follow")
        subject.scan_all()
        (tmp_path / "libs" / "x").write_text("new")
        assert set(subject.scan(["libs/x"]).delta.put) == {"libs/x", "web/libs/x"}
        make(tmp_path, "libs/y/z")
        assert set(subject.scan(["libs/y"]).delta.put) == {"libs/y", "libs/y/z", "web/libs/y", "web/libs/y/z"}
        (tmp_path / "web" / "libs").unlink()
        assert subject.scan(["web/libs/x"]).delta.gone == {"web/libs", "web/libs/x", "web/libs/y", "web/libs/y/z"}
        assert not subject.followed

    def test_folders_that_link_to_each_other_end(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f", "b/g")
        (tmp_path / "a" / "b").symlink_to("../b")
        (tmp_path / "b" / "a").symlink_to("../a")
        subject = scanner(tmp_path, symlinks="follow")
        subject.scan_all()
        assert {"a/b/g", "b/a/f"} <= set(subject.tree)
        assert {trouble.reason for trouble in subject.problems.values()} == {problem.Reason.SPECIAL}


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


@pytest.mark.skipif(sys.platform == "darwin", reason="names are always loose there")
@pytest.mark.parametrize("name", ["Root", "123", "none"])
def test_a_file_system_that_tells_case_apart_has_no_loose_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "Root").mkdir()
    (tmp_path / "123").mkdir()
    assert not walk.has_loose_names(str(tmp_path / name))


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
