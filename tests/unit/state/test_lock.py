"""One process holds a project, and others can see who."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from devloop import errors
from devloop.proc import identity as processes
from devloop.state import identity, lock

HOLD = """
import sys
from devloop.state import lock
with lock.ProjectLock(sys.argv[1], "/shop"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


@pytest.fixture
def other(path: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_nobody_holds_what_was_never_locked(path: str) -> None:
    assert lock.holder(path) is None
    assert not os.path.exists(path)


def test_readers_see_the_holder(path: str) -> None:
    before_s = time.time()
    with lock.ProjectLock(path, "/shop"):
        seen = lock.holder(path)
        assert seen is not None
        assert (seen.pid, seen.name(), seen.folder) == (os.getpid(), identity.owner(), "/shop")
        assert before_s <= seen.since <= time.time()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert lock.holder(path) is None


def test_the_file_stays_and_can_be_locked_again(path: str) -> None:
    with lock.ProjectLock(path, "/shop"):
        inode = os.stat(path).st_ino
    with lock.ProjectLock(path, "/shop"):
        assert os.stat(path).st_ino == inode


def test_a_second_one_is_told_who_holds_it(path: str, other: subprocess.Popen[str]) -> None:
    with pytest.raises(errors.OwnedError) as caught:
        with lock.ProjectLock(path, "/shop"):
            pytest.fail("two hold one lock")
    assert str(other.pid) in caught.value.message
    assert caught.value.owner == identity.owner()
    assert "devloop status" in caught.value.hint
    assert "devloop stop" in caught.value.hint
    seen = lock.holder(path)
    assert seen is not None
    assert seen.pid == other.pid


def test_the_same_process_cannot_hold_it_twice(path: str) -> None:
    with lock.ProjectLock(path, "/shop"):
        with pytest.raises(errors.OwnedError):
            lock.ProjectLock(path, "/shop").__enter__()
        assert lock.holder(path) is not None


def test_it_dies_with_its_process(path: str, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    assert os.path.getsize(path) > 0
    assert lock.holder(path) is None
    with lock.ProjectLock(path, "/shop"):
        seen = lock.holder(path)
        assert seen is not None
        assert seen.pid == os.getpid()


def test_a_holder_that_has_not_said_its_name_yet_still_holds_it(path: str) -> None:
    with lock.ProjectLock(path, "/shop"):
        os.truncate(path, 0)
        with pytest.raises(errors.OwnedError, match="another devloop"):
            lock.ProjectLock(path, "/shop").__enter__()


def test_a_reused_process_id_is_not_the_holder(path: str) -> None:
    ours = processes.of(os.getpid())
    assert ours is not None
    old = lock.Holder(os.getpid(), identity.host(), "u", 0.0, "", msgspec.structs.replace(ours, start="long ago"))
    Path(path).write_bytes(msgspec.json.encode(old))
    assert lock.holder(path) is None


def test_a_holder_on_another_host_is_believed_while_the_lock_is_taken(path: str) -> None:
    with lock.ProjectLock(path, "/shop"):
        far = lock.Holder(1, "elsewhere", "u", 0.0)
        Path(path).write_bytes(msgspec.json.encode(far))
        assert lock.holder(path) == far
    Path(path).write_bytes(msgspec.json.encode(far))
    assert lock.holder(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"pid": "x"}'])
def test_what_is_not_ours_holds_nothing(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert lock.holder(path) is None
    with lock.ProjectLock(path, "/shop"):
        assert lock.holder(path) is not None


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.LocalError, match="lock file") as caught:
        lock.ProjectLock(str(tmp_path / "gone" / "lock"), "/shop").__enter__()
    assert caught.value.hint


def test_a_link_in_its_place_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    os.symlink(tmp_path / "victim", path)
    with pytest.raises(errors.LocalError):
        lock.ProjectLock(path, "/shop").__enter__()
    assert (tmp_path / "victim").read_text() == "precious"
