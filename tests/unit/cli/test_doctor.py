"""`devloop doctor`: its forms, its exit status, and services that do not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.run import devloop

YAML = "version: 1\nservices:\n  web:\n    target: {local: ./target}\n    sync: [{from: ./web, to: /app}]\n"


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("devloop.yaml").write_text(YAML)
    Path("web").mkdir()


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "doctor")
    assert (ended.status, ended.err) == (0, "")
    assert "service web" in ended.out and "target will be made" in " ".join(ended.out.split())


def test_json_and_the_exit_status_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    Path("target").mkdir()
    Path("target", "mine").touch()
    ended = devloop(capsys, "doctor", "web", "-o", "json")
    told = json.loads(ended.out)
    assert ended.status == told["exit"] == 1
    assert [check["name"] for check in told["checks"] if check["level"] == "fail"] == ["target"]


def test_an_unknown_service(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "doctor", "wbe")
    assert ended.status == 2 and "did you mean web" in ended.err
