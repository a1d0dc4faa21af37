"""`devloop wait`: until somebody watches and everything is in sync, or until it took too long."""

from __future__ import annotations

import pytest

from devloop.cli import asking
from devloop.daemon import client
from tests.unit.cli import watched
from tests.unit.cli.run import devloop


def test_it_waits_until_everything_is_in_sync(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(asking, "pause", pauses.append)
    with watched.watched() as project:
        states = iter(["syncing", "held", "in sync"])
        monkeypatch.setattr(asking, "ask", lambda *args, **more: {"web": next(states)})
        ended = devloop(capsys, "wait", "web")
        assert project.asked == []
    assert ended.status == 0
    assert "web: in sync" in ended.err and len(pauses) == 2


def test_it_waits_until_somebody_watches(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([client.NotWatchingError("nobody"), client.NotWatchingError("nobody"), {"web": "in sync"}])

    def ask(*args: object, **more: object) -> object:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(asking, "pause", lambda seconds: None)
    monkeypatch.setattr(asking, "ask", ask)
    with watched.watched():
        assert devloop(capsys, "wait").status == 0


def test_it_gives_up(capsys: pytest.CaptureFixture[str]) -> None:
    with watched.watched():
        pass
    ended = devloop(capsys, "wait", "--timeout", "0.05")
    assert ended.status == 1 and "not watching" in ended.err
    with watched.watched() as project:
        project.answers["flush"] = {"web": "held"}
        assert devloop(capsys, "wait", "--timeout", "0.05").status == 3
