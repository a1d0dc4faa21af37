"""`devloop stop`: asks, waits, and kills where it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devloop.cli import stop
from devloop.state import dirs
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the project's lock, and does not answer."""
    Path("devloop.yaml").write_text(watched.TEXT)
    code = (
        "import sys, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "from devloop.state import lock, dirs\n"
        "with lock.ProjectLock(dirs.project(sys.argv[1]).lock, sys.argv[1]):\n"
        "    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, os.getcwd()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    Path("devloop.yaml").write_text(watched.TEXT)
    ended = devloop(capsys, "stop")
    assert ended.status == 0 and "was not watching" in ended.err


def test_it_asks(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        ended = devloop(capsys, "stop")
    assert (ended.status, project.asked) == (0, [("stop", {})])


def test_one_that_does_not_answer_is_left_alone_without_force(
    capsys: pytest.CaptureFixture[str], holder: subprocess.Popen[bytes]
) -> None:
    ended = devloop(capsys, "stop")
    assert ended.status == 1 and holder.poll() is None


def test_force_kills_one_that_does_not_answer_at_once(
    capsys: pytest.CaptureFixture[str], holder: subprocess.Popen[bytes]
) -> None:
    ended = devloop(capsys, "stop", "--force")
    assert ended.status == 0 and "stopped" in ended.err
    assert holder.wait(10) == -signal.SIGKILL


def test_one_that_answers_and_does_not_end_is_told(
    capsys: pytest.CaptureFixture[str], holder: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "TIMEOUT_S", 0.05)
    with watched.watched():
        ended = devloop(capsys, "stop")
        assert ended.status == 1 and str(holder.pid) in ended.err and "--force" in ended.err
        assert holder.poll() is None
        assert devloop(capsys, "stop", "--force").status == 0
    assert holder.wait(10) == -signal.SIGKILL


def test_one_that_ends_meanwhile_is_not_killed_after_all(
    holder: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    stop._kill(dirs.project(os.getcwd()).lock, holder.pid + 1)
    assert killed == []
