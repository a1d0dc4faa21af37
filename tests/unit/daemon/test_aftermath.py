"""Hooks and reloads that the laptop runs in a pod: when, in which order, how often, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from devloop import errors
from devloop.core import entry, ops
from devloop.daemon import aftermath
from devloop.protocol import messages
from devloop.sync import commands, events

INSTALL = messages.HookSpec("install", ("pip", "install"), "/app", 20.0)
MIGRATE = messages.HookSpec("migrate", ("migrate",), "/app")
PUT = ops.put(0, "f", entry.file(b"1" * 32, 1))


class Container:
    """Keeps what it is asked to run; slow if told so."""

    def __init__(self) -> None:
        self.ran: list[tuple[tuple[str, ...], str]] = []
        self.result: aftermath.Ran | errors.DevloopError = aftermath.Ran(0)
        self.go = asyncio.Event()
        self.go.set()
        self.asked = asyncio.Event()

    async def run(self, argv: Sequence[str], *, cwd: str, env: dict[str, str], timeout_s: float) -> aftermath.Ran:
        self.ran.append((tuple(argv), cwd))
        self.asked.set()
        await self.go.wait()
        if isinstance(self.result, errors.DevloopError):
            raise self.result
        return self.result


class Bench:
    def __init__(self, mode: messages.ReloadMode = messages.ReloadMode.NONE, **app: object) -> None:
        self.container = Container()
        self.events: list[events.Event] = []
        spec = messages.AppSpec(mode, cwd="/app", **app)  # type: ignore[arg-type]
        self.subject = aftermath.Aftermath(
            self.container, spec, lambda line: line.replace("/app/", "web/"), self.events.append
        )

    def keep(self, number: int, *hooks: messages.HookSpec, reload: bool = False) -> None:
        kept = self.subject.keep(commands.Batch(number, (PUT,), hooks=hooks, reload=reload))
        assert (kept.number, kept.ops, kept.hooks, kept.reload) == (number, (PUT,), (), False)

    @property
    def argvs(self) -> list[tuple[str, ...]]:
        return [argv for argv, _ in self.container.ran]


async def test_hooks_run_in_order_after_the_ack_then_the_reload() -> None:
    bench = Bench(messages.ReloadMode.COMMAND, run=("nginx", "-s", "reload"))
    bench.keep(16, INSTALL, MIGRATE, reload=True)
    assert bench.argvs == []
    await bench.subject.acked(16, applied=True)
    assert bench.argvs == [("pip", "install"), ("migrate",), ("nginx", "-s", "reload")]
    await bench.subject.acked(16, applied=True)
    assert len(bench.argvs) == 3


async def test_a_signal_goes_to_the_first_process() -> None:
    bench = Bench(messages.ReloadMode.SIGNAL, signal="SIGUSR2")
    bench.keep(16, reload=True)
    await bench.subject.acked(16, applied=True)
    assert bench.container.ran == [(("kill", "-s", "USR2", "1"), "/")]


@pytest.mark.parametrize("mode", [messages.ReloadMode.NONE, messages.ReloadMode.SUPERVISE])
async def test_an_app_that_takes_changes_up_itself_is_left_alone(mode: messages.ReloadMode) -> None:
    bench = Bench(mode)
    bench.keep(16, reload=True)
    await bench.subject.acked(16, applied=True)
    assert bench.argvs == []


async def test_nothing_follows_a_batch_that_was_refused() -> None:
    bench = Bench(messages.ReloadMode.SIGNAL)
    bench.keep(16, INSTALL, reload=True)
    await bench.subject.acked(16, applied=False)
    assert bench.argvs == []


async def test_what_several_batches_call_for_meanwhile_is_done_once() -> None:
    bench = Bench(messages.ReloadMode.SIGNAL)
    bench.container.go.clear()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        bench.keep(16, INSTALL)
        group.create_task(bench.subject.acked(16, applied=True))
        await bench.container.asked.wait()
        for number in (17, 18, 19):
            bench.keep(number, INSTALL, MIGRATE, reload=True)
            group.create_task(bench.subject.acked(number, applied=True))
        await asyncio.sleep(0)
        bench.container.go.set()
    assert bench.argvs == [("pip", "install"), ("pip", "install"), ("migrate",), ("kill", "-s", "HUP", "1")]


async def test_output_and_end_are_told_in_the_laptops_words() -> None:
    bench = Bench()
    bench.container.result = aftermath.Ran(3, b"at /app/x.py\n", b"no\n")
    bench.keep(16, INSTALL)
    await bench.subject.acked(16, applied=True)
    started, out, err, done = bench.events
    assert started == events.CommandStarted(name="install")
    assert out == events.Output(source="install", lines=("at web/x.py",), err=False)
    assert err == events.Output(source="install", lines=("no",), err=True)
    assert isinstance(done, events.CommandDone)
    assert (done.name, done.ok, done.outcome) == ("install", False, "exit 3")


async def test_a_command_that_cannot_be_run_is_told_and_the_next_one_runs() -> None:
    bench = Bench()
    bench.container.result = errors.ExecError("the image has no shell")
    bench.keep(16, INSTALL, MIGRATE)
    await bench.subject.acked(16, applied=True)
    ends = [event for event in bench.events if isinstance(event, events.CommandDone)]
    assert [(end.name, end.ok, end.outcome) for end in ends] == [
        ("install", False, "the image has no shell"),
        ("migrate", False, "the image has no shell"),
    ]
