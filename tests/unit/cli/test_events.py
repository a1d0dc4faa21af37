"""`devloop events`: one line of JSON for each event."""

from __future__ import annotations

import json

import pytest

from devloop.sync import events
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_events_come_until_the_stream_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched() as project:
        project.publish(events.Paused(paused=True), events.Ready(ms=12.0))
        ended = devloop(capsys, "events", "--recent")
    assert ended.status == 0
    first, second = map(json.loads, ended.out.splitlines())
    assert (first["event"], first["paused"]) == ("paused", True)
    assert (second["event"], second["ms"]) == ("ready", 12.0)


def test_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    assert devloop(capsys, "events").status == 1
