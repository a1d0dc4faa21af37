"""A laptop for the agent's tests: the real session and driver on a line in memory, with the verbs that tests need."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent import conversation, host, roots, settings
from devloop import errors
from devloop.core import entry, ops
from devloop.protocol import bodies, laptop, messages, session, version
from devloop.wire import driver
from tests.unit.agent import target
from tests.unit.wire import line

KEY = b"k" * 64

E = TypeVar("E")


class Laptop:
    """One link's laptop side.

    Args:
        connection: Its end of the line.
        claim: What it says; the epoch is one more than the agent's where it is 0.
    """

    def __init__(self, connection: driver.Connection, claim: messages.LaptopHello, key: bytes = KEY) -> None:
        now_s = asyncio.get_running_loop().time()
        half = laptop.LaptopSession(key, secrets.token_bytes(32), now_s)
        self.driver = driver.Driver(half, connection, self._on_event)
        self.claim = claim
        self.events: list[session.Event] = []
        self.hello: messages.AgentHello | None = None
        self.error: errors.DevloopError | None = None
        self._more = asyncio.Event()
        self._over = asyncio.Event()
        self._number = messages.FIRST_NUMBER

    async def run(self) -> None:
        try:
            await self.driver.run()
        except errors.DevloopError as error:
            self.error = error
        finally:
            self._over.set()

    async def ended(self) -> None:
        """Wait for the end of the link."""
        async with asyncio.timeout(20):
            await self._over.wait()

    def _on_event(self, event: session.Event) -> None:
        self.events.append(event)
        self._more.set()
        if isinstance(event, messages.AgentHello):
            self.hello = event
            epoch = self.claim.epoch or event.epoch + 1
            self.driver.send(msgspec.structs.replace(self.claim, epoch=epoch))
        elif isinstance(event, messages.Part | messages.Output):
            self.driver.consumed(event.stream, messages.cost(event))

    async def told(self, kind: type[E], accept: Callable[[E], bool] = lambda event: True) -> E:
        """Wait for an event."""
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and accept(event):
                        return event
                self._more.clear()
                await self._more.wait()

    async def opened(self) -> None:
        await self.told(session.Opened)

    def begin(self, *changes: ops.Op) -> int:
        number, self._number = self._number, self._number + 1
        self.driver.send(messages.Begin(number, len(changes)))
        return number

    async def batch(
        self,
        things: Mapping[str, target.Thing],
        *,
        gone: tuple[str, ...] = (),
        hooks: tuple[messages.HookSpec, ...] = (),
        reload: bool = True,
    ) -> messages.Ack:
        """Put things, delete others, and wait for the ack."""
        number = await self.commit(things, gone=gone, hooks=hooks, reload=reload)
        return await self.told(messages.Ack, lambda ack: ack.batch == number)

    async def commit(
        self,
        things: Mapping[str, target.Thing],
        *,
        gone: tuple[str, ...] = (),
        hooks: tuple[messages.HookSpec, ...] = (),
        reload: bool = True,
    ) -> int:
        changes = [ops.put(0, path, target.entry_of(thing)) for path, thing in target.whole(things).items()]
        changes += [ops.delete(0, path) for path in gone]
        number = self.begin(*changes)
        encoder = bodies.Encoder()
        for listed in encoder.ops(number, changes):
            await self.driver.send_bulk(listed)
        contents = [(index, target.content(things[op.path])) for index, op in enumerate(changes) if op.body_bytes]
        for pack in encoder.packs(number, contents):
            await self.driver.send_bulk(pack)
        self.driver.send(messages.Commit(number, hooks, reload))
        return number

    async def ask(self, ask: messages.Ask, root: int = 0, path: bytes = b"", digest: bytes = b"") -> messages.Done:
        """Ask something and wait for the end of the answer."""
        number, self._number = self._number, self._number + 1
        self.driver.send(messages.Request(number, ask, root, path, digest))
        return await self.told(messages.Done, lambda done: done.request == number)

    def parts(self, request: int) -> list[messages.Part]:
        return [event for event in self.events if isinstance(event, messages.Part) and event.stream == request]


def hello(session_id: str = "s", owner: str = "me@here", **more: Any) -> messages.LaptopHello:
    return messages.LaptopHello(
        minor=version.MINOR,
        features=version.FEATURES,
        version="0.1.0",
        epoch=more.pop("epoch", 0),
        session=session_id,
        owner=owner,
        limits=messages.Limits(),
        syncs=more.pop("syncs", (messages.SyncSpec("/r", more.pop("pull", ())),)),
        app=more.pop("app", messages.AppSpec(messages.ReloadMode.NONE)),
    )


def told_in(folder: Path, *specs: roots.RootSpec) -> settings.Settings:
    state = folder / "agent"
    state.mkdir(exist_ok=True)
    return settings.Settings(roots=specs or (target.spec_in(folder),), state=str(state), socket=str(folder / "s"))


class Bench:
    """An agent that runs, and the links to it."""

    def __init__(self, agent: host.Agent, group: asyncio.TaskGroup) -> None:
        self.agent = agent
        self._group = group
        self.links: list[asyncio.Task[None]] = []

    def connect(self, claim: messages.LaptopHello | None = None, key: bytes = KEY) -> tuple[Laptop, line.End]:
        """Return a laptop whose link is being opened, and the agent's end of its line."""
        here, there = line.pair()
        talk = conversation.Conversation(self.agent, KEY, there)
        made = Laptop(here, claim or hello(), key)
        self.links += [self._group.create_task(talk.run()), self._group.create_task(made.run())]
        return made, there

    async def link(self, claim: messages.LaptopHello | None = None) -> Laptop:
        made, _ = self.connect(claim)
        await made.opened()
        return made


@contextlib.asynccontextmanager
async def running(told: settings.Settings) -> AsyncIterator[Bench]:
    """Run an agent; on leaving, end its links and then itself."""
    agent = host.Agent(told)
    await agent.in_thread(agent.open)
    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        serving = group.create_task(agent.run())
        bench = Bench(agent, group)
        try:
            yield bench
        finally:
            for task in bench.links:
                task.cancel()
            if bench.links:
                await asyncio.wait(bench.links)
            serving.cancel()


def file_entry(content: bytes) -> entry.Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content))
