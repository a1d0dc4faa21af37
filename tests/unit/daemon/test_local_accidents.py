"""A local target tells what passes (try again) from what does not (give up), by the way its agent failed to start."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from devloop import errors
from devloop.daemon import local


class Scripted(local.LocalTarget):
    """A target whose agent is a line of Python."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__(str(folder), ["/app"], str(folder / "sock"), str(folder / "log"))
        self._program = program

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(sys.executable, "-c", self._program, stdin=pipe, stdout=pipe)


def refusing(code: str) -> str:
    line = json.dumps({"error": {"message": "no", "hint": "", "code": code}})
    return f"print({line!r})"


async def opening(target: local.LocalTarget) -> None:
    async with target.open():
        raise AssertionError("it cannot be opened")


async def test_an_agent_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    with pytest.raises(errors.LinkError, match="was killed while it started"):
        await opening(Scripted(tmp_path, "import os; os.kill(os.getpid(), 9)"))


async def test_one_that_ends_by_itself_is_not(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="ended before it was ready"):
        await opening(Scripted(tmp_path, "raise SystemExit(1)"))


async def test_one_that_refuses_is_not(tmp_path: Path) -> None:
    with pytest.raises(errors.AgentError, match="no"):
        await opening(Scripted(tmp_path, refusing("DL0600")))


async def test_a_predecessor_that_is_still_ending_is_waited_for_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Scripted(tmp_path, refusing(errors.AgentError.BUSY))
    for _ in range(2):
        with pytest.raises(errors.LinkError, match="no"):
            await opening(target)
    monkeypatch.setattr(local, "BUSY_TIMEOUT_S", 0.0)
    with pytest.raises(errors.AgentError, match="no"):
        await opening(target)
