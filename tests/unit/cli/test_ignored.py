"""`devloop ignored`: which rule decides about a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.run import devloop


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("devloop.yaml").write_text(
        "version: 1\nservices:\n  web: {target: {local: ./t}, sync: [{from: ./web, to: /app, ignore: ['*.tmp']}]}\n"
    )
    Path("web/sub").mkdir(parents=True)
    Path("web/.devloopignore").write_text("# comment\n*.log\n")
    Path("other").mkdir()


def test_the_rule_and_its_place_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    ended = devloop(capsys, "ignored", "web/a.log", "web/a.py", "web/sub/b.tmp")
    assert ended.status == 0
    log, plain, tmp = ended.out.splitlines()
    assert ".devloopignore:2" in log and "*.log" in log
    assert plain.startswith("web/a.py") and "not ignored" in plain
    assert "*.tmp" in tmp


def test_none_ignored_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert devloop(capsys, "ignored", "web/a.py", "web").status == 1


@pytest.mark.parametrize(
    ("path", "words"),
    [("other/x", "no sync covers it"), ("web/.git/config", "never synced"), ("web/../../x", "no sync")],
)
def test_what_no_rule_is_about(capsys: pytest.CaptureFixture[str], path: str, words: str) -> None:
    ended = devloop(capsys, "ignored", path)
    assert ended.status == 0 and words in ended.out


def test_json_and_names(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("web")
    (row,) = json.loads(devloop(capsys, "ignored", "a.log", "-o", "json").out)
    assert (row["path"], row["ignored"], row["to"]) == ("a.log", True, "/app")
    assert row["source"].endswith(".devloopignore:2") and row["rule"] == "*.log"
    assert devloop(capsys, "ignored", "a.log", "a.py", "-o", "name").out == "a.log\n"
