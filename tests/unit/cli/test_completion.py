from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import devloop
from tests.unit.cli import run

ROOT = Path(devloop.__file__).parents[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_it_can_read(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "completion", shell)
    assert ended.status == 0
    assert "_DEVLOOP_COMPLETE" in ended.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ended.out.encode(), check=True, timeout=10)


def test_bash_loads_it(capsys: pytest.CaptureFixture[str]) -> None:
    script = run.devloop(capsys, "completion", "bash").out
    done = subprocess.run(["bash", "-ec", f"{script}\ncomplete -p devloop"], capture_output=True, text=True, timeout=10)
    assert done.stdout.endswith(" devloop\n"), done.stderr


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "completion", "tcsh")
    assert ended.status == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in ended.err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("devloop ex", ["plain,explain"]),
        ("devloop explain DL020", ["plain,DL0200", "plain,DL0201"]),
        ("devloop config ", ["plain,validate", "plain,schema"]),
    ],
)
def test_words_are_completed(line: str, expected: list[str]) -> None:
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "devloop.cli.main"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "_DEVLOOP_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert set(expected) <= set(done.stdout.split()), done.stderr
