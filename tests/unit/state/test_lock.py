"""One devloop for each project."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devloop import errors
from devloop.state import lock

HOLD = """
import sys
from devloop.state import lock
held = lock.ProjectLock(sys.argv[1])
held.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert lock.holder(path) is None
    with lock.ProjectLock(path):
        held_by = lock.holder(path)
        assert held_by is not None
        assert (held_by.pid, held_by.started) == (os.getpid(), lock.started(os.getpid()))
        with pytest.raises(errors.OwnedError) as caught:
            lock.ProjectLock(path).acquire()
        assert caught.value.owner == str(held_by)
        assert str(os.getpid()) in str(caught.value)
        assert "stop" in caught.value.hint
    assert lock.holder(path) is None
    with lock.ProjectLock(path):
        pass


def test_a_killed_holder_holds_nobody_up(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        held_by = lock.holder(path)
        assert held_by is not None
        assert held_by.pid == other.pid
        assert held_by.started == lock.started(other.pid)
        with pytest.raises(errors.OwnedError, match=str(other.pid)):
            lock.ProjectLock(path).acquire()
        other.kill()
        other.wait()
        assert lock.holder(path) is None
        with lock.ProjectLock(path):
            pass


def test_asking_never_disturbs_taking(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            lock.holder(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(300):
            with lock.ProjectLock(path):
                pass
    finally:
        done.set()
        asking.join()


def test_a_file_that_says_nothing_still_locks(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.ProjectLock(str(path)):
        path.write_text("garbage")
        assert lock.holder(str(path)) is not None
        with pytest.raises(errors.OwnedError):
            lock.ProjectLock(str(path)).acquire()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.LocalError, match="none/lock"):
        lock.ProjectLock(str(tmp_path / "none" / "lock")).acquire()
    assert lock.holder(str(tmp_path / "none" / "lock")) is None


def test_a_process_that_is_not_there_has_no_start() -> None:
    assert lock.started(2**22 + 1) == ""
