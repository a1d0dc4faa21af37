"""What a pull replaced can be had back."""

import datetime
import os
import stat
from pathlib import Path

import pytest

from devloop import errors
from devloop.core import paths
from devloop.state import trash


class Clock:
    def __init__(self) -> None:
        self.now = datetime.datetime(2026, 11, 20, 14, 22, 33, 123456, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def subject(tmp_path: Path, clock: Clock) -> trash.Trash:
    return trash.Trash(str(tmp_path / "trash"), total_bytes=100, now=clock)


def test_a_file_keeps_its_path_and_content(tmp_path: Path, subject: trash.Trash, clock: Clock) -> None:
    (tmp_path / "f").write_text("one")
    (tmp_path / "f").chmod(0o755)
    where = subject.keep("migrations/0007/x.py", str(tmp_path / "f"))
    assert where == f"{tmp_path}/trash/2026-11-20T14-22-33.123456Z-1/migrations/0007/x.py"
    assert Path(where).read_text() == "one"
    assert (tmp_path / "f").read_text() == "one"
    assert list(subject.list()) == [trash.Kept("migrations/0007/x.py", where, clock.now.timestamp(), 3)]
    for path in Path(tmp_path / "trash").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_two_at_the_same_moment_are_both_kept(tmp_path: Path, subject: trash.Trash) -> None:
    (tmp_path / "f").write_text("one")
    first = subject.keep("f", str(tmp_path / "f"))
    (tmp_path / "f").write_text("two")
    second = subject.keep("f", str(tmp_path / "f"))
    assert (Path(first).read_text(), Path(second).read_text()) == ("one", "two")


def test_an_open_file_is_kept_from_its_start(tmp_path: Path, subject: trash.Trash) -> None:
    (tmp_path / "f").write_text("one")
    with (tmp_path / "f").open("rb") as file:
        file.read(2)
        assert Path(subject.keep("f", file.fileno())).read_text() == "one"
        assert not file.closed
        os.fstat(file.fileno())


def test_links_and_specials_are_not_read(tmp_path: Path, subject: trash.Trash) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "none"):
        with pytest.raises(errors.LocalError, match="cannot keep"):
            subject.keep("f", str(tmp_path / name))
    assert os.listdir(tmp_path / "trash") == []


def test_an_unsafe_path_is_refused(tmp_path: Path, subject: trash.Trash) -> None:
    (tmp_path / "f").write_text("one")
    with pytest.raises(paths.UnsafePathError):
        subject.keep("../../f", str(tmp_path / "f"))


def test_the_old_are_pruned(tmp_path: Path, subject: trash.Trash, clock: Clock) -> None:
    (tmp_path / "f").write_text("one")
    subject.keep("old/f", str(tmp_path / "f"))
    clock.now += datetime.timedelta(days=10)
    subject.keep("new/f", str(tmp_path / "f"))
    clock.now += datetime.timedelta(days=5)
    assert subject.prune() == 1
    assert [one.path for one in subject.list()] == ["new/f"]
    assert len(os.listdir(tmp_path / "trash")) == 1


def test_the_oldest_are_pruned_when_there_is_too_much(tmp_path: Path, subject: trash.Trash, clock: Clock) -> None:
    (tmp_path / "f").write_text("x" * 40)
    for name in ("1", "2", "3", "4"):
        clock.now += datetime.timedelta(seconds=1)
        subject.keep(name, str(tmp_path / "f"))
    assert subject.prune() == 2
    assert [one.path for one in subject.list()] == ["4", "3"]


def test_what_is_not_ours_is_left_alone(tmp_path: Path, subject: trash.Trash) -> None:
    assert subject.prune() == 0
    assert list(subject.list()) == []
    (tmp_path / "trash" / "notes").mkdir(parents=True)
    (tmp_path / "trash" / "2026-13-01T00-00-00.0Z-1").mkdir()
    assert subject.prune() == 0
    assert len(os.listdir(tmp_path / "trash")) == 2
