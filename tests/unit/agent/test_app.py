"""The app under supervision, with real processes."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agent import app
from devloop.core.appstate import AppState, Mode, Policy, State
from devloop.proc import group, identity, lines, table
from tests.unit.proc.commands import ENDS_ON_TERM, IGNORES_TERM, PATIENCE_S, PYTHON, Reader, shell

ROOT = Path(__file__).parents[3]


class Bench:
    """An app, its lines, and the states it went through."""

    def __init__(self, folder: Path, argv: list[str], policy: Policy | None = None) -> None:
        self.file = str(folder / "app.json")
        self.output = lines.LineQueue()
        self.reader = Reader(self.output)
        self.states: list[AppState] = []
        self._news = asyncio.Event()
        spec = app.AppSpec(tuple(argv), str(folder), dict(os.environ), policy or Policy(grace_s=PATIENCE_S), self.file)
        self.app = app.App(spec, output=self.output, on_state=self._note)

    def _note(self, state: AppState) -> None:
        self.states.append(state)
        self._news.set()

    def state(self) -> State:
        return self.app.state.state

    async def until(self, wanted: State | Callable[[AppState], bool]) -> AppState:
        """Wait for the app to be, or to satisfy, `wanted`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                state = self.app.state
                if state.state is wanted or (callable(wanted) and wanted(state)):
                    return state
                await self._news.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.app.run())
            try:
                yield
            finally:
                task.cancel()


def is_gone(pid: int) -> bool:
    seen = table.look(pid)
    return seen is None or seen.zombie


async def test_a_change_replaces_the_process_after_it_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ENDS_ON_TERM)
    async with bench.running():
        bench.app.start()
        assert await bench.reader.text() == "ready"
        first = bench.app.state.pid
        bench.app.changed()
        assert bench.state() is State.STOPPING
        bench.app.changed()
        assert await bench.reader.text() == "bye"
        assert await bench.reader.text() == "ready"
        state = await bench.until(State.RUNNING)
        assert state.pid != first
        assert (state.restarts, state.exit_status) == (1, 3)
    assert is_gone(state.pid)
    assert bench.state() is State.STOPPED
    seen = [state for state, _ in itertools.groupby(told.state.value for told in bench.states)]
    life = ["starting", "running", "stopping"]
    assert seen == [*life, *life, "stopped"]


async def test_any_number_of_changes_never_has_two_processes_and_the_last_one_counts(tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("0\n")
    script = """if True:
    import fcntl, signal
    lock = open('lock', 'w')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print('two at once')
    print(open('version').read().strip())
    signal.pause()
    """
    bench = Bench(tmp_path, [*PYTHON, script])
    chance = random.Random(7)
    seen: list[str] = []
    async with bench.running():
        bench.app.start()
        for number in range(1, 61):
            version.write_text(f"{number}\n")
            bench.app.changed()
            if chance.random() < 0.3:
                seen.append(await bench.reader.text())
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        while not seen or seen[-1] != "60":
            seen.append(await bench.reader.text())
        assert "two at once" not in seen
        assert bench.state() is State.RUNNING
        assert bench.app.state.restarts <= 60


async def test_an_app_that_ignores_term_is_killed_after_its_grace(tmp_path: Path) -> None:
    bench = Bench(tmp_path, IGNORES_TERM, Policy(grace_s=0.05))
    async with bench.running():
        bench.app.start()
        assert await bench.reader.text() == "ready"
        bench.app.restart()
        await bench.until(State.KILLING)
        assert await bench.reader.text() == "ready"
        assert bench.app.state.exit_status == -signal.SIGKILL


async def test_the_next_process_waits_for_the_whole_group(tmp_path: Path) -> None:
    inner = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('released'), sys.exit())); "
    inner += "print('taken'); signal.pause()"
    bench = Bench(tmp_path, [*PYTHON, f"import subprocess; subprocess.run({[*PYTHON, inner]!r})"])
    async with bench.running():
        bench.app.start()
        assert await bench.reader.text() == "taken"
        bench.app.changed()
        assert await bench.reader.text() == "released"
        assert await bench.reader.text() == "taken"


async def test_a_crash_loop_backs_off_and_a_fix_starts_at_once(tmp_path: Path) -> None:
    main = tmp_path / "main.sh"
    main.write_text("echo broken; exit 1")
    bench = Bench(tmp_path, ["sh", "main.sh"])
    async with bench.running():
        bench.app.start()
        state = await bench.until(State.BACKOFF)
        assert "next try in 0.5 s" in state.reason
        state = await bench.until(lambda state: "next try in 1 s" in state.reason)
        assert (state.exit_status, state.restarts, state.pid) == (1, 1, 0)
        main.write_text("echo fixed; exec sleep 1000")
        bench.app.changed()
        assert bench.state() is State.RUNNING
        await bench.reader.until("fixed")


