"""Commands on the laptop: their lines, their fate, and their end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from devloop.daemon import commandline
from devloop.proc import table
from devloop.sync import events


async def run(code: str, cwd: Path, timeout_s: float = 30.0) -> tuple[commandline.Outcome, list[events.Event]]:
    seen: list[events.Event] = []
    outcome = await commandline.run("it", [sys.executable, "-c", code], str(cwd), timeout_s, seen.append)
    return outcome, seen


async def test_lines_come_between_start_and_end(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd()); print('oops', file=sys.stderr)"
    outcome, seen = await run(code, tmp_path)
    assert outcome == commandline.Outcome(True, "exit 0")
    assert isinstance(seen[0], events.CommandStarted) and seen[0].name == "it"
    assert isinstance(seen[-1], events.CommandDone) and seen[-1].ok and seen[-1].ms > 0
    lines = {each.lines: each.err for each in seen if isinstance(each, events.Output)}
    assert lines == {(str(tmp_path),): False, ("oops",): True}


@pytest.mark.parametrize(
    ("code", "word"),
    [("raise SystemExit(3)", "exit 3"), ("import os; os.kill(os.getpid(), 9)", "SIGKILL")],
)
async def test_a_failure_is_told(tmp_path: Path, code: str, word: str) -> None:
    outcome, seen = await run(code, tmp_path)
    assert not outcome.ok and word in outcome.text
    assert isinstance(seen[-1], events.CommandDone) and seen[-1].outcome == outcome.text


async def test_what_takes_too_long_is_ended_with_all_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(60)\n"
    )
    outcome, seen = await run(code, tmp_path, timeout_s=0.5)
    assert not outcome.ok and "0.5 s" in outcome.text
    (pid,) = [int(each.lines[0]) for each in seen if isinstance(each, events.Output)]
    left = table.look(pid)
    assert left is None or left.zombie


@pytest.mark.parametrize("argv", [["no-such-command-at-all"], ["./not-there"]])
async def test_a_command_that_cannot_be_started_is_a_failure(tmp_path: Path, argv: list[str]) -> None:
    seen: list[events.Event] = []
    outcome = await commandline.run("it", argv, str(tmp_path), 5.0, seen.append)
    assert not outcome.ok and outcome.text
    assert [type(each) for each in seen] == [events.CommandStarted, events.CommandDone]


async def test_a_folder_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    outcome = await commandline.run("it", ["true"], str(tmp_path / "gone"), 5.0, lambda event: None)
    assert not outcome.ok and "gone" in outcome.text


async def test_cancelling_ends_the_command(tmp_path: Path) -> None:
    pids: list[int] = []
    started = asyncio.Event()

    def publish(event: events.Event) -> None:
        if isinstance(event, events.Output):
            pids.append(int(event.lines[0]))
            started.set()

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(commandline.run("it", [sys.executable, "-c", code], str(tmp_path), 60.0, publish))
        await started.wait()
        task.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
