from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from devloop.config import load
from tests.unit.cli import run


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


def test_a_file_is_written_that_loads(capsys: pytest.CaptureFixture[str]) -> None:
    Path("app.py").write_text("")
    ended = run.devloop(capsys, "init")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == (
        "found in app.py: python3 app.py; synced from . to /app\nwrote devloop.yaml\nnext: devloop watch\n"
    )
    assert load.load("devloop.yaml", environ={}).config.services["app"].command == ("python3", "app.py")
    assert run.devloop(capsys, "config", "validate").status == 0
    assert not [name for name in os.listdir() if name.endswith(".tmp")]


def test_an_empty_folder_gets_a_file_too(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "init", "--yes")
    assert ended.err.startswith("found no app that devloop knows how to start")
    load.load("devloop.yaml", environ={})


def test_a_file_that_is_there_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("devloop.yaml").write_text("mine")
    ended = run.devloop(capsys, "init")
    assert ended == (
        2,
        "",
        "error[DL0209]: devloop.yaml exists already\nhint: edit it, or replace it with --force\n",
    )
    assert Path("devloop.yaml").read_text() == "mine"
    assert run.devloop(capsys, "init", "--force").status == 0
    assert Path("devloop.yaml").read_text() != "mine"


def test_in_git_what_is_private_is_ignored_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".git").mkdir()
    Path(".gitignore").write_bytes(b"*.pyc\r\n\xff")
    ended = run.devloop(capsys, "init")
    assert "added .devloop/ and devloop.local.yaml to .gitignore\n" in ended.err
    assert Path(".gitignore").read_bytes() == b"*.pyc\r\n\xff\n.devloop/\ndevloop.local.yaml\n"
    assert "added" not in run.devloop(capsys, "init", "--force").err


def test_without_git_no_gitignore_appears(capsys: pytest.CaptureFixture[str]) -> None:
    run.devloop(capsys, "init")
    assert not Path(".gitignore").exists()


@pytest.mark.parametrize(("answer", "status", "written"), [("y\n", 0, True), ("\n", 0, True), ("n\n", 1, False)])
def test_on_a_terminal_it_asks(
    answer: str, status: int, written: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    ended = run.devloop(capsys, "init")
    assert (ended.status, ended.out) == (status, "")
    assert "Write devloop.yaml?" in ended.err
    assert Path("devloop.yaml").exists() is written


def test_another_file_or_folder_may_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    run.devloop(capsys, "init", "-f", "sub")
    run.devloop(capsys, "init", "-f", "sub/other.yaml")
    assert sorted(os.listdir("sub")) == ["devloop.yaml", "other.yaml"]


def test_a_folder_that_is_missing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "init", "-f", "none/devloop.yaml")
    assert ended.status == 1
    assert ended.err.startswith("error[DL0300]: the folder ")
    assert "Traceback" not in ended.err
