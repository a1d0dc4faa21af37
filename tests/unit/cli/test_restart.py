"""`devloop restart`: what it asks and says."""

from __future__ import annotations

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_it_restarts(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        ended = devloop(capsys, "restart", "web", "api")
    assert (ended.status, project.asked) == (0, [("restart", {"services": ["web", "api"]})])
    assert "web, api" in ended.err


def test_it_needs_a_service(capsys: pytest.CaptureFixture[str]) -> None:
    assert devloop(capsys, "restart").status == 2


def test_a_refusal_keeps_its_words_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["restart"] = watched.refused()
        ended = devloop(capsys, "restart", "web")
    assert ended.status == 7
    assert "somebody else has it" in ended.err and "ask them" in ended.err
