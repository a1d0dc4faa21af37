"""`devloop flush`: what it asks, and what its status means."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli import watched
from tests.unit.cli.run import devloop


@pytest.mark.parametrize(("state", "status"), [("in sync", 0), ("held", 3), ("connecting", 3)])
def test_the_status_tells_whether_everything_is_in_sync(
    capsys: pytest.CaptureFixture[str], state: str, status: int
) -> None:
    with watched.watched() as project:
        project.answers["flush"] = {"web": state, "api": "in sync"}
        ended = devloop(capsys, "flush", "--timeout", "7", "web")
    assert (ended.status, project.asked) == (status, [("flush", {"services": ["web"], "timeout_s": 7.0})])
    assert ended.out == f"web: {state}\napi: in sync\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["flush"] = {"web": "in sync"}
        ended = devloop(capsys, "flush", "-o", "json")
    assert json.loads(ended.out) == {"web": "in sync"}
