"""A pull never destroys what the laptop has."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devloop import errors
from devloop.core import entry, problem
from devloop.fs import pullwrite

OLD, NEW, OTHER = b"old content", b"the pod's content", b"the user's own"


def entry_of(content: bytes, *, executable: bool = False) -> entry.Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content), executable=executable)


class Trash:
    """Keeps contents in memory; may do something to the disk, or fail, while it does."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.kept: list[tuple[str, bytes]] = []
        self._meanwhile = meanwhile

    def keep(self, path: str, source: str | int) -> str:
        assert isinstance(source, int)
        self.kept.append((path, os.pread(source, 10**6, 0)))
        self._meanwhile()
        return f"trash/{path}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def pull(
    root: Path,
    path: str = "f",
    *,
    content: bytes = NEW,
    expected: bytes | None = OLD,
    new: entry.Entry | None = None,
    trash: Trash | None = None,
) -> pullwrite.PullOutcome:
    before = len(os.listdir("/dev/fd"))
    outcome = pullwrite.write_pulled(
        str(root),
        path,
        [content[:5], content[5:]],
        None if expected is None else entry_of(expected),
        new or entry_of(content),
        trash=trash or Trash(),
    )
    assert len(os.listdir("/dev/fd")) == before
    assert [name for _, _, files in os.walk(root) for name in files if name.endswith("~")] == []
    return outcome


def assert_conflict(root: Path, outcome: pullwrite.PullOutcome, path: str = "f") -> None:
    assert outcome.pulled is pullwrite.Pulled.CONFLICT
    assert outcome.problem is not None
    assert outcome.problem.reason is problem.Reason.CONFLICT
    assert outcome.problem.path == path
    assert outcome.conflict == f".devloop/conflicts/{path}.{hashlib.sha256(NEW).hexdigest()[:12]}"
    assert outcome.conflict in outcome.problem.detail
    assert (root / outcome.conflict).read_bytes() == NEW


def test_a_file_with_the_acknowledged_content_is_replaced_and_kept_in_the_trash(root: Path) -> None:
    (root / "f").write_bytes(OLD)
    trash = Trash()
    outcome = pull(root, trash=trash)
    assert outcome == pullwrite.PullOutcome(pullwrite.Pulled.WRITTEN, kept="trash/f")
    assert (root / "f").read_bytes() == NEW
    assert trash.kept == [("f", OLD)]


def test_a_new_file_is_made_with_its_folders(root: Path) -> None:
    trash = Trash()
    outcome = pull(root, "a/b/f", expected=None, trash=trash)
    assert outcome == pullwrite.PullOutcome(pullwrite.Pulled.WRITTEN)
    assert (root / "a/b/f").read_bytes() == NEW
    assert not trash.kept


def test_an_empty_file(root: Path) -> None:
    assert pull(root, content=b"", expected=None).pulled is pullwrite.Pulled.WRITTEN
    assert (root / "f").read_bytes() == b""


def test_a_file_without_hard_links_to_make_is_renamed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert pull(root, expected=None).pulled is pullwrite.Pulled.WRITTEN
    assert (root / "f").read_bytes() == NEW


def test_a_file_that_changed_on_the_laptop_stays(root: Path) -> None:
    (root / "f").write_bytes(OTHER)
    trash = Trash()
    assert_conflict(root, pull(root, trash=trash))
    assert (root / "f").read_bytes() == OTHER
    assert not trash.kept


def test_a_file_that_the_pod_thinks_is_new_stays(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "f").write_bytes(OTHER)
    assert_conflict(root, pull(root, "d/f", expected=None), "d/f")
    assert (root / "d" / "f").read_bytes() == OTHER


def test_a_file_that_was_deleted_on_the_laptop_stays_deleted(root: Path) -> None:
    assert_conflict(root, pull(root))
    assert not (root / "f").exists()


def test_the_same_conflict_is_put_aside_once(root: Path) -> None:
    (root / "f").write_bytes(OTHER)
    pull(root)
    pull(root)
    assert len(list((root / ".devloop/conflicts").iterdir())) == 1


def test_a_file_that_already_is_the_pods_is_left_alone(root: Path) -> None:
    (root / "f").write_bytes(NEW)
    trash = Trash()
    assert pull(root, trash=trash) == pullwrite.PullOutcome(pullwrite.Pulled.UNCHANGED)
    assert not trash.kept


@pytest.mark.parametrize("how", ["rewritten", "replaced", "removed"])
def test_a_save_right_before_the_rename_wins(root: Path, how: str) -> None:
    (root / "f").write_bytes(OLD)

    def save() -> None:
        if how == "rewritten":
            (root / "f").write_bytes(OTHER)
            return
        (root / "f").unlink()
        if how == "replaced":
            (root / "f").write_bytes(OTHER)

    outcome = pull(root, trash=Trash(save))
    assert_conflict(root, outcome)
    if how == "removed":
        assert not (root / "f").exists()
    else:
        assert (root / "f").read_bytes() == OTHER


