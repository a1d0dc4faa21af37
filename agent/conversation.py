"""One link to a laptop: proving, claiming, then carrying out what comes.

The protocol's session checks what the laptop sends; commands for the disk go through a bounded-by-credit list to the
agent's worker thread, in order, and what they come to goes back: credit, needs, acks. Requests are answered beside
them. What outlives the link (the claim, the app, the roots) belongs to `agent.host`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, Protocol, TypeVar

from agent import carriage, worker
from devloop import errors
from devloop.proc import memory
from devloop.protocol import agent, commands, messages, session, version
from devloop.wire import driver

# Commands that one visit to the worker thread takes: a few milliseconds of disk work, so that a small batch behind
# them does not wait long.
ROUND: Final = 64

# What a batch begins with waits for what follows, up to this much: a save is then one visit to the worker thread
# instead of three. It is far below a stream's credit, so a sender never waits for what is gathered here.
GATHER_BYTES: Final = 64 * 1024

# After so much the memory that it took is given back to the system.
LARGE_BYTES: Final = 1024 * 1024

# How long one visit that only tidies up may hold the thread.
TIDY_S: Final = 0.002

T = TypeVar("T")


# What the worker is told at once; anything else is gathered.
_URGENT: Final = (commands.CommitBatch, commands.AbortBatch, commands.ApplyDelta, commands.CopyBody)


class Host(Protocol):
    """What the conversation needs of the agent."""

    async def hello(self) -> messages.AgentHello:
        """Return what the agent is, now."""

    async def claim(
        self, conversation: Conversation, told: messages.AgentHello, hello: messages.LaptopHello
    ) -> messages.Bye | None:
        """Take up a claim; return the refusal, or None where it is taken."""

    def opened(self, conversation: Conversation) -> None:
        """The claim's session is open on this link."""

    def closed(self, conversation: Conversation) -> None:
        """The link has ended."""

    def set_rules(self, message: messages.Rules) -> None:
        """Take up the rules of a root."""

    def applied(self, acked: worker.Acked) -> None:
        """A batch was applied: its hooks and its reload are next."""

    def new_worker(self) -> worker.Worker:
        """Return a worker for a new link."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run something in the worker thread."""

    def carriage(self, link: driver.Driver, group: asyncio.TaskGroup) -> carriage.Carriage:
        """Return what carries a new link's byte streams."""

    async def answer(self, request: messages.Request) -> Iterator[messages.Part] | None:
        """Do what a request asks; return its content, each piece of which is made in the worker thread."""


