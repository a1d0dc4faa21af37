"""`devloop exec`: the pod's streams and status, and a target on this machine."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli import laptop


def test_a_command_in_the_pod(tmp_path: Path) -> None:
    with laptop.made(tmp_path) as mine:
        done = mine.run("exec", "-i", "web", "--", "sh", "-c", "cat; echo err >&2; exit 42", told="in")
        assert (done.returncode, done.stdout, done.stderr) == (42, "in", "err\n")
        query = mine.pod.requests[0].query
        assert query["container"] == "app" and "tty" not in query
        done = mine.run("exec", "-t", "web", "--", "sh", "-c", "test -t 1 && echo tty")
        assert (done.returncode, done.stdout) == (0, "tty\n")
        done = mine.run("exec", "web", "--", "no-such-1")
        assert done.returncode == 127 and "error[DL0752]" in done.stderr and "no-such-1" in done.stderr
        done = mine.run("exec", "wbe", "--", "true")
        assert done.returncode == 2 and "did you mean web?" in done.stderr
        assert mine.run("exec", "web").returncode == 2


def test_a_target_on_this_machine(tmp_path: Path) -> None:
    with laptop.made(tmp_path) as mine:
        done = mine.run("exec", "here", "--", "true")
        assert done.returncode == 1 and "devloop watch" in done.stderr
        (tmp_path / "t/app").mkdir(parents=True)
        done = mine.run("exec", "here", "--", "sh", "-c", "echo $A; pwd; exit 3")
        assert (done.returncode, done.stdout) == (3, f"1\n{tmp_path}/t/app\n")
        done = mine.run("exec", "here", "--", "no-such-1")
        assert done.returncode == 127 and "on this machine" in done.stderr
        done = mine.run("exec", "here", "--pod", "x", "--", "true")
        assert done.returncode == 2 and "--pod" in done.stderr
