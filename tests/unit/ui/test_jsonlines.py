"""One event a line, and back."""

from __future__ import annotations

import io
import json

from devloop.sync import events
from devloop.ui import jsonlines
from tests.fakes import scenario


def test_every_event_of_a_day_is_a_line_that_says_its_version_and_kind() -> None:
    out = io.BytesIO()
    view = jsonlines.JsonView(out)
    played = [event for _, event in scenario.play()]
    for event in played:
        view.show(event)
    view.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == len(played)
    for line, event in zip(lines, played, strict=True):
        said = json.loads(line)
        assert said["v"] == events.VERSION
        assert type(events.from_json(line)) is type(event)


def test_an_event_comes_back_as_it_was() -> None:
    event = events.Notice(time=1.5, service="web", level=events.Level.ERROR, message='a "b"\n', hint="é", code="DL1")
    out = io.BytesIO()
    jsonlines.JsonView(out).show(event)
    assert events.from_json(out.getvalue()) == event


def test_a_name_that_is_not_utf_8_is_written_out() -> None:
    row = events.ProblemRow("caf\udce9", "io", "x", "pod")
    out = io.BytesIO()
    jsonlines.JsonView(out).show(events.ProblemsChanged(service="web", problems=(row,), count=1))
    assert json.loads(out.getvalue())["problems"][0]["path"] == "caf\\xe9"
