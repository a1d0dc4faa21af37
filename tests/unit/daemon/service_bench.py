"""A whole service in this process: real folders, scans, engine and link, against an agent that is a fake."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from devloop import errors
from devloop.config import model
from devloop.daemon import service
from devloop.daemon.context import Context
from devloop.state import basestore, trash
from devloop.sync import events
from tests.unit.daemon import fake_agent

E = TypeVar("E", bound=events.Event)


class Bench:
    """A service over `project/web`, and the agent at its other end.

    Args:
        folder: For everything.
        alone: There is one agent, and it is there from the first; else only those that `join`.
        more: What the service's configuration says besides; `sync` adds to the first sync.
    """

    def __init__(self, folder: Path, *, alone: bool = True, **more: Any) -> None:
        self.project = folder / "project"
        self.home = self.project / "web"
        self.home.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        (self.state / "web").mkdir(parents=True, exist_ok=True)
        first = {"from": str(self.home), "to": "/app", **more.pop("sync", {})}
        others = more.pop("others", [])
        spec = model.Service.model_validate(
            {"target": {"local": str(folder / "target")}, "sync": [first, *others], **more}
        )
        self.agent = fake_agent.FakeAgent([sync.to for sync in spec.sync])
        self.trash = trash.Trash(str(folder / "trash"))
        self.events: list[events.Event] = []
        self.more = asyncio.Event()
        context = Context(
            project=str(self.project),
            state=str(self.state),
            session="mine",
            owner="me@here",
            takeover=False,
            bases=basestore.BaseStore(str(folder / "bases")),
            bin=self.trash,
            publish=self.publish,
            watch=model.Watch(),
        )
        self.service = service.Service("web", spec, context, self.agent if alone else None, self.more.set)

    def join(self, name: str, *, of: fake_agent.FakeAgent | None = None) -> fake_agent.FakeAgent:
        """Let the service find another agent; one that holds what another one holds, or nothing."""
        made = fake_agent.FakeAgent(self.agent.tos, name)
        made.tree_id = f"tree of {name}"
        if of is not None:
            made.trees, made.fresh = [held.copy() for held in of.trees], False
        self.service.add_replica(made)
        return made

    def publish(self, event: events.Event) -> None:
        self.events.append(msgspec.structs.replace(event, service="web"))
        self.more.set()

    def write(self, name: str, content: str | bytes = "x") -> None:
        """Save a file whole, as editors do.

        A scan may run at any moment, such as the first one after an early flush has looked already. It would find a
        file that is written in place empty, between its truncation and its content: one save more than was made.
        """
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.project / "being-saved"
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        fresh.replace(path.resolve())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.more.clear()
                await self.more.wait()

    async def event(self, kind: type[E], accept: Callable[[E], bool] = lambda event: True) -> E:
        await self.until(lambda: any(isinstance(each, kind) and accept(each) for each in self.events))
        return next(each for each in self.events if isinstance(each, kind) and accept(each))

    def all_of(self, kind: type[E]) -> list[E]:
        return [each for each in self.events if isinstance(each, kind)]

    async def in_sync(self) -> None:
        """Wait until what was saved before is acked."""
        await self.service.flush(10.0)
        await self.until(lambda: self.service.in_sync)

    async def link_of(self, name: str) -> None:
        """Wait until the link to an agent is open."""
        await self.until(lambda: self.service.replicas[name].up)

    async def settled(self) -> None:
        await self.service.flush(10.0)
        await self.until(lambda: self.service.settled)


@contextlib.asynccontextmanager
async def alive(run: Callable[[], Coroutine[Any, Any, None]], deadline_s: float) -> AsyncIterator[asyncio.Task[None]]:
    """Run something that goes on until it is cancelled; on leaving, cancel it, and see that no task is left."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(deadline_s), asyncio.TaskGroup() as group:
        task = group.create_task(run())
        yield task
        task.cancel()
    assert asyncio.all_tasks() == before


async def failure(run: Callable[[], Coroutine[Any, Any, None]]) -> errors.DevloopError:
    """Run something until it gives up, and return why."""
    found: list[errors.DevloopError] = []
    async with asyncio.timeout(30):
        try:
            await run()
        except* errors.DevloopError as group:
            found.append(errors.first(group))
    return found[0]


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """Run the service; on leaving, stop it, and see that no task is left."""
    async with alive(bench.service.run, deadline_s=50):
        yield bench


async def fatal(bench: Bench) -> errors.DevloopError:
    """Run until the service gives up, and return why."""
    return await failure(bench.service.run)
