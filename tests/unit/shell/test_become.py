"""Becoming a command on this machine: its folder, variables, signals and end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.shell import become

REPO = Path(__file__).parents[3]


def spec(target: Path, **more: Any) -> model.Service:
    told = {"target": {"local": str(target)}, "sync": [{"from": "/w", "to": "/app"}], "env": {"A": "1"}, **more}
    return model.Service.model_validate(told)


def test_a_target_on_this_machine_is_its_folder_and_its_variables(tmp_path: Path) -> None:
    (tmp_path / "app/sub").mkdir(parents=True)
    here = become.in_target(spec(tmp_path), ["x"], {"A": "0", "B": "2"})
    assert here == become.Here(("x",), {"A": "1", "B": "2", "PWD": f"{tmp_path}/app"}, f"{tmp_path}/app")
    assert become.in_target(spec(tmp_path, workdir="/app/sub"), ["x"], {}).cwd == f"{tmp_path}/app/sub"
    # As the agent has it: a folder outside of every sync is one of this machine.
    assert become.in_target(spec(tmp_path, workdir=str(tmp_path)), ["x"], {}).cwd == str(tmp_path)
    with pytest.raises(errors.LocalError, match="no folder") as caught:
        become.in_target(spec(tmp_path / "new"), ["x"], {})
    assert "devloop watch" in caught.value.hint


@pytest.mark.parametrize(("script", "status"), [("exit 42", 42), ("kill -TERM $$", -15), ("kill -PIPE $$", -13)])
def test_the_end_is_the_commands_own(script: str, status: int, tmp_path: Path) -> None:
    ours = (
        "import os, sys\nfrom devloop.shell import become\n"
        f"here = become.Here(('sh', '-c', 'pwd; echo $X; ' + {script!r}), {{**os.environ, 'X': 'y'}}, "
        f"{str(tmp_path)!r})\n"
        "become.become(here)"
    )
    done = subprocess.run([sys.executable, "-c", ours], cwd=REPO, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (status, f"{tmp_path}\ny\n")


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    env = dict(os.environ)
    with pytest.raises(errors.NotRunError, match="no program no-such-1") as caught:
        become.become(become.Here(("no-such-1",), env))
    assert caught.value.missing
    with pytest.raises(errors.NotRunError, match="Permission denied") as caught:
        become.become(become.Here((str(tmp_path / "data"),), env))
    assert not caught.value.missing
    with pytest.raises(errors.LocalError, match="cannot be entered"):
        become.become(become.Here(("true",), env, str(tmp_path / "gone")))
