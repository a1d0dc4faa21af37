"""What one look at the disk finds: entries, problems, and what is left out."""

import os
import shutil
import socket
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from devloop.core import entry, problem, tree
from devloop.fs import hashing, scanstate, walk
from tests.unit.fs.scanning import append, deny, file_of, make, meddle, scanner


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
        monkeypatch.setattr(scanstate, "has_loose_names", lambda _: True)
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

    def test_links_that_lead_out_of_the_root_are_known(self, tmp_path: Path) -> None:
        make(tmp_path, "libs/x", "web/main", "web/in/y", "web2/z")
        for name, to in {"libs": "../libs", "file": "../libs/x", "near": "in", "w": "../web2"}.items():
            (tmp_path / "web" / name).symlink_to(to)
        subject = scanner(tmp_path / "web", symlinks="follow", boundary=str(tmp_path))
        subject.scan_all()
        assert subject.beyond == {"libs", "file", "w"}
        (tmp_path / "web" / "libs").unlink()
        subject.scan(["libs"])
        assert subject.beyond == {"file", "w"}

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
        assert not subject.beyond

    def test_folders_that_link_to_each_other_end(self, tmp_path: Path) -> None:
        make(tmp_path, "a/f", "b/g")
        (tmp_path / "a" / "b").symlink_to("../b")
        (tmp_path / "b" / "a").symlink_to("../a")
        subject = scanner(tmp_path, symlinks="follow")
        subject.scan_all()
        assert {"a/b/g", "b/a/f"} <= set(subject.tree)
        assert {trouble.reason for trouble in subject.problems.values()} == {problem.Reason.SPECIAL}
