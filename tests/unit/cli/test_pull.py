"""`devloop pull`: what was pulled, and what was not."""

from __future__ import annotations

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_what_was_pulled_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["pull"] = [{"path": "a", "conflict": ""}]
        ended = devloop(capsys, "pull", "a", "--service", "web")
    assert (ended.status, ended.out) == (0, "a: pulled\n")
    assert project.asked == [("pull", {"paths": ["a"], "services": ["web"]})]


def test_a_conflict_is_partial(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["pull"] = [{"path": "a", "conflict": "/p/.devloop/conflicts/a"}, {"path": "b", "conflict": ""}]
        ended = devloop(capsys, "pull")
    assert ended.status == 3
    assert "changed on both sides" in ended.out and "/p/.devloop/conflicts/a" in ended.out


def test_nothing_to_pull(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["pull"] = []
        ended = devloop(capsys, "pull")
    assert (ended.status, ended.out) == (0, "nothing to pull\n")
