from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty workspace, which is the current folder; nothing of who runs the tests gets in."""
    for name in [*(name for name in os.environ if name.startswith("DEVLOOP_")), "NO_COLOR", "FORCE_COLOR"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEVLOOP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = tmp_path / "work"
    made.mkdir()
    monkeypatch.chdir(made)
    return made
