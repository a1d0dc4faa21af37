"""`devloop status`: its forms, and what its exit status means."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from devloop.sync import status
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def snapshot(state: str) -> dict[str, object]:
    service = status.ServiceStatus(
        name="web",
        state=state,
        targets=(status.TargetStatus("/t", True, True),),
        syncs=(status.SyncStatus("web", "/app", 3, 10, "00" * 32, "inotify, 2 folders"),),
        app=None,
        held=0,
        pending=0,
        problems=(),
        problem_count=0,
        saves=0,
        save_p50_ms=0.0,
        save_p95_ms=0.0,
    )
    whole = status.ProjectStatus("shop", "/p", 7, "0.1.0", time.time(), False, (service,))
    found: dict[str, object] = msgspec.json.decode(msgspec.json.encode(whole))
    return found


@pytest.mark.parametrize(("state", "exit_status"), [("in sync", 0), ("held", 3), ("stopped", 3)])
def test_text_and_exit_status(capsys: pytest.CaptureFixture[str], state: str, exit_status: int) -> None:
    with watched.watched() as project:
        project.answers["status"] = snapshot(state)
        ended = devloop(capsys, "status")
    assert ended.status == exit_status
    assert "web" in ended.out and state in ended.out


def test_json_and_names(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.answers["status"] = snapshot("in sync")
        assert json.loads(devloop(capsys, "status", "-o", "json").out) == project.answers["status"]
        assert devloop(capsys, "status", "-o", "name").out == "web\n"


def test_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "status")
    assert ended.status == 1 and "not watching" in ended.err