def test_a_file_that_appears_right_before_it_is_made_wins(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def late(*args: str, **options: int) -> None:
        (root / "f").write_bytes(OTHER)
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", late)
    assert_conflict(root, pull(root, expected=None))
    assert (root / "f").read_bytes() == OTHER


def test_a_full_trash_stops_the_pull(root: Path) -> None:
    (root / "f").write_bytes(OLD)

    def full() -> None:
        raise errors.LocalError("cannot keep f in the trash: No space left on device")

    outcome = pull(root, trash=Trash(full))
    assert outcome.pulled is pullwrite.Pulled.FAILED
    assert outcome.problem is not None
    assert "No space left" in outcome.problem.detail
    assert (root / "f").read_bytes() == OLD


@pytest.mark.parametrize("content", [NEW[:-1], NEW + b"more", NEW[:-1] + b"X"])
def test_damaged_content_is_not_written(root: Path, content: bytes) -> None:
    (root / "f").write_bytes(OLD)
    outcome = pull(root, content=content, new=entry_of(NEW))
    assert outcome.problem is not None
    assert outcome.problem.reason is problem.Reason.CHANGED_IN_TRANSIT
    assert (root / "f").read_bytes() == OLD


def test_a_transfer_that_ends_early_changes_nothing(root: Path) -> None:
    (root / "f").write_bytes(OLD)

    def broken() -> Iterator[bytes]:
        yield NEW[:3]
        raise errors.LinkError("the link ended")

    with pytest.raises(errors.LinkError):
        pullwrite.write_pulled(str(root), "f", broken(), entry_of(OLD), entry_of(NEW), trash=Trash())
    assert (root / "f").read_bytes() == OLD
    assert os.listdir(root) == ["f"]


def test_the_mode_is_kept_and_the_execute_bit_follows_the_pod(root: Path) -> None:
    (root / "f").write_bytes(OLD)
    (root / "f").chmod(0o640)
    pull(root, new=entry_of(NEW, executable=True))
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o750
    pull(root, content=OLD, expected=NEW)
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o640
    pull(root, "new", expected=None, new=entry_of(NEW, executable=True))
    assert os.access(root / "new", os.X_OK)


def test_the_execute_bit_alone(root: Path) -> None:
    (root / "f").write_bytes(NEW)
    assert pull(root, expected=NEW, new=entry_of(NEW, executable=True)).pulled is pullwrite.Pulled.WRITTEN
    assert os.access(root / "f", os.X_OK)


@pytest.mark.parametrize("expected", [None, OLD])
def test_a_link_in_the_files_place_is_neither_followed_nor_replaced(root: Path, expected: bytes | None) -> None:
    (root.parent / "outside").write_bytes(OLD)
    (root / "f").symlink_to(root.parent / "outside")
    assert_conflict(root, pull(root, expected=expected))
    assert (root / "f").is_symlink()
    assert (root.parent / "outside").read_bytes() == OLD


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_something_else_in_the_files_place_stays(root: Path, kind: str) -> None:
    (root / "f").mkdir() if kind == "folder" else os.mkfifo(root / "f")
    assert_conflict(root, pull(root, expected=None))
    assert not (root / "f").is_file()


def test_nothing_is_written_through_a_link_on_the_way(root: Path) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "d").symlink_to(outside)
    outcome = pull(root, "d/f", expected=None)
    assert outcome.pulled is pullwrite.Pulled.FAILED
    assert outcome.problem is not None
    assert outcome.problem.reason is problem.Reason.IN_THE_WAY
    assert outcome.problem.side is problem.Side.LAPTOP
    (root / "f").write_bytes(OTHER)
    (root / ".devloop").symlink_to(outside)
    assert pull(root).pulled is pullwrite.Pulled.FAILED
    assert os.listdir(outside) == []


def test_a_file_where_a_folder_is_needed_stays(root: Path) -> None:
    (root / "d").write_bytes(OTHER)
    outcome = pull(root, "d/f", expected=None)
    assert outcome.problem is not None
    assert outcome.problem.reason is problem.Reason.IN_THE_WAY
    assert (root / "d").read_bytes() == OTHER


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a\0b", "", ".git/hooks/pre-commit", ".devloop/x"])
def test_paths_that_no_entry_can_have_are_refused(root: Path, path: str) -> None:
    outcome = pull(root, path, expected=None)
    assert outcome.problem is not None
    assert outcome.problem.reason is problem.Reason.UNSAFE_NAME
    assert os.listdir(root) == []


def test_only_files_are_pulled(root: Path) -> None:
    for new in (entry.folder(), entry.link(b"/etc/passwd")):
        assert pull(root, expected=None, new=new).pulled is pullwrite.Pulled.FAILED
    assert os.listdir(root) == []


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "\udcff" * 255])
def test_the_longest_names(root: Path, name: str) -> None:
    assert pull(root, name, expected=None).pulled is pullwrite.Pulled.WRITTEN
    outcome = pull(root, name, content=OTHER, expected=OLD)
    assert (root / outcome.conflict).read_bytes() == OTHER


def test_temporary_names_are_hidden_and_of_an_editors_form() -> None:
    name = pullwrite.temporary_name("f.py")
    assert name.startswith(".f.py.devloop-")
    assert name.endswith("~")
