"""`devloop env`: a table of verbs, each imported when it is called."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import devloop
from devloop.cli import env, options
from tests.unit.cli import run

ROOT = Path(devloop.__file__).parents[1]
ALL_VERBS = [verb for section in env.VERBS.values() for verb in section]


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_of_the_table_is_a_module_with_a_command(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"devloop.cli.{env.module_of(verb)}").command
    assert isinstance(command, options.Verb)
    assert command.name == verb
    ended = run.devloop(capsys, "env", verb, "--help")
    assert (ended.status, ended.out.startswith(f"Usage: devloop env {verb}")) == (0, True)


def test_every_module_of_a_verb_is_in_the_table() -> None:
    modules = {path.stem for path in (ROOT / "devloop" / "cli").glob("env_*.py")}
    verbs = {name for name in modules if hasattr(importlib.import_module(f"devloop.cli.{name}"), "command")}
    assert verbs == {env.module_of(verb) for verb in ALL_VERBS}


def test_help_lists_the_verbs_and_imports_none() -> None:
    code = (
        "import sys, json, contextlib, io\n"
        "from devloop.cli import main, options\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    status = main.run(['env', '--help'], options.Chosen())\n"
        "print(json.dumps([status, out.getvalue(), sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    status, printed, modules = json.loads(done.stdout)
    assert status == 0
    assert all(f"  {verb}" in printed for verb in ALL_VERBS)
    assert {"kubernetes", "pydantic", "yaml", "rich", "asyncio", "aiohttp", "msgspec"}.isdisjoint(modules)
    assert not [name for name in modules if name.startswith("devloop.cli.env_")]


def test_an_unknown_verb_is_told_the_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "env", "lits")
    assert ended.status == 2
    assert "did you mean list" in ended.err
