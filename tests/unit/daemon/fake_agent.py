"""An agent for the laptop's tests: the real session and driver on a line in memory, an honest tree, or any lie."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar, cast

from devloop import errors
from devloop.core import entry, ops, tree
from devloop.core.entry import Entry
from devloop.daemon import aftermath
from devloop.protocol import agent, answers, commands, messages, session, version
from devloop.wire import driver, websocket
from tests.unit.wire import line

KEY = b"k" * 64

E = TypeVar("E")


class FakeAgent:
    """One target with its agent.

    Attributes:
        trees: What it holds, a tree for each root.
        bodies: What came, by path.
        heard: Everything that the laptop said.
        on_commit: Called for each commit in place of the honest answer.
        on_request: Called for each request; returns the answer's parts, and its error.
        on_open: Called when a session is open.
        hello: Changes the hello that is said.
    """

    def __init__(self, tos: Sequence[str] = ("/app",), name: str = "the target") -> None:
        self.name = name
        self.container: aftermath.Container | None = None
        self.features = version.FEATURES
        self.tos = tuple(tos)
        self.trees = [tree.Tree() for _ in tos]
        self.tree_id = "tree"
        self.fresh = True
        self.empty = False
        self.bodies: dict[str, bytes] = {}
        self.heard: list[session.Event] = []
        self.key = KEY
        self.links = 0
        self.epoch, self.session, self.owner = 0, "", ""
        self.held = False
        self.on_commit: Callable[[int, list[ops.Op]], None] = self.apply
        self.on_request: Callable[[messages.Request], tuple[Sequence[messages.Part], str]] = self.answer
        self.on_open: Callable[[], None] = lambda: None
        self.hello: Callable[[messages.AgentHello], messages.AgentHello] = lambda hello: hello
        self.refuse_open: errors.DevloopError | None = None
        self.driver: driver.Driver | None = None
        self.end: line.End | None = None
        self._batches: dict[int, list[ops.Op]] = {}
        self._cancelled: dict[int, set[int]] = {}
        self._more = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[websocket.WebSocket, bytes]]:
        if self.refuse_open is not None:
            raise self.refuse_open
        self.links += 1
        here, self.end = line.pair()
        half = agent.AgentSession(KEY, secrets.token_bytes(32), asyncio.get_running_loop().time())
        self._batches.clear()
        self._cancelled.clear()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.driver = driver.Driver(half, self.end, self._on_event)
            running = group.create_task(self._run(self.driver))
            try:
                yield cast(websocket.WebSocket, here), self.key
            finally:
                self.driver = None
                running.cancel()

    async def _run(self, link: driver.Driver) -> None:
        with contextlib.suppress(errors.DevloopError):
            await link.run()

    def say(self, message: messages.Control) -> None:
        """Say something, true or not."""
        assert self.driver is not None
        self.driver.send(message)

    def shout(self, message: messages.Bulk) -> None:
        """Send bulk as soon as there is credit."""
        assert self._group is not None and self.driver is not None
        self._group.create_task(self._send_bulk(self.driver, message))

    async def _send_bulk(self, link: driver.Driver, message: messages.Bulk) -> None:
        with contextlib.suppress(errors.LinkError):
            await link.send_bulk(message)

    async def told(self, kind: type[E], accept: Callable[[E], bool] = lambda event: True) -> E:
        """Wait until the laptop has said something."""
        async with asyncio.timeout(20):
            while True:
                for event in self.heard:
                    if isinstance(event, kind) and accept(event):
                        return event
                self._more.clear()
                await self._more.wait()

    # ---- an honest agent ------------------------------------------------------------------------------------

    def _on_event(self, event: session.Event) -> None:
        self.heard.append(event)
        self._more.set()
        assert self.driver is not None
        match event:
            case session.Authenticated():
                self.say(self.hello(self._hello()))
            case messages.LaptopHello():
                self.epoch, self.session, self.owner = event.epoch, event.session, event.owner
                self.say(messages.Welcome(event.epoch))
            case session.Opened():
                self.on_open()
            case commands.BeginBatch():
                self._batches[event.batch] = []
            case commands.AddOps():
                self._batches[event.batch] += event.ops
                self.driver.consumed(event.batch, event.credit)
            case commands.WriteBody() | commands.WriteChunk():
                path = self._batches[event.batch][event.op].path
                before = self.bodies.get(path, b"") if isinstance(event, commands.WriteChunk) and event.offset else b""
                self.bodies[path] = before + event.data
                self.driver.consumed(event.batch, event.credit)
            case commands.ApplyDelta():
                self.driver.consumed(event.batch, event.credit)
                self.say(messages.Need(event.batch, (event.op,)))
            case commands.CancelOps():
                self._cancelled.setdefault(event.batch, set()).update(event.ops)
            case commands.CommitBatch():
                self.on_commit(event.batch, self._batches[event.batch])
            case messages.Request():
                self._respond(event)
            case _:
                pass

    def _hello(self) -> messages.AgentHello:
        return messages.AgentHello(
            minor=version.MINOR,
            features=self.features,
            version="0.1.0",
            boot_id="boot",
            epoch=self.epoch,
            session=self.session,
            owner=self.owner,
            held=self.held,
            limits=messages.Limits(),
            roots=tuple(
                messages.RootState(to, self.tree_id, held.digest, len(held), self.fresh, empty=self.empty)
                for to, held in zip(self.tos, self.trees, strict=True)
            ),
            uid=1000,
            gid=1000,
        )

    def apply(self, batch: int, changes: list[ops.Op]) -> None:
        """Take a batch over and ack it."""
        self.fresh = False
        for index, op in enumerate(changes):
            if index in self._cancelled.get(batch, ()):
                continue
            if op.entry is None:
                self.trees[op.root].remove(op.path)
            else:
                self.trees[op.root].put(op.path, op.entry)
        self.say(messages.Ack(batch, batch, tuple(held.digest for held in self.trees)))

    def answer(self, request: messages.Request) -> tuple[Sequence[messages.Part], str]:
        """Answer a question."""
        if request.ask is messages.Ask.MANIFEST:
            rows = [answers.row(path, held, True) for path, held in self.trees[request.root].items()]
            return list(answers.rows_to_parts(request.request, rows)), ""
        if request.ask is messages.Ask.PULL:
            content = self.bodies.get(request.path.decode())
            if content is None:
                return (), "no such file"
            return list(answers.content_to_parts(request.request, [content])), ""
        return (), ""

    def _respond(self, request: messages.Request) -> None:
        assert self._group is not None and self.driver is not None
        parts, error = self.on_request(request)
        self._group.create_task(self._send_answer(self.driver, request.request, parts, error))

    async def _send_answer(self, link: driver.Driver, request: int, parts: Sequence[messages.Part], error: str) -> None:
        with contextlib.suppress(errors.LinkError):
            for part in parts:
                await link.send_bulk(part)
        link.send(messages.Done(request, error))


def file_entry(content: bytes) -> Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content))
