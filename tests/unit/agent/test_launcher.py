"""What follows a batch, one app after the other, and lines as messages."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent import launcher, places
from devloop.proc import lines
from devloop.protocol import messages

STUBBORN = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: print('leaving', flush=True))\n"
    "print('up', flush=True)\n"
    "time.sleep(60)\n"
)


class Ear:
    """What the laptop would hear."""

    def __init__(self) -> None:
        self.said: list[messages.Control] = []
        self.linked = True
        self.printed: list[messages.Output] = []
        self._more = asyncio.Event()

    def say(self, message: messages.Control) -> bool:
        self.said.append(message)
        self._more.set()
        return self.linked

    async def output(self, message: messages.Output) -> None:
        self.printed.append(message)
        self._more.set()

    async def until(self, *names: str) -> None:
        """Wait until these hooks are done, in this order."""
        async with asyncio.timeout(20):
            while [each.name for each in self.said if isinstance(each, messages.HookDone)] != list(names):
                await self.more()

    async def more(self) -> None:
        self._more.clear()
        await self._more.wait()

    async def app(self, phase: str) -> messages.AppChanged:
        async with asyncio.timeout(20):
            while True:
                for each in self.said:
                    if isinstance(each, messages.AppChanged) and each.phase == phase:
                        return each
                await self.more()

    def text(self) -> str:
        return b"".join(each.data for each in self.printed).decode()


@contextlib.asynccontextmanager
async def launched(folder: Path) -> AsyncIterator[tuple[launcher.Launcher, Ear]]:
    ear = Ear()
    data = folder / "data"
    data.mkdir()
    folders = [("/app", str(data)), ("/app/sub", str(folder))]
    made = launcher.Launcher(lambda output: places.Here(str(folder / "app"), folders, output), ear.say, ear.output)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await asyncio.sleep(0)
        try:
            yield made, ear
        finally:
            running.cancel()


def hook(name: str, code: str = "", **more: float) -> messages.HookSpec:
    return messages.HookSpec(name, (sys.executable, "-c", code or f"print({name!r})"), "/app", **more)


async def test_hooks_run_in_order_and_before_the_reload(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        reload = (sys.executable, "-c", "import os; print('reload', os.environ['MINE'], os.getcwd())")
        work.configure(messages.AppSpec(messages.ReloadMode.COMMAND, cwd="/app", run=reload, env={"MINE": "yes"}))
        work.after_batch((hook("one"), hook("two")), reload=True)
        await ear.until("one", "two", launcher.RELOAD)
        while f"reload yes {tmp_path}/data" not in ear.text():
            await ear.more()
    assert [type(each).__name__ for each in ear.said] == ["HookStarted", "HookDone"] * 3


async def test_batches_that_come_while_hooks_run_are_followed_up_once(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        gate = tmp_path / "gate"
        waiting = hook("first", f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)")
        work.configure(messages.AppSpec(messages.ReloadMode.COMMAND, cwd="/app", run=("true",)))
        work.after_batch((waiting,), reload=False)
        while not ear.said:
            await ear.more()
        for _ in range(5000):
            work.after_batch((hook("again"), hook("other")), reload=True)
        gate.touch()
        await ear.until("first", "again", "other", launcher.RELOAD)


async def test_a_batch_that_wants_nothing_is_followed_by_nothing(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        work.after_batch((), reload=False)
        work.after_batch((hook("x"),), reload=False)
        await ear.until("x")
    assert len(ear.said) == 2


@pytest.mark.parametrize(
    ("code", "outcome"), [("raise SystemExit(3)", "exit 3"), ("import time; time.sleep(60)", "did not end")]
)
async def test_a_hook_that_fails_is_told_and_the_next_runs(tmp_path: Path, code: str, outcome: str) -> None:
    async with launched(tmp_path) as (work, ear):
        timeout_s = 0.2 if "sleep" in code else 60.0
        work.after_batch((hook("bad", code, timeout_s=timeout_s), hook("good")), reload=False)
        await ear.until("bad", "good")
        while "good" not in ear.text():
            await ear.more()
    bad, good = [each for each in ear.said if isinstance(each, messages.HookDone)]
    assert not bad.ok and outcome in bad.outcome
    assert good.ok
    assert "failed" not in ear.text()


async def test_a_failure_that_nobody_hears_waits_among_the_lines(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        ear.linked = False
        work.after_batch((hook("bad", "raise SystemExit(3)"), hook("good")), reload=False)
        async with asyncio.timeout(20):
            while "good" not in ear.text():
                await ear.more()
    assert "failed: exit 3, after" in ear.text()


async def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        work.after_batch((messages.HookSpec("none", ("no-such-command-here",), "/app"),), reload=False)
        await ear.until("none")
    (done,) = [each for each in ear.said if isinstance(each, messages.HookDone)]
    assert not done.ok and "no-such-command-here" in done.outcome


def app(code: str, grace_s: float = 0.3) -> messages.AppSpec:
    return messages.AppSpec(messages.ReloadMode.SUPERVISE, (sys.executable, "-c", code), "/app", grace_s=grace_s)


async def test_the_same_app_goes_on_and_another_replaces_it(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, _ear):
        spec = app("import time; time.sleep(60)")
        work.configure(spec)
        first = work._app
        work.configure(spec)
        assert work._app is first
        work.configure(app("import time; time.sleep(61)"))
        assert work._app is not first


async def test_an_app_begins_when_all_before_it_have_ended(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        work.configure(app(STUBBORN, grace_s=0.4))
        work.start()
        while "up" not in ear.text():
            await ear.more()
        # The second is replaced while it still waits for the first.
        work.configure(app("print('second', flush=True)"))
        work.start()
        await asyncio.sleep(0)
        work.configure(app("print('third', flush=True)"))
        work.start()
        while "third" not in ear.text():
            await ear.more()
        assert "second" not in ear.text() and "leaving" in ear.text()
    phases = [each.phase for each in ear.said if isinstance(each, messages.AppChanged)]
    # The first had its whole grace and was killed, and only then the third was begun.
    assert list(dict.fromkeys(phases[: phases.index("stopped")])) == ["starting", "running", "stopping", "killing"]


async def test_no_command_is_no_app(tmp_path: Path) -> None:
    async with launched(tmp_path) as (work, ear):
        work.configure(messages.AppSpec(messages.ReloadMode.NONE))
        for what in (work.start, work.restart, work.tell_state):
            what()
        work.after_batch((), reload=True)
    assert ear.said == []


async def test_what_is_configured_before_it_runs_is_run(tmp_path: Path) -> None:
    ear = Ear()
    here = lambda output: places.Here(str(tmp_path / "app"), [("/app", str(tmp_path))], output)  # noqa: E731
    made = launcher.Launcher(here, ear.say, ear.output)
    made.configure(app("print('up', flush=True); import time; time.sleep(60)"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(made.run())
        await asyncio.sleep(0)
        made.start()
        while "up" not in ear.text():
            await ear.more()
        running.cancel()


def test_lines_of_one_source_travel_together() -> None:
    out, err = lines.Stream.STDOUT, lines.Stream.STDERR
    taken = [
        lines.Line("app", out, "a"),
        lines.Line("app", out, "b"),
        lines.Line("app", err, "c"),
        lines.Line("hook", err, "d"),
        lines.Line("hook", lines.Stream.NOTE, "e\ud800"),
    ]
    assert launcher._as_messages(taken, 3) == [
        messages.Output(1, "app", False, 3, b"a\nb\n"),
        messages.Output(1, "app", True, 0, b"c\n"),
        messages.Output(1, "hook", True, 0, b"d\n"),
        messages.Output(1, "hook", True, 0, b"e?\n"),
    ]
    assert launcher._as_messages([], 0) == []


def test_many_lines_fit_frames() -> None:
    text = "x" * lines.MAX_LINE_BYTES
    found = launcher._as_messages([lines.Line("app", lines.Stream.STDOUT, text)] * 100, 0)
    assert b"".join(each.data for each in found) == (text.encode() + b"\n") * 100
    assert all(len(each.data) <= messages.MAX_DATA_BYTES for each in found)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (messages.AppSpec(messages.ReloadMode.SIGNAL, signal="HUP"), ""),
        (messages.AppSpec(messages.ReloadMode.SIGNAL, signal="sigusr1"), ""),
        (messages.AppSpec(messages.ReloadMode.NONE), ""),
        (messages.AppSpec(messages.ReloadMode.SIGNAL, signal="WAVE"), "WAVE"),
        (messages.AppSpec(messages.ReloadMode.SUPERVISE, grace_s=float("inf")), "grace"),
        (messages.AppSpec(messages.ReloadMode.SUPERVISE, grace_s=float("nan")), "grace"),
        (messages.AppSpec(messages.ReloadMode.SUPERVISE, grace_s=-1.0), "grace"),
    ],
)
def test_apps_that_cannot_be_run_are_told(spec: messages.AppSpec, word: str) -> None:
    wrong = launcher.wrong_with(spec)
    assert (word in wrong) if word else not wrong
