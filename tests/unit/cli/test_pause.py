"""`devloop pause`: what it asks and says."""

from __future__ import annotations

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_it_pauses(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        ended = devloop(capsys, "pause")
    assert (ended.status, ended.out, project.asked) == (0, "", [("pause", {})])
    assert "devloop resume" in ended.err


def test_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "pause")
    assert ended.status == 1
    assert "not watching" in ended.err and "devloop watch" in ended.err
