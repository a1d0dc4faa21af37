"""A service's folders and its build, as they come to its engine."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from devloop.config import model
from devloop.core import problem, tree
from devloop.daemon import laptop, source
from devloop.daemon.context import Context
from devloop.fs import rootguard
from devloop.state import basestore, trash
from devloop.sync import commands, engine, events, ledger
from tests.unit.daemon import fake_agent

ONE = fake_agent.file_entry(b"1")


class Bench:
    """The laptop side of a service with as many syncs as there are folders, and a real engine."""

    def __init__(self, folder: Path, *names: str, **more: Any) -> None:
        self.home = folder / "project"
        self.calls: list[str] = []
        self.events: list[events.Event] = []
        self.more = asyncio.Event()
        for name in names:
            (self.home / name).mkdir(parents=True)
        syncs = [{"from": str(self.home / name), "to": f"/{name}"} for name in names]
        spec = model.Service.model_validate({"target": {"local": str(folder / "target")}, "sync": syncs, **more})
        context = Context(
            project=str(self.home),
            state=str(folder),
            session="mine",
            owner="me@here",
            takeover=False,
            bases=basestore.BaseStore(str(folder / "bases")),
            bin=trash.Trash(str(folder / "trash")),
            publish=self.publish,
            watch=model.Watch(),
        )
        self.brain = engine.Engine([ledger.Source() for _ in names], lambda changes: ())
        self.subject = laptop.Laptop(
            spec,
            context,
            str(folder),
            self.brain,
            carry_out=self.carry_out,
            on_problems=lambda: self.calls.append("problems"),
            on_rules=lambda: self.calls.append("rules"),
            on_change=self.more.set,
        )

    def publish(self, event: events.Event) -> None:
        self.events.append(event)
        self.more.set()

    def carry_out(self, found: Sequence[commands.Command]) -> None:
        self.more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.more.clear()
                await self.more.wait()


@contextlib.asynccontextmanager
async def watching(bench: Bench) -> AsyncIterator[None]:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            bench.subject.start(group)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        yield
        task.cancel()


async def test_what_is_in_the_folders_comes_to_the_engine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "web", "shared")
    (bench.home / "web" / "a").write_text("1")
    async with watching(bench):
        await bench.until(bench.subject.scanned.is_set)
        assert [set(each.wanted) for each in bench.brain.sources] == [{"a"}, set()]
        (bench.home / "shared" / "s").write_text("1")
        await bench.subject.flush(10.0)
        assert set(bench.brain.sources[1].wanted) == {"s"}
        first, _ = bench.subject.syncs()
        assert (first.source, first.to, first.files, first.total_bytes) == ("web", "/web", 1, 1)
        assert [each.root for each in bench.subject.rules()] == [0, 1]
        assert bench.subject.still_there(0, ["a", "gone"]) == ("a",)
        with bench.subject.open_body(0, "a", ONE) as body:
            assert body.read(10) == b"1"


async def test_something_is_known_when_something_is_known_of_each_folder(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "web", "shared")
    bench.subject.found_part(0, tree.TreeDelta({"a": ONE}), 0.0)
    assert not bench.subject.begun.is_set()
    bench.subject.found(1, source.Found(tree.TreeDelta()))
    assert bench.subject.begun.is_set() and not bench.subject.scanned.is_set()
    bench.subject.found(0, source.Found(tree.TreeDelta()))
    assert bench.subject.scanned.is_set()


async def test_a_folder_that_is_lost_is_told_and_not_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "web", "shared")
    lost = rootguard.RootLost("/web", rootguard.Lost.MISSING)
    bench.subject.lost(0, lost)
    assert bench.brain.sources[0].stopped == lost.message
    bench.subject.found(1, source.Found(tree.TreeDelta()))
    assert bench.subject.scanned.is_set()
    bench.subject.regained(0)
    assert not bench.brain.sources[0].stopped
    assert bench.events == [
        events.Stopped(sync="web -> /web", reason=lost.message, hint=lost.hint),
        events.Resumed(sync="web -> /web"),
    ]


async def test_a_move_of_head_is_told_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "web", "shared")
    for index in (0, 1):
        bench.subject.git_moved(index, "a" * 40, "b" * 40)
    bench.subject.git_moved(1, "b" * 40, "a" * 40)
    assert [(each.old, each.new) for each in bench.events if isinstance(each, events.GitMoved)] == [
        ("a" * 10, "b" * 10),
        ("b" * 10, "a" * 10),
    ]


async def test_trouble_rules_and_notices_are_passed_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "web")
    found = {"a": problem.Problem("a", problem.Reason.UNREADABLE, "no")}
    bench.subject.troubled(0, found)
    bench.subject.rules_changed(0)
    notice = events.Notice(level=events.Level.INFO, message="hello")
    bench.subject.notice(notice)
    assert bench.brain.sources[0].problems == found
    assert (bench.calls, bench.events) == (["problems", "rules"], [notice])


async def test_a_build_shuts_the_gate_until_it_succeeds(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = f"import os, sys; sys.exit(0 if os.path.exists({str(flag)!r}) else 1)"
    bench = Bench(tmp_path, "web", build={"run": [sys.executable, "-c", code], "when": ["*.ts"]})
    async with watching(bench):
        await bench.until(lambda: bench.subject.build_failed)
        assert bench.brain._book.gate_closed
        flag.touch()
        (bench.home / "web" / "a.ts").write_text("1")
        await bench.until(lambda: not bench.brain._book.gate_closed)
        assert not bench.subject.build_failed
        assert set(bench.brain.sources[0].wanted) == {"a.ts"}
        bench.subject.found(0, source.Found(tree.TreeDelta({"b.ts": ONE})))
        assert bench.brain._book.gate_closed
