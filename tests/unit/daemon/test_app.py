"""What is asked of a project's services: a flush ends when they have settled, and who has stopped is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devloop import errors
from devloop.config import load
from devloop.daemon import app


class Settling:
    """A service that settles when it is told to."""

    name = "web"
    fatal = None

    def __init__(self) -> None:
        self.settled = False
        self.flushed = asyncio.Event()

    async def flush(self, timeout_s: float) -> None:
        self.flushed.set()

    def state(self) -> str:
        return "in sync" if self.settled else "syncing"


class Stopped:
    """A service that could not go on: nothing of it runs that could do anything."""

    name = "web"
    fatal = errors.AgentError("the target is not empty")
    settled = False

    def state(self) -> str:
        return "stopped"


def daemon_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *services: object) -> app.Daemon:
    """Return a daemon that has these services."""
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "devloop.yaml").write_text(
        "version: 1\nservices: {web: {target: {local: ./t}, sync: [{from: ./web, to: /app}]}}\n"
    )
    (tmp_path / "web").mkdir()
    loaded = load.load(str(tmp_path / "devloop.yaml"))
    daemon = app.Daemon(loaded.config, loaded.folder, app.Options())

    def named(names: Sequence[str]) -> Any:
        return list(services)

    monkeypatch.setattr(daemon, "_named", named)
    return daemon


async def test_a_flush_ends_with_a_change_that_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Settling()
    daemon = daemon_in(tmp_path, monkeypatch, service)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        flushing = group.create_task(daemon.flush([], 1000.0))
        await service.flushed.wait()
        service.settled = True
        daemon._note_change()
    assert flushing.result() == {"web": "in sync"}


async def test_a_service_that_stopped_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = daemon_in(tmp_path, monkeypatch, Stopped())
    assert await daemon.flush([], 1000.0) == {"web": "stopped"}
    assert await daemon.approve() == 0
