from __future__ import annotations

import json

import pytest

from devloop.ui import codes
from tests.unit.cli import run


@pytest.mark.parametrize("written", ["DL0203", "dl0203", "203", "0203"])
def test_a_code_is_explained_however_it_is_written(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "explain", written)
    assert ended.status == 0
    assert ended.out.startswith("DL0203: an unknown key\n\n")


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run.devloop(capsys, "explain").out.splitlines()
    assert [line.split()[0] for line in lines] == list(codes.CODES)
    assert run.devloop(capsys, "explain", "-o", "name").out.split() == list(codes.CODES)


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(run.devloop(capsys, "explain", "DL0100", "-o", "json").out)
    assert told == {"v": 1, "code": "DL0100", **codes.CODES["DL0100"]._asdict()}
    assert len(json.loads(run.devloop(capsys, "explain", "-o", "json").out)["codes"]) == len(codes.CODES)


@pytest.mark.parametrize("code", ["DL9998", "x", "²"])
def test_an_unknown_code_is_said_to_be(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run.devloop(capsys, "explain", code)
    assert ended == (2, "", f"error[DL0100]: there is no error code {code}\nhint: `devloop explain` lists them\n")
