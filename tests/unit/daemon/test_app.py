"""A flush ends when its services have settled, whether or not that is something that views are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

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


async def test_a_flush_ends_with_a_change_that_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "devloop.yaml").write_text(
        "version: 1\nservices: {web: {target: {local: ./t}, sync: [{from: ./web, to: /app}]}}\n"
    )
    (tmp_path / "web").mkdir()
    loaded = load.load(str(tmp_path / "devloop.yaml"))
    daemon = app.Daemon(loaded.config, loaded.folder, app.Options())
    service = Settling()

    def named(names: Sequence[str]) -> Any:
        return [service]

    monkeypatch.setattr(daemon, "_named", named)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        flushing = group.create_task(daemon.flush([], 1000.0))
        await service.flushed.wait()
        service.settled = True
        daemon._note_change()
    assert flushing.result() == {"web": "in sync"}