class Conversation:
    """One link.

    Args:
        host: The agent.
        key: The agent's key.
        connection: Open.
    """

    def __init__(self, host: Host, key: bytes, connection: driver.Connection) -> None:
        self._host = host
        now_s = asyncio.get_running_loop().time()
        self._half = agent.AgentSession(key, secrets.token_bytes(32), now_s)
        self._driver = driver.Driver(self._half, connection, self._on_event)
        self._worker = host.new_worker()
        self._commands: deque[commands.Command] = deque()
        self._gathered_bytes = 0
        self._handled_bytes = 0
        self._wake = asyncio.Event()
        self._told: messages.AgentHello | None = None
        self._group: asyncio.TaskGroup | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._ended = False
        self._carriage: carriage.Carriage | None = None
        self.is_open = False

    async def run(self) -> None:
        """Converse until the link ends, in whatever way.

        What the disk has begun is finished, and followed by its hooks and reload, also when the link ended meanwhile:
        the laptop that comes next finds it applied and does not send it again.

        Cancellation: the laptop is told that the agent stops.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._work())
                try:
                    await self._driver.run()
                except errors.DevloopError:
                    # The laptop was told, where it still listens; it decides what comes next.
                    pass
                finally:
                    self._wind_up()
        finally:
            self._group = None
            self._host.closed(self)
            await self._host.in_thread(self._worker.retire)

    def _wind_up(self) -> None:
        """Let nothing more be begun."""
        self._ended = True
        self.is_open = False
        self._commands.clear()
        self._wake.set()
        if self._carriage is not None:
            self._carriage.end()
        for task in self._beside:
            task.cancel()

    def send(self, message: messages.Control) -> bool:
        """Send a control message if the session is open; say whether it is."""
        if self.is_open:
            self._driver.send(message)
        return self.is_open

    async def send_output(self, message: messages.Output) -> None:
        """Send output when there is credit.

        Raises:
            LinkError: The link has ended.
        """
        await self._driver.send_bulk(message)

    async def end(self, bye: messages.Bye) -> None:
        """End the link, telling why; on return nothing of it is carried out any more."""
        self._wind_up()
        self._driver.close(bye)
        await self._host.in_thread(self._worker.retire)

    def _on_event(self, event: session.Event) -> None:
        if self._carriage is not None and self._carriage.take(event):
            return
        match event:
            case session.Authenticated():
                self._spawn(self._greet())
            case messages.LaptopHello():
                self._spawn(self._claim(event))
            case session.Opened():
                self.is_open = True
                if version.STREAMS in event.features and self._group is not None and not self._ended:
                    self._carriage = self._host.carriage(self._driver, self._group)
                self._host.opened(self)
            case messages.Rules():
                self._host.set_rules(event)
            case messages.Request():
                self._spawn(self._answer(event))
            case session.Closed():
                self.is_open = False
            case (
                commands.BeginBatch() | commands.AddOps() | commands.WriteBody() | commands.WriteChunk()
                | commands.ApplyDelta() | commands.CopyBody() | commands.CancelOps() | commands.CommitBatch()
                | commands.AbortBatch()
            ):  # fmt: skip
                self._commands.append(event)
                self._gathered_bytes += getattr(event, "credit", 0)
                self._handled_bytes += getattr(event, "credit", 0)
                if isinstance(event, _URGENT) or self._gathered_bytes >= GATHER_BYTES:
                    self._gathered_bytes = 0
                    self._wake.set()
            case _:
                pass

    async def _greet(self) -> None:
        self._told = await self._host.hello()
        self._driver.send(self._told)

    async def _claim(self, hello: messages.LaptopHello) -> None:
        assert self._told is not None, "the laptop's hello answers the agent's"
        refusal = await self._host.claim(self, self._told, hello)
        if refusal is not None:
            self._driver.close(refusal)
        else:
            self._driver.send(messages.Welcome(hello.epoch))

    # ---- batches --------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        tidy = True
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            while self._commands or not tidy:
                if self._commands:
                    await self._work_once()
                    tidy = False
                    # What was said of it leaves before the disk is kept busy again.
                    await asyncio.sleep(0)
                else:
                    # On some file systems it takes longer to free a replaced file than to replace it.
                    tidy = await self._host.in_thread(lambda: self._worker.tidy(TIDY_S))
            if self._handled_bytes >= LARGE_BYTES:
                self._handled_bytes = 0
                await self._host.in_thread(memory.give_back)

    async def _work_once(self) -> None:
        found = [self._commands.popleft() for _ in range(min(ROUND, len(self._commands)))]
        try:
            outcome = await self._host.in_thread(lambda: self._worker.carry_out(found))
        except errors.DevloopError as error:
            self._commands.clear()
            self._driver.fail(error)
            return
        if not self._ended:
            self._commands.extendleft(reversed(found[outcome.done :]))
            self._tell(outcome)
        if outcome.acked is not None and outcome.acked.applied.is_applied:
            self._host.applied(outcome.acked)

    def _tell(self, outcome: worker.Outcome) -> None:
        for batch, ops in outcome.needs.items():
            self._driver.send(messages.Need(batch, tuple(ops)))
        for batch, credit in outcome.credits.items():
            self._driver.consumed(batch, credit)
        if outcome.acked is not None:
            low_water = self._half.low_water_with(outcome.acked.batch)
            self._driver.send(worker.ack_of(outcome.acked, low_water))

    # ---- requests -------------------------------------------------------------------------------------------

    async def _answer(self, request: messages.Request) -> None:
        error = ""
        try:
            parts = await self._host.answer(request)
            while parts is not None:
                part = await self._host.in_thread(lambda: next(parts, None))
                if part is None:
                    break
                await self._driver.send_bulk(part)
        except errors.LinkError:
            return
        except errors.DevloopError as refused:
            error = refused.message
        except OSError as failed:
            error = f"{failed.strerror or failed}"
        self._driver.send(messages.Done(request.request, error))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; it ends with the link."""
        assert self._group is not None
        task = self._group.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
