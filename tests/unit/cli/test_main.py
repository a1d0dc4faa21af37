from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import devloop
import devloop.cli
from devloop.cli import main, options
from tests.unit.cli import run

ROOT = Path(devloop.__file__).parents[1]
ALL_VERBS = [verb for section in main.VERBS.values() for verb in section]


def process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devloop.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_of_the_table_is_a_module_with_a_command(verb: str) -> None:
    command = importlib.import_module(f"devloop.cli.{verb}").command
    assert isinstance(command, options.Verb | options.Verbs)
    assert command.name == verb


def test_every_module_with_a_command_is_in_the_table() -> None:
    # those of `devloop env` are in a table of their own: test_env.py
    modules = [path.stem for path in Path(devloop.cli.__file__).parent.glob("*.py") if not path.stem.startswith("env_")]
    verbs = [name for name in modules if hasattr(importlib.import_module(f"devloop.cli.{name}"), "command")]
    assert sorted(verbs) == sorted(ALL_VERBS)


def test_help_imports_no_verb_and_nothing_heavy() -> None:
    code = (
        "import sys, json, contextlib, io\n"
        "from devloop.cli import main, options\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    status = main.run(['--help'], options.Chosen())\n"
        "print(json.dumps([status, 'Start here' in out.getvalue(), sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    status, printed, modules = json.loads(done.stdout)
    assert (status, printed) == (0, True)
    heavy = {"kubernetes", "pydantic", "yaml", "rich", "asyncio", "msgspec", "structlog", "platformdirs", "websockets"}
    assert heavy.isdisjoint(modules)
    assert {f"devloop.cli.{verb}" for verb in ALL_VERBS}.isdisjoint(modules)


def test_help_lists_the_verbs_by_section_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "--help")
    assert ended.status == 0
    for section, verbs in main.VERBS.items():
        assert f"{section}:" in ended.out
        for verb, told in verbs.items():
            assert f"  {verb}" in ended.out
            assert told in ended.out


def test_nothing_at_all_is_a_question_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys) == run.devloop(capsys, "--help")


@pytest.mark.parametrize("verb", [["config"], ["config", "validate"], *[[verb] for verb in ALL_VERBS]])
def test_every_verb_has_help(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, *verb, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"Usage: devloop {' '.join(verb)}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys, "--version") == (0, f"devloop {devloop.__version__}\n", "")


@pytest.mark.parametrize(("word", "hint"), [("explian", "did you mean explain?"), ("confg", "did you mean config?")])
def test_an_unknown_verb_is_told_the_near_ones(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, word)
    assert ended == (2, "", f"error[DL0100]: devloop has no verb {word!r}\nhint: {hint}\n")


def test_an_unknown_verb_that_is_like_none_is_told_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hint: one of demo, init, " in run.devloop(capsys, "zzzzzz").err


def test_a_verb_ends_with_the_status_that_it_returns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command("test", cls=options.Verb)
    def command() -> int:
        return 3

    run.add_verb(monkeypatch, command)
    assert run.devloop(capsys, "test").status == 3


def test_the_process_ends_with_the_status_and_without_a_traceback() -> None:
    done = process("nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error[DL0100]: devloop has no verb 'nothing'\n")


def test_a_reader_that_goes_away_is_no_news() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "devloop.cli.main", "explain"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
