"""The app under the real launcher, through a real fifo."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import ctl, remote
from devloop.core.appstate import AppState, Mode, Policy, State
from tests.unit.agent.launching import PATIENCE_S, launched, needs_busybox

PRINTS = ("sh", "-c", "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done")
SLEEPS = ("sh", "-c", "echo up; exec sleep 1000")


class Watched:
    """A remote app and the states that it told."""

    def __init__(self, folder: Path, policy: Policy | None = None) -> None:
        self.states: list[AppState] = []
        self._news = asyncio.Event()
        self.app = remote.RemoteApp(ctl.Control(str(folder / "run")), policy or Policy(), self._note)

    def _note(self, state: AppState) -> None:
        self.states.append(state)
        self._news.set()

    async def until(self, wanted: State, starts: int | None = None) -> AppState:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                state = self.app.state
                if state.state is wanted and (starts is None or state.restarts + 1 == starts):
                    return state
                await self._news.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Watched]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.app.run())
            try:
                yield self
            finally:
                task.cancel()


@needs_busybox
async def test_a_change_replaces_the_process(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        async with Watched(tmp_path).running() as watched:
            first = await watched.until(State.RUNNING, 1)
            watched.app.changed()
            await subject.hears("up")
            second = await watched.until(State.RUNNING, 2)
            assert first.pid != second.pid
            assert second.exit_status == -signal.SIGTERM
            watched.app.start()
            watched.app.restart()
            await subject.hears("up")
            await watched.until(State.RUNNING, 3)


async def test_a_start_after_a_change_that_is_under_way_is_no_second_restart(tmp_path: Path) -> None:
    orders: list[str] = []
    given = asyncio.Event()

    class Slow(ctl.Control):
        """A launcher that runs the app, and has not carried out anything yet."""

        def told(self) -> ctl.Told | None:
            return ctl.Told("running", 7, 1, None, 0)

        def order(self, line: str) -> bool:
            orders.append(line)
            given.set()
            return True

    app = remote.RemoteApp(Slow(str(tmp_path)), Policy(), lambda state: None)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(app.run())
        app.changed()
        await given.wait()
        given.clear()
        app.start()
        for _ in range(10):
            # Turns of the loop, in which it would be given.
            await asyncio.sleep(0)
        assert orders == ["restart 1"]
        app.changed()
        await given.wait()
        running.cancel()
    assert orders == ["restart 1", "restart 2"]


@needs_busybox
async def test_a_change_is_a_signal_where_that_is_the_reload(tmp_path: Path) -> None:
    async with launched(tmp_path, *PRINTS) as subject:
        await subject.hears("up")
        await subject.phase("running", 1)
        async with Watched(tmp_path, Policy(Mode.SIGNAL)).running() as watched:
            watched.app.changed()
            await subject.hears("hup")
            assert watched.app.state.restarts == 0


@needs_busybox
@pytest.mark.parametrize("mode", list(Mode))
async def test_a_change_starts_an_app_that_has_crashed(tmp_path: Path, mode: Mode) -> None:
    async with launched(tmp_path, "./no-such-command") as subject:
        async with Watched(tmp_path, Policy(mode)).running() as watched:
            crashed = await watched.until(State.CRASHED, 1)
            assert crashed.reason == "exit 127; waits for the next change"
            watched.app.changed()
            await watched.until(State.CRASHED, 2)
        assert subject.process.poll() is None


@needs_busybox
async def test_only_the_laptop_says_that_the_first_sync_is_complete(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS, options=("--wait-first-sync",)) as subject:
        await subject.phase("waiting", 0)
        async with Watched(tmp_path).running() as watched:
            assert watched.app.state.reason == "waits for the first sync"
            watched.app.changed()
            assert watched.app._want == 0
            watched.app.start()
            await watched.until(State.RUNNING, 1)


@needs_busybox
async def test_a_launcher_that_is_gone_is_told_and_found_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    async with Watched(tmp_path).running() as watched:
        gone = watched.app.state
        assert gone.state is State.BACKOFF and "is the app's container running?" in gone.reason
        watched.app.start()
        for _ in range(2):
            async with launched(tmp_path, *SLEEPS, options=("--wait-first-sync",)) as subject:
                # What was wanted of the first launcher is wanted of the next one.
                await subject.hears("up")
                await watched.until(State.RUNNING, 1)
            await watched.until(State.BACKOFF)


@needs_busybox
async def test_a_later_agent_goes_on_where_the_earlier_one_was(tmp_path: Path) -> None:
    async with launched(tmp_path, *SLEEPS) as subject:
        await subject.phase("running", 1)
        for starts in (2, 3):
            async with Watched(tmp_path).running() as watched:
                watched.app.changed()
                await watched.until(State.RUNNING, starts)
                await asyncio.sleep(0)
        assert subject.state()[4] == "2"


def test_states_in_words() -> None:
    def told(phase: str, status: int | None = None) -> AppState:
        return remote.state_of(ctl.Told(phase, 5, 3, status, 1), "/run", 7.0)

    assert told("running") == AppState(State.RUNNING, 5, None, 2, 7.0)
    assert told("backoff", 3).reason == "exit 3; is tried again after a pause"
    assert told("crashed", -11).reason == "killed by SIGSEGV; waits for the next change"
    assert told("finished", 0) == AppState(State.FINISHED, 5, 0, 2, 7.0)
    assert told("a-later-version").state is State.STARTING
