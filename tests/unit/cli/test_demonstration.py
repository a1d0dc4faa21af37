"""The demo itself, run for real on few files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devloop import errors
from devloop.cli import demonstration


async def test_it_runs_through_and_leaves_nothing_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with asyncio.timeout(50):
        assert await demonstration.run(tmp_path / "project", files=20, keep=False) is errors.Exit.OK
    told = capsys.readouterr()
    assert told.out.count("app.py saved") == demonstration.EDITS
    assert "20 files come" in told.out and "20 files go" in told.out
    assert "everything was stopped" in told.err


async def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.LocalError, match="needs git"):
        await demonstration.run(tmp_path, files=1, keep=False)


async def test_a_step_that_takes_too_long_is_a_plain_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "STEP_TIMEOUT_S", 0.001)
    found: list[errors.DevloopError] = []
    try:
        await demonstration.run(tmp_path / "project", files=1, keep=False)
    except* errors.DevloopError as group:
        found.append(errors.first(group))
    assert "a step took more than" in found[0].message


def test_the_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    demonstration.print_table([demonstration.Row("edit", 1.25, 10.0), demonstration.Row("a longer one", 100.0, 0.5)])
    header, first, second = [line for line in capsys.readouterr().out.splitlines() if line]
    assert "saved -> acked" in header and "11.2 ms" in first
    assert first.index("ms") == second.index("ms")
