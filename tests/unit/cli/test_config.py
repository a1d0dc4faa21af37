from __future__ import annotations

import json
from pathlib import Path

import pytest

from devloop.config import schema
from tests.unit.cli import run

GOOD = "version: 1\nservices:\n  web:\n    target: {local: ./.devloop/web}\n    sync:\n      - {from: ., to: /app}\n"


def write(text: str, name: str = "devloop.yaml") -> None:
    Path(name).write_text(text)


def test_a_valid_file_is_said_to_be_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    assert run.devloop(capsys, "config", "validate") == (0, "", "devloop.yaml is valid: 1 service, 1 sync\n")
    assert run.devloop(capsys, "config", "validate", "-q") == (0, "", "")


def test_everything_wrong_is_told_and_the_status_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD + "    prots: [80]\nname: '-'\n")
    ended = run.devloop(capsys, "config", "validate")
    assert ended == (
        2,
        "",
        (
            "devloop.yaml:7:5: error: services.web.prots: unknown key [DL0203]\nhint: did you mean 'ports'?\n"
            "devloop.yaml:8:7: error: name: '-' cannot be a name [DL0204]\n"
            "hint: letters, digits, '.', '_' and '-', from letter or digit to the same\n"
        ),
    )


def test_the_verdict_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD)
    write("name: mine", "devloop.local.yaml")
    told = json.loads(run.devloop(capsys, "config", "validate", "-o", "json").out)
    assert told == {
        "v": 1,
        "valid": True,
        "file": str(Path("devloop.yaml").absolute()),
        "overlay": str(Path("devloop.local.yaml").absolute()),
        "services": ["web"],
        "errors": [],
        "warnings": [],
    }
    write(GOOD + "name: '-'\n")
    write("", "devloop.local.yaml")
    ended = run.devloop(capsys, "config", "validate", "-o", "json")
    assert (ended.status, ended.err) == (2, "")
    (error,) = json.loads(ended.out)["errors"]
    assert (error["file"], error["line"], error["column"], error["code"]) == ("devloop.yaml", 7, 7, "DL0204")


def test_no_file_at_all_is_told_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys, "config", "validate").err.startswith("error[DL0201]: no devloop.yaml in ")
    ended = run.devloop(capsys, "config", "validate", "-o", "json")
    assert (ended.status, json.loads(ended.out)["valid"]) == (2, False)


def test_a_missing_from_folder_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    write(GOOD.replace("from: .", "from: ./no"))
    ended = run.devloop(capsys, "config", "validate")
    assert ended.status == 0
    assert ended.err.startswith("devloop.yaml:6:16: warning: services.web.sync[0].from: the folder ")


def test_the_file_is_found_from_a_folder_below_and_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(GOOD)
    write(GOOD, "other.yaml")
    Path("sub").mkdir()
    assert "other.yaml is valid" in run.devloop(capsys, "-f", "other.yaml", "config", "validate").err
    monkeypatch.chdir("sub")
    assert "../devloop.yaml is valid" in run.devloop(capsys, "config", "validate").err
    monkeypatch.setenv("DEVLOOP_FILE", "../other.yaml")
    assert "../other.yaml is valid" in run.devloop(capsys, "config", "validate").err


def test_the_schema_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys, "config", "schema") == (0, schema.text(), "")


def test_an_unknown_verb_of_config_is_told_the_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.devloop(capsys, "config", "valdate").err.endswith("hint: did you mean validate?\n")
