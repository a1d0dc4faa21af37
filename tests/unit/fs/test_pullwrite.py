"""A pull replaces what the agent acked, and nothing else."""

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from devloop.core import entry, paths
from devloop.fs import pullwrite

OLD, NEW, MINE = b"old\n", b"new\n", b"min\n"


def file(content: bytes, *, executable: bool = False) -> entry.Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content), executable=executable)


class Keeper:
    """A trash that remembers what it was given, and may do something first."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, bytes]] = []

    def __call__(self, path: str, source: str) -> str:
        self.kept.append((path, source, Path(source).read_bytes()))
        return "trash"


@pytest.fixture
def keep() -> Keeper:
    return Keeper()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def pull(
    root: Path,
    keep: Keeper,
    path: str = "a/f.py",
    *,
    expected: entry.Entry | None = None,
    content: bytes = NEW,
    executable: bool = False,
) -> str:
    new = file(content, executable=executable)
    return pullwrite.write_pulled(str(root), path, content, expected, new, keep).conflict


def put(root: Path, content: bytes = OLD, path: str = "a/f.py", mode: int = 0o644) -> Path:
    at = root / path
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_bytes(content)
    at.chmod(mode)
    return at


def everything(root: Path) -> list[str]:
    return sorted(str(at.relative_to(root)) for at in root.rglob("*") if not at.is_dir() or at.is_symlink())


def test_a_new_file_is_written_with_its_parents(root: Path, keep: Keeper) -> None:
    assert pull(root, keep, "a/b/f.py") == ""
    assert (root / "a/b/f.py").read_bytes() == NEW
    assert everything(root) == ["a/b/f.py"]
    assert not keep.kept


def test_what_was_acked_is_replaced_and_kept_first(root: Path, keep: Keeper) -> None:
    at = put(root)
    inode = at.stat().st_ino
    assert pull(root, keep, expected=file(OLD)) == ""
    assert at.read_bytes() == NEW
    assert at.stat().st_ino != inode
    assert keep.kept == [("a/f.py", str(at), OLD)]
    assert everything(root) == ["a/f.py"]


def test_a_file_that_says_the_same_is_left_alone(root: Path, keep: Keeper) -> None:
    at = put(root, NEW)
    before = at.stat()
    for expected in (None, file(OLD), file(NEW)):
        assert pull(root, keep, expected=expected) == ""
    assert at.stat().st_ctime_ns == before.st_ctime_ns
    assert not keep.kept


@pytest.mark.parametrize("expected", [None, file(OLD), file(MINE, executable=True)])
def test_an_edited_file_stays_and_the_pods_goes_aside(root: Path, keep: Keeper, expected: entry.Entry | None) -> None:
    at = put(root, MINE)
    aside = pull(root, keep, expected=expected)
    assert aside == str(root / ".devloop/conflicts/a/f.py")
    assert Path(aside).read_bytes() == NEW
    assert at.read_bytes() == MINE
    assert not keep.kept
    assert everything(root) == [".devloop/conflicts/a/f.py", "a/f.py"]


@pytest.mark.parametrize("parent", [True, False])
def test_a_deleted_file_stays_deleted(root: Path, keep: Keeper, parent: bool) -> None:
    if parent:
        (root / "a").mkdir()
    assert pull(root, keep, expected=file(OLD)) == str(root / ".devloop/conflicts/a/f.py")
    assert not (root / "a/f.py").exists()
    assert (root / "a").exists() is parent


@pytest.mark.parametrize("expected", [None, file(OLD), entry.link(b"target"), entry.folder()])
@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe"])
def test_what_is_no_file_is_a_conflict(root: Path, keep: Keeper, kind: str, expected: entry.Entry | None) -> None:
    put(root, OLD, "target")
    at = root / "f"
    if kind == "link":
        at.symlink_to("target")
    elif kind == "dangling":
        at.symlink_to("gone")
    elif kind == "folder":
        at.mkdir()
    else:
        os.mkfifo(at)
    assert pull(root, keep, "f", expected=expected) == str(root / ".devloop/conflicts/f")
    assert (root / "target").read_bytes() == OLD
    assert not (root / "gone").exists()
    assert not keep.kept


@pytest.mark.parametrize("expected", [None, file(OLD)])
def test_a_linked_parent_is_not_followed(
    root: Path, keep: Keeper, tmp_path: Path, expected: entry.Entry | None
) -> None:
    outside = put(tmp_path, OLD, "outside/f.py")
    (root / "a").symlink_to(tmp_path / "outside")
    (root / "file").touch()
    assert pull(root, keep, "a/f.py", expected=expected) == str(root / ".devloop/conflicts/a/f.py")
    assert pull(root, keep, "a/new/f.py", expected=expected)
    assert pull(root, keep, "file/f.py", expected=expected)
    assert outside.read_bytes() == OLD
    assert everything(tmp_path / "outside") == ["f.py"]


def test_a_linked_conflict_folder_is_not_followed(root: Path, keep: Keeper, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / ".devloop").symlink_to(tmp_path / "outside")
    at = put(root, MINE)
    with pytest.raises(OSError, match=r"."):
        pull(root, keep, expected=file(OLD))
    assert everything(tmp_path / "outside") == []
    assert at.read_bytes() == MINE


def test_the_root_itself_may_be_a_link(root: Path, keep: Keeper, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert pull(tmp_path / "link", keep) == ""
    assert (root / "a/f.py").read_bytes() == NEW


def test_an_edit_while_the_old_file_is_kept_wins(root: Path) -> None:
    at = put(root)

    class Editor(Keeper):
        def __call__(self, path: str, source: str) -> str:
            at.write_bytes(MINE)
            return super().__call__(path, source)

    assert pull(root, Editor(), expected=file(OLD)) == str(root / ".devloop/conflicts/a/f.py")
    assert at.read_bytes() == MINE
    assert everything(root) == [".devloop/conflicts/a/f.py", "a/f.py"]


def test_a_file_that_appears_meanwhile_wins(root: Path, keep: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def raced(*args: object, **kwargs: object) -> None:
        monkeypatch.setattr(os, "link", real)
        put(root, MINE)
        real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", raced)
    assert pull(root, keep) == str(root / ".devloop/conflicts/a/f.py")
    assert (root / "a/f.py").read_bytes() == MINE


def test_a_file_system_without_hard_links_will_do(root: Path, keep: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert pull(root, keep) == ""
    assert everything(root) == ["a/f.py"]


def test_where_the_trash_fails_nothing_is_replaced(root: Path) -> None:
    at = put(root)

    class Full(Keeper):
        def __call__(self, path: str, source: str) -> str:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        pull(root, Full(), expected=file(OLD))
    assert at.read_bytes() == OLD
    assert everything(root) == ["a/f.py"]


@pytest.mark.parametrize(("old", "new", "mode"), [(0o644, True, 0o755), (0o755, False, 0o644), (0o600, True, 0o700)])
def test_the_executable_bit_is_the_pods_and_the_rest_the_laptops(
    root: Path, keep: Keeper, old: int, new: bool, mode: int
) -> None:
    at = put(root, mode=old)
    assert pull(root, keep, expected=file(OLD, executable=bool(old & 0o100)), executable=new) == ""
    assert stat.S_IMODE(at.stat().st_mode) == mode


def test_a_change_of_the_executable_bit_alone_is_taken_over(root: Path, keep: Keeper) -> None:
    at = put(root, NEW)
    assert pull(root, keep, expected=file(NEW), executable=True) == ""
    assert os.access(at, os.X_OK)
    assert len(keep.kept) == 1


def test_a_new_executable_file_is_executable(root: Path, keep: Keeper) -> None:
    pull(root, keep, executable=True)
    assert os.access(root / "a/f.py", os.X_OK)


def test_different_conflicts_of_one_path_are_all_kept_and_equal_ones_once(root: Path, keep: Keeper) -> None:
    put(root, MINE)
    names = [pull(root, keep, content=content) for content in (b"1", b"2", b"1", b"3", b"2")]
    base = str(root / ".devloop/conflicts/a/f.py")
    assert names == [base, base + ".1", base, base + ".2", base + ".1"]
    assert Path(base + ".2").read_bytes() == b"3"


def test_a_conflict_finds_a_place_where_another_is_in_the_way(root: Path, keep: Keeper) -> None:
    put(root, MINE, "a")
    assert pull(root, keep, "a") == str(root / ".devloop/conflicts/a")
    assert pull(root, keep, "a/b", content=b"below") == str(root / ".devloop/conflicts/b")
    put(root, MINE, "c/d")
    assert pull(root, keep, "c/d") == str(root / ".devloop/conflicts/c/d")
    assert pull(root, keep, "c", content=b"above") == str(root / ".devloop/conflicts/c.1")


def test_there_is_an_end_to_conflicts(root: Path, keep: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pullwrite, "MAX_CONFLICTS", 2)
    put(root, MINE)
    for content in (b"1", b"2"):
        pull(root, keep, content=content)
    with pytest.raises(FileExistsError):
        pull(root, keep, content=b"3")


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "\udcff" * 255])
def test_names_of_any_length_and_bytes_are_written(root: Path, keep: Keeper, name: str) -> None:
    assert pull(root, keep, name) == ""
    (root / name).write_bytes(MINE)
    for content in (b"1", b"2"):
        aside = pull(root, keep, name, content=content)
        assert Path(aside).read_bytes() == content


@pytest.mark.parametrize("path", ["../f", "/f", "a/../../f", "", ".git/config", ".devloop/f", "a//b", "f\0"])
def test_unsafe_paths_are_refused(root: Path, keep: Keeper, path: str) -> None:
    with pytest.raises(paths.UnsafePathError):
        pull(root, keep, path)
    assert everything(root) == []


@pytest.mark.parametrize(
    "segment", [".GIT", ".Git ", ".git.", "git~1", ".g\u200cit", ".DevLoop", ".git::$INDEX_ALLOCATION"]
)
def test_disguised_git_folders_are_not_written(root: Path, keep: Keeper, segment: str) -> None:
    path = f"sub/{segment}/hooks/pre-commit"
    assert pull(root, keep, path, executable=True).startswith(str(root / ".devloop/conflicts/"))
    assert not (root / "sub").exists()


@pytest.mark.parametrize("new", [file(OLD), entry.folder(), entry.link(b"x")])
def test_content_that_is_not_the_entrys_is_refused(root: Path, keep: Keeper, new: entry.Entry) -> None:
    with pytest.raises(ValueError, match="not that of the entry"):
        pullwrite.write_pulled(str(root), "f", NEW, None, new, keep)
    assert everything(root) == []


def test_a_root_that_is_gone_is_told(root: Path, keep: Keeper) -> None:
    with pytest.raises(FileNotFoundError):
        pull(root / "gone", keep)
    assert not (root / "gone").exists()


def test_empty_files_are_files(root: Path, keep: Keeper) -> None:
    at = put(root, b"")
    assert pull(root, keep, expected=file(b"")) == ""
    assert at.read_bytes() == NEW
    assert pull(root, keep, expected=file(NEW), content=b"") == ""
    assert at.read_bytes() == b""