async def test_a_missing_command_waits_for_the_change_that_brings_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ["./main"])
    async with bench.running():
        bench.app.start()
        state = await bench.until(State.CRASHED)
        assert "command not found: ./main" in state.reason
        main = tmp_path / "main"
        main.write_text("#!/bin/sh\necho here\nexec sleep 1000\n")
        main.chmod(0o755)
        bench.app.changed()
        assert await bench.reader.text() == "here"


async def test_signal_mode_keeps_the_process(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGUSR1, lambda *_: print('reloaded')); print('ready')\n"
    script += "while True: signal.pause()"
    bench = Bench(tmp_path, [*PYTHON, script], Policy(Mode.SIGNAL, PATIENCE_S, signal.SIGUSR1))
    async with bench.running():
        bench.app.start()
        assert await bench.reader.text() == "ready"
        pid = bench.app.state.pid
        bench.app.changed()
        assert await bench.reader.text() == "reloaded"
        assert bench.app.state.pid == pid


async def test_stop_waits_for_the_end_and_start_begins_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ENDS_ON_TERM)
    async with bench.running():
        await bench.app.stop()
        bench.app.start()
        assert await bench.reader.text() == "ready"
        pid = bench.app.state.pid
        await bench.app.stop()
        assert is_gone(pid)
        assert not os.path.exists(bench.file)
        bench.app.changed()
        assert bench.state() is State.STOPPED
        bench.app.start()
        assert await bench.reader.until("ready")


async def test_events_before_the_run_are_not_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ENDS_ON_TERM)
    bench.app.start()
    async with bench.running():
        assert await bench.reader.text() == "ready"


async def test_the_callback_may_feed_events_itself(tmp_path: Path) -> None:
    spec = app.AppSpec(("sleep", "1000"), "/", None, Policy(), str(tmp_path / "app.json"))
    seen: list[State] = []
    done = asyncio.Event()

    def restart_once(state: AppState) -> None:
        seen.append(state.state)
        if seen.count(State.RUNNING) == 1 and state.state is State.RUNNING:
            subject.restart()
        if seen.count(State.RUNNING) == 2:
            done.set()

    subject = app.App(spec, output=lines.LineQueue(), on_state=restart_once)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(subject.run())
        subject.start()
        await done.wait()
        task.cancel()


async def test_the_time_of_a_state_is_unix_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ["true"])
    assert abs(bench.app.state.since_s - time.time()) < 60


async def test_a_second_cancellation_kills_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, IGNORES_TERM, Policy(grace_s=1000))
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(bench.app.run())
        bench.app.start()
        assert await bench.reader.text() == "ready"
        pid = bench.app.state.pid
        task.cancel()
        await bench.until(State.STOPPING)
        task.cancel()
    assert is_gone(pid)


async def test_a_file_that_cannot_be_written_is_told_and_does_no_harm(tmp_path: Path) -> None:
    spec = app.AppSpec(("sleep", "1000"), "/", None, Policy(), "/no/such/app.json")
    output = lines.LineQueue()
    subject = app.App(spec, output=output, on_state=lambda state: None)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(subject.run())
        subject.start()
        assert (await Reader(output).text()).startswith("cannot write /no/such/app.json: No such file")
        task.cancel()


def own(file: Path, argv: list[str]) -> "subprocess.Popen[str]":
    """Start an agent of its own for an app."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.agent.owner", str(file), *argv],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def close(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


async def test_what_a_killed_agent_left_is_ended_by_the_next_one(tmp_path: Path) -> None:
    owner = own(tmp_path / "app.json", shell("sleep 1000 & echo up; wait"))
    assert first_line(owner) == "up"
    close(owner)
    stale = identity.load(str(tmp_path / "app.json"))
    assert stale is not None
    assert len(group.living(stale)) == 2
    bench = Bench(tmp_path, ["true"])
    async with bench.running():
        assert "ended process" in await bench.reader.text()
        assert group.living(stale) == []
        bench.app.start()
        await bench.until(State.FINISHED)
    assert not os.path.exists(bench.file)


@pytest.mark.parametrize("argv", [ENDS_ON_TERM, IGNORES_TERM])
async def test_the_group_ends_when_the_agents_parent_is_killed(tmp_path: Path, argv: list[str]) -> None:
    file = tmp_path / "app.json"
    # The pipe to the agent is held by this process alone, so that its end is the kernel's doing.
    script = (
        "import subprocess, sys\n"
        "argv = [sys.executable, '-m', 'tests.unit.agent.owner', *sys.argv[1:]]\n"
        "subprocess.Popen(argv, stdin=subprocess.PIPE).wait()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(file), *argv], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert first_line(parent) == "ready"
    who = identity.load(str(file))
    assert who is not None
    parent.kill()
    parent.wait()
    async with asyncio.timeout(PATIENCE_S):
        await group.empty(who)
    assert parent.stdout is not None
    parent.stdout.close()
