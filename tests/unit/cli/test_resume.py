"""`devloop resume`: what it asks and says."""

from __future__ import annotations

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_it_resumes(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        ended = devloop(capsys, "resume")
    assert (ended.status, ended.out, project.asked) == (0, "", [("resume", {})])
    assert "resumed" in ended.err


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        ended = devloop(capsys, "resume", "-q")
    assert (ended.status, ended.out, ended.err) == (0, "", "")
