"""The commands of a batch."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from agent import hooks
from devloop.core import pathmap
from devloop.proc import lines
from tests.unit.proc.commands import IGNORES_TERM, PATIENCE_S, Reader, shell


def spec(
    name: str, script: str | list[str], timeout_s: float = PATIENCE_S, grace_s: float = PATIENCE_S
) -> hooks.HookSpec:
    argv = shell(script) if isinstance(script, str) else script
    return hooks.HookSpec(name, tuple(argv), "/", dict(os.environ), timeout_s, grace_s)


async def test_hooks_run_in_their_order_and_their_lines_carry_their_names() -> None:
    output = lines.LineQueue()
    results = await hooks.Hooks(output).run([spec("one", "echo 1"), spec("two", "echo 2 >&2")])
    assert [(result.name, result.exit_status, result.failure) for result in results] == [("one", 0, ""), ("two", 0, "")]
    assert all(result.duration_ms >= 0 for result in results)
    reader = Reader(output)
    assert await reader.next() == lines.Line("one", lines.Stream.STDOUT, "1")
    assert await reader.next() == lines.Line("two", lines.Stream.STDERR, "2")


@pytest.mark.parametrize(
    ("argv", "status", "failure"),
    [
        (shell("exit 3"), 3, "exit 3"),
        (shell("kill -9 $$"), -9, "killed by SIGKILL"),
        (["no-such-command"], None, "command not found: no-such-command (is it installed"),
    ],
)
async def test_a_failure_is_the_result_and_the_next_hook_runs(
    argv: list[str], status: int | None, failure: str
) -> None:
    output = lines.LineQueue()
    bad, good = await hooks.Hooks(output).run([spec("bad", argv), spec("good", "true")])
    assert bad.exit_status == status
    assert bad.failure.startswith(failure)
    assert good.failure == ""
    # Whoever asked for it tells of the failure: said among the lines too, it would be told twice.
    assert await Reader(output).rest() == []


async def test_a_hook_that_takes_too_long_is_ended_with_its_group() -> None:
    output = lines.LineQueue()
    (result,) = await hooks.Hooks(output).run([spec("slow", "sleep 1000 & sleep 1000", timeout_s=0.1)])
    assert result.exit_status == -signal.SIGTERM
    assert result.failure == "did not end within 0.1 s"


async def test_what_a_hook_leaves_behind_ends_with_it() -> None:
    output = lines.LineQueue()
    (result,) = await hooks.Hooks(output).run([spec("leaves", "sleep 1000 & echo $!")])
    assert result == hooks.HookResult("leaves", 0, result.duration_ms)


async def test_paths_in_the_output_are_the_laptops() -> None:
    output = lines.LineQueue()
    folders = pathmap.PathMap([pathmap.Pair("/app", "web")])
    await hooks.Hooks(output, folders.rewrite).run([spec("lint", "echo /app/src/x.py:12: oops")])
    assert await Reader(output).text() == "web/src/x.py:12: oops"


async def test_a_second_batch_waits_for_the_hooks_of_the_first(tmp_path: Path) -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    subject = hooks.Hooks(output)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(subject.run([spec("first", f"echo begin; read line < {gate}; echo end")]))
        assert await reader.text() == "begin"
        tasks.create_task(subject.run([spec("second", "echo second")]))
        await asyncio.sleep(0)
        gate.write_text("go\n")
        assert [await reader.text(), await reader.text()] == ["end", "second"]


async def test_cancelling_ends_the_group_and_starts_no_other() -> None:
    output = lines.LineQueue()
    reader = Reader(output)
    subject = hooks.Hooks(output)
    async with asyncio.timeout(PATIENCE_S):
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(subject.run([spec("one", IGNORES_TERM, grace_s=0.05), spec("two", "echo two")]))
            assert await reader.text() == "ready"
            running.cancel()
        assert running.cancelled()
        assert await reader.rest() == []
        assert len(await subject.run([spec("three", "true")])) == 1
