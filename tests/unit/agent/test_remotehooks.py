"""Hooks under the real launcher."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from agent import ctl, hooks, remotehooks
from devloop.proc import lines
from tests.unit.agent.launching import IN_NAMESPACE, launched, needs_busybox, needs_namespaces, until
from tests.unit.proc.commands import Reader

SLEEPS = ("sleep", "1000")


class Bench:
    """Hooks of a launcher's folder."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.output = lines.LineQueue()
        self.reader = Reader(self.output)
        self.hooks = remotehooks.RemoteHooks(ctl.Control(str(self.run)), self.output)

    async def does(self, *argv: str, **more: object) -> hooks.HookResult:
        (result,) = await self.hooks.run([spec(*argv, **more)])
        return result

    def left(self) -> list[str]:
        return sorted(set(os.listdir(self.run)) - {"ctl", "state", "state.new"})


def spec(*argv: str, **more: object) -> hooks.HookSpec:
    fields: dict[str, object] = {"name": "hook", "argv": argv, "cwd": "/", "env": {}, **more}
    return hooks.HookSpec(**fields)  # type: ignore[arg-type]


@needs_busybox
async def test_a_hook_runs_beside_the_app_and_its_lines_come_with_its_name(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        show = 'pwd; echo "$1"; echo "$A" >&2; exit 3'
        result = await bench.does("sh", "-c", show, "sh", 'it\'s "$x"', cwd=str(tmp_path), env={"A": "b  'c'"})
        assert (result.exit_status, result.failure) == (3, "exit 3")
        found = {await bench.reader.next() for _ in range(3)}
        assert found == {
            lines.Line("hook", lines.Stream.STDOUT, str(tmp_path)),
            lines.Line("hook", lines.Stream.STDOUT, 'it\'s "$x"'),
            lines.Line("hook", lines.Stream.STDERR, "b  'c'"),
        }
        assert bench.left() == []
        assert (await bench.does("true")).failure == ""
        assert subject.state()[:3:2] == ["running", "1"]


@needs_busybox
async def test_lines_come_while_the_hook_runs(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        gate = tmp_path / "gate"
        async with asyncio.TaskGroup() as group:
            wait = "echo first; while [ ! -e gate ]; do sleep 0.02; done; echo last"
            running = group.create_task(bench.does("sh", "-c", wait, cwd=str(tmp_path)))
            assert await bench.reader.text() == "first"
            assert not running.done()
            gate.touch()
            assert await bench.reader.text() == "last"


@needs_busybox
async def test_much_output_fills_no_disk_and_is_bounded(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        result = await bench.does("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' 'x' | fold -w 100; echo end")
        assert result.failure == ""
        taken = await bench.output.take()
        assert taken is not None
        assert (taken.lines[-1].text, taken.dropped + len(taken.lines)) in {("end", 10001), ("x" * 100 + "end", 10000)}


@needs_busybox
@needs_namespaces
async def test_a_hook_that_takes_too_long_is_ended_with_its_group(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS, before=IN_NAMESPACE) as subject:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        result = await bench.does("sh", "-c", "sleep 1000 & wait", timeout_s=0.2)
        assert (result.exit_status, result.failure) == (-15, "did not end within 0.2 s")
        stubborn = "trap '' TERM; while :; do sleep 0.1; done"
        result = await bench.does("sh", "-c", stubborn, timeout_s=0.2, grace_s=0.2)
        assert (result.exit_status, result.failure) == (-9, "did not end within 0.2 s")
        assert bench.left() == []


@needs_busybox
@pytest.mark.parametrize(
    ("argv", "more", "failure"),
    [
        (("no-such-command",), {}, "is no-such-command installed"),
        (("true",), {"cwd": "/no/such/folder"}, "exit 126"),
        (("true",), {"env": {"a b": "c"}}, "'a b' cannot be set"),
        (("tr\0ue",), {}, "zero byte"),
    ],
)
async def test_what_cannot_be_run_is_told(
    tmp_path: Path, argv: tuple[str, ...], more: dict[str, object], failure: str
) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        assert failure in (await bench.does(*argv, **more)).failure
        assert bench.left() == []


async def test_without_a_launcher_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotehooks, "LAUNCHER_WAIT_S", 0.1)
    (tmp_path / "run").mkdir()
    bench = Bench(tmp_path)
    assert "the app's container does not run" in (await bench.does("true")).failure
    assert bench.left() == []
    (tmp_path / "run").rmdir()
    assert "the launcher's folder" in (await bench.does("true")).failure


@needs_busybox
async def test_a_container_that_ends_meanwhile_is_told(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject, asyncio.TaskGroup() as group:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        running = group.create_task(bench.does("sh", "-c", "echo up; exec sleep 1000"))
        assert await bench.reader.text() == "up"
        pid = int((await until(lambda: list(bench.run.glob("pid.*")), "its pid"))[0].read_text())
        subject.process.kill()
        async with launched(tmp_path, *SLEEPS):
            assert (await running).failure == "the app's container ended meanwhile"
            os.killpg(pid, 9)


@needs_busybox
async def test_what_an_earlier_agent_left_running_is_ended(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        (subject.run / "cmd.abc").write_text("exec sleep 1000\n")
        subject.order("run abc")
        pid = (await until(lambda: list(subject.run.glob("pid.*")), "its pid"))[0].read_text().strip()
        await until(lambda: pid.isdigit() or (subject.run / "pid.abc").read_text().strip(), "a whole pid")
        bench = Bench(tmp_path)
        await until(lambda: not (subject.run / "pid.abc").exists(), "its end")
        assert (await bench.does("true")).failure == ""


@needs_busybox
async def test_a_cancelled_hook_is_ended(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject, asyncio.TaskGroup() as group:
        await subject.phase("running", 1)
        bench = Bench(tmp_path)
        running = group.create_task(bench.does("sh", "-c", "echo up; exec sleep 1000"))
        assert await bench.reader.text() == "up"
        running.cancel()
        await until(lambda: not list(bench.run.glob("pid.*")), "its end")
