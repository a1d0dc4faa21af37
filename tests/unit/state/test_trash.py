"""What a pull replaces can be found again."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop.core import paths
from devloop.state import trash

DAY_S = 24 * 3600


@pytest.fixture
def subject(tmp_path: Path) -> trash.Trash:
    return trash.Trash(str(tmp_path / "trash"))


def made(tmp_path: Path, content: bytes = b"old") -> str:
    file = tmp_path / "source"
    file.write_bytes(content)
    return str(file)


def aged(where: str, path: str, days: float) -> str:
    """Move a kept file's folder back in time, and return where it is then."""
    home = Path(where[: -len(path) - 1])
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - days * DAY_S))
    older = home.with_name(f"{stamp}-{home.name.rpartition('-')[2]}")
    home.rename(older)
    return str(older / path)


def test_a_file_is_kept_at_its_path(subject: trash.Trash, tmp_path: Path) -> None:
    source = made(tmp_path)
    where = subject.keep("a/b/c.py", source)
    assert Path(where).read_bytes() == b"old"
    assert where.endswith("/a/b/c.py")
    assert Path(source).read_bytes() == b"old"


def test_later_edits_in_place_do_not_reach_it(subject: trash.Trash, tmp_path: Path) -> None:
    source = made(tmp_path)
    where = subject.keep("c.py", source)
    Path(source).write_bytes(b"new")
    assert Path(where).read_bytes() == b"old"


def test_it_is_private_and_leaves_the_source_as_it_was(subject: trash.Trash, tmp_path: Path) -> None:
    source = made(tmp_path)
    os.chmod(source, 0o755)
    where = Path(subject.keep("a/c.py", source))
    assert stat.S_IMODE(where.stat().st_mode) == 0o600
    for folder in [where.parent, where.parent.parent, tmp_path / "trash"]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(os.stat(source).st_mode) == 0o755


def test_one_path_is_kept_as_often_as_it_is_replaced(subject: trash.Trash, tmp_path: Path) -> None:
    source = made(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: subject.keep("c.py", source), range(20)))
    assert len(set(places)) == 20
    assert all(Path(where).read_bytes() == b"old" for where in places)


def test_items_tell_what_is_there(subject: trash.Trash, tmp_path: Path) -> None:
    assert subject.items() == []
    before_s = int(time.time())
    new = subject.keep("caf\udce9/c.py", made(tmp_path, b"12345"))
    old = aged(subject.keep("d", made(tmp_path)), "d", 1)
    first, second = subject.items()
    assert (first.path, first.where, first.size_bytes) == ("d", old, 3)
    assert (second.path, second.where, second.size_bytes) == ("caf\udce9/c.py", new, 5)
    # the clock that file systems stamp with is a few milliseconds behind
    assert before_s - 1 <= second.kept_s <= time.time()


def test_old_files_are_pruned(subject: trash.Trash, tmp_path: Path) -> None:
    young = aged(subject.keep("a/b", made(tmp_path)), "a/b", 13.9)
    aged(subject.keep("a/b", made(tmp_path)), "a/b", 14.1)
    subject.prune()
    assert [item.where for item in subject.items()] == [young]
    assert len(os.listdir(tmp_path / "trash")) == 1


def test_the_oldest_go_when_it_is_too_large(subject: trash.Trash, tmp_path: Path) -> None:
    kept = [aged(subject.keep("f", made(tmp_path, bytes(100))), "f", day) for day in range(1, 6)]
    subject.prune(max_bytes=350)
    assert sorted(item.where for item in subject.items()) == sorted(kept[:3])


def test_what_is_not_ours_is_left_alone(subject: trash.Trash, tmp_path: Path) -> None:
    subject.keep("f", made(tmp_path))
    for name in ("notes", "20261120T140248Z", "20269999T999999Z-01234567"):
        (tmp_path / "trash" / name).mkdir()
    (tmp_path / "trash" / "file").touch()
    subject.prune(max_age_s=-10)
    assert sorted(os.listdir(tmp_path / "trash")) == ["20261120T140248Z", "20269999T999999Z-01234567", "file", "notes"]


def test_pruning_an_absent_trash_is_nothing(subject: trash.Trash) -> None:
    subject.prune()


def test_what_cannot_be_kept_raises_and_leaves_nothing(subject: trash.Trash, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        subject.keep("c.py", str(tmp_path / "gone"))
    (tmp_path / "link").symlink_to(made(tmp_path))
    with pytest.raises(OSError, match=r"."):
        subject.keep("c.py", str(tmp_path / "link"))
    os.mkfifo(tmp_path / "pipe")
    for other in ("trash", "pipe"):
        with pytest.raises(OSError, match="not a regular file"):
            subject.keep("c.py", str(tmp_path / other))
    assert os.listdir(tmp_path / "trash") == []


def test_a_trash_that_cannot_be_made_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"."):
        trash.Trash(made(tmp_path) + "/trash").keep("c.py", made(tmp_path))


@pytest.mark.parametrize("path", ["../c.py", "/etc/passwd", "", "a/../../b"])
def test_paths_cannot_lead_out_of_it(subject: trash.Trash, tmp_path: Path, path: str) -> None:
    with pytest.raises(paths.UnsafePathError):
        subject.keep(path, made(tmp_path))
