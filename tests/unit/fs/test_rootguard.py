"""A root that is lost loses nothing."""

import shutil
import sys
from pathlib import Path

import pytest

from devloop.fs import rootguard, scan, statcache, walk
from tests.unit.fs.scanning import Rules, deny, make, prove_all, scanner


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

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere mounts are not told apart")
    def test_made_again_on_the_same_mount_is_the_same_and_looked_at_whole(
        self, root: Path, subject: scan.Scanner
    ) -> None:
        root.rename(root.parent / "old")
        make(root, "a/f", "new")
        self.lost(subject, rootguard.Lost.MADE_AGAIN)
        subject.watched_again()
        result = subject.scan(["a"])
        assert set(result.delta.put) == {"new"}
        assert set(result.delta.gone) == {"z"}

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere mounts are not told apart")
    def test_mounts_are_told_apart(self, root: Path) -> None:
        here, there = rootguard._mount_of(str(root)), rootguard._mount_of("/proc")
        assert here and there and here != there
        assert rootguard._mount_of(str(root / "a")) == here
        assert rootguard._mount_of(str(root / "none")) == 0

    def test_on_another_mount_it_is_replaced(
        self, root: Path, subject: scan.Scanner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rootguard, "_mount_of", lambda root: 77)
        root.rename(root.parent / "old")
        make(root, "a/f")
        self.lost(subject, rootguard.Lost.REPLACED)

    def test_where_mounts_are_not_told_apart_it_is_replaced(
        self, root: Path, subject: scan.Scanner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rootguard, "_mount_of", lambda root: 0)
        root.rename(root.parent / "old")
        make(root, "a/f")
        self.lost(subject, rootguard.Lost.REPLACED)

    def test_made_again_and_empty_is_emptied(self, root: Path, subject: scan.Scanner) -> None:
        shutil.rmtree(root)
        root.mkdir()
        subject.watched_again()
        before = dict(subject.tree)
        with pytest.raises(rootguard.RootLost):
            subject.scan_all()
        assert dict(subject.tree) == before

    def test_made_again_in_the_middle_of_a_scan_nothing_is_taken(
        self, root: Path, subject: scan.Scanner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = walk.Look._list

        def again(look: walk.Look, folder: str, stack: list[str]) -> None:
            real(look, folder, stack)
            if not (root.parent / "old").exists():
                root.rename(root.parent / "old")
                make(root, "new")

        monkeypatch.setattr(walk.Look, "_list", again)
        before = dict(subject.tree)
        with pytest.raises(rootguard.RootLost):
            subject.scan_all()
        assert dict(subject.tree) == before
        subject.watched_again()
        assert set(subject.scan_all().delta.put) == {"new"}

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
        self.lost(subject, rootguard.Lost.MADE_AGAIN if sys.platform == "linux" else rootguard.Lost.REPLACED)
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
