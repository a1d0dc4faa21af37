"""`devloop diff`: rows as text, names and JSON."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop

ROWS = [
    {"service": "web", "target": "t", "to": "/app", "path": "a\x1b[2J", "what": "drift-changed", "detail": "x"},
    {"service": "web", "target": "t", "to": "", "path": "b", "what": "problem", "detail": "unreadable"},
    {"service": "web", "target": "t", "to": "/app/", "path": "c", "what": "something new", "detail": ""},
]


def test_rows_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["diff"] = ROWS
        ended = devloop(capsys, "diff")
    assert (ended.status, project.asked) == (3, [("diff", {"services": []})])
    first, second, third = ended.out.splitlines()
    assert "/app/a\\x1b[2J" in first and "changed in the target" in first
    assert second == "web  b  cannot be synced (unreadable)"
    assert third == "web  /app/c  something new"


def test_no_rows_is_success(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["diff"] = []
        ended = devloop(capsys, "diff", "web")
    assert (ended.status, ended.out) == (0, "laptop and targets are the same\n")


def test_names_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["diff"] = ROWS[1:]
        assert devloop(capsys, "diff", "-o", "name").out == "b\nc\n"
        assert json.loads(devloop(capsys, "diff", "-o", "json").out) == ROWS[1:]
