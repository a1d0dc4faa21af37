"""Runs a command line in this process, and returns its end."""

from __future__ import annotations

import sys
import types
from typing import NamedTuple

import click
import pytest

from devloop.cli import main, options


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def devloop(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    capsys.readouterr()
    status = main.run(arguments, options.Chosen())
    captured = capsys.readouterr()
    return Ended(status, captured.out, captured.err)


def add_verb(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Give the command line one more verb, as a module would."""
    assert command.name is not None
    module = types.ModuleType(f"devloop.cli.{command.name}")
    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(main.VERBS, "Test", {command.name: "A verb of a test."})
