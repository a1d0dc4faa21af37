"""How the lines of several services are read and printed; the verb itself is in test_logs.py."""

from __future__ import annotations

import io
import sys

import pytest

from devloop.cli import options, readlogs
from devloop.logs import chosen, values

ORIGIN = values.Origin("web", "web-0", "u", "app")
BATCH = values.Batch(ORIGIN, 0, [b"2026-05-01T10:00:00Z a"])


def screen(**settings: object) -> readlogs.Screen:
    made = options.Settings(**settings)  # type: ignore[arg-type]
    return readlogs.Screen(made, chosen.Chosen(), prefix=False, timestamps=False, pretty=False)


def test_lines_are_data_and_remarks_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    screen().show([BATCH, values.Note(ORIGIN, "something", "do this"), BATCH])
    said = capsys.readouterr()
    assert said.out == "a\na\n" and said.err == "web-0 app: something\nhint: do this\n"


def test_quietly_there_are_no_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    screen(verbosity=-1).show([BATCH, values.Note(ORIGIN, "something")])
    said = capsys.readouterr()
    assert said.out == "a\n" and said.err == ""


def test_whoever_has_left_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError):
        screen().show([BATCH])
