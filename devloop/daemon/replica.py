"""One agent of a service: carries between the link to it and the engine.

The link is kept by `redial`; here it is claimed (`claim`), the agent's messages become calls of the engine, and the
engine's commands for this replica become messages. What is decided is only how: the engine says what. Questions and
their answers are in `requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from devloop import errors
from devloop.core import paths, problem, tree
from devloop.daemon import aftermath, claim, manifest, redial, requests, spawning, telling, tunnel
from devloop.protocol import laptop, messages, session, version
from devloop.sync import commands, engine, events, sender
from devloop.wire import driver


class Target(Protocol):
    """A way to an agent.

    Attributes:
        name: The pod, or the local target's folder.
        container: Where the laptop itself can run what follows a batch, if the agent cannot.
    """

    name: str

    @property
    def container(self) -> aftermath.Container | None:
        """The app's container; None where it never is needed."""

    def open(self) -> contextlib.AbstractAsyncContextManager[tuple[driver.Connection, bytes]]:
        """Open a connection, with the agent's key."""


class Replica:
    """One agent and the link to it.

    Args:
        target: The way to it.
        claimant: What we say of ourselves.
        brain: The service's engine.
        carry_out: Carries out the engine's commands.
        make_sender: Makes a sender for an open link.
        rules: Returns the messages that tell the agent the rules.
        stored: Returns what was last acked of a tree: root, tree id.
        store: Where that is read and written.
        listed: Returns the paths below a sync that git lists.
        still_there: Returns which of some paths below a sync are on the laptop's disk.
        begun: Set when something of every sync's first scan is known.
        scanned: Set when every sync was scanned for the first time.
        on_findings: Told what a sweep of the target found.
        rewrite: Turns the target's paths in output into the laptop's.
        publish: Where events go.
    """

    def __init__(
        self,
        target: Target,
        claimant: claim.Claimant,
        brain: engine.Engine,
        *,
        carry_out: Callable[[Sequence[commands.Command]], None],
        make_sender: Callable[[driver.Driver, frozenset[str]], sender.Sender],
        rules: Callable[[], Sequence[messages.Rules]],
        stored: Callable[[int, str], tree.Tree],
        store: Executor,
        listed: Callable[[int], frozenset[str]],
        still_there: Callable[[int, Sequence[str]], tuple[str, ...]],
        begun: asyncio.Event,
        scanned: asyncio.Event,
        on_findings: Callable[[messages.Findings], None],
        rewrite: Callable[[str], str],
        publish: Callable[[events.Event], None],
    ) -> None:
        self.name = target.name
        self.hello: messages.AgentHello | None = None
        self.app: events.AppChanged | None = None
        self.findings: dict[int, messages.Findings] = {}
        self.fatal: errors.DevloopError | None = None
        self.tunnel = tunnel.Tunnel()
        self._target = target
        self._claimant = claimant
        self._brain = brain
        self._carry_out = carry_out
        self._make_sender = make_sender
        self._rules = rules
        self._stored = stored
        self._store = store
        self._listed = listed
        self._still_there = still_there
        self._begun = begun
        self._scanned = scanned
        self._on_findings = on_findings
        self._rewrite = rewrite
        self._publish = publish
        self._aftermath: aftermath.Aftermath | None = None
        self._driver: driver.Driver | None = None
        self._sender: sender.Sender | None = None
        self._group: asyncio.TaskGroup | None = None
        self._requests = requests.Requests(self.name)
        self._refusal: errors.DevloopError | None = None
        self._redial = redial.Redial(self.name, publish)

    # ---- the link -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the link until cancelled.

        Raises:
            DevloopError: Trying again will not help: another owner, another major version, a wrong key, roots that
                were refused from the first.
        """
        await self._redial.run(self._link_once)

    async def _link_once(self) -> None:
        self._refusal = None
        async with self._target.open() as (connection, key):
            self._redial.reached()
            half = laptop.LaptopSession(key, secrets.token_bytes(32), self._now_s())
            link = driver.Driver(half, connection, self._on_event)
            try:
                async with asyncio.TaskGroup() as group:
                    self._driver, self._group = link, group
                    group.create_task(self._run_link(link))
            finally:
                self._driver = self._sender = self._group = None
                self._carry_out(self._brain.closed(self.name))
                self._requests.close()
                self.tunnel.close()

    async def _run_link(self, link: driver.Driver) -> None:
        try:
            await link.run()
        except errors.DevloopError as error:
            raise self._refusal or error from None
        raise self._refusal or errors.LinkError("the agent closed the link")

    def _on_event(self, event: session.Event) -> None:
        if self.tunnel.take(event):
            return
        match event:
            case messages.AgentHello():
                self._claim(event)
            case session.Opened():
                assert self._driver is not None and self._group is not None
                self.tunnel.open(self._driver, self._group, event.features)
                self._spawn(self._opened(event.features))
            case messages.Ack():
                self._acked(event)
            case messages.Need():
                self._need(event)
            case messages.Part():
                if not self._requests.take_part(event):
                    self._consumed(event)
            case messages.Done():
                self._requests.take_end(event)
            case messages.Output() | messages.AppChanged() | messages.HookStarted() | messages.HookDone():
                self._tell(event)
            case messages.Findings():
                self._found(event)
            case _:
                pass

    # ---- claiming -------------------------------------------------------------------------------------------

    def _claim(self, hello: messages.AgentHello) -> None:
        assert self._driver is not None
        obstacle = claim.obstacle(self.name, hello, self._claimant)
        if obstacle is not None:
            self._refuse(obstacle)
            return
        self.hello = hello
        container = self._target.container
        if container is not None and version.RUNS not in hello.features:
            app = self._claimant.app
            self._aftermath = aftermath.Aftermath(container, app, self._rewrite, self._publish)
        else:
            self._aftermath = None
        self._driver.send(claim.answer(hello, self._claimant))

    def _refuse(self, error: errors.DevloopError) -> None:
        assert self._driver is not None
        self._refusal = error
        self._driver.close(messages.Bye(messages.Refusal.STOPPING, error.message))

    async def _opened(self, features: frozenset[str]) -> None:
        """Take the link into use, once the laptop knows what it has itself.

        Some of it is enough where the target is empty: there is nothing to compare with.
        """
        assert self._driver is not None and self.hello is not None
        link = self._driver
        is_empty = all(root.fresh and root.empty for root in self.hello.roots)
        await (self._begun if is_empty else self._scanned).wait()
        self._sender = self._make_sender(link, features)
        self._requests.open(link)
        for message in self._rules():
            link.send(message)
        self._redial.opened()
        self._spawn(self._recognise(self.hello))

    async def _recognise(self, hello: messages.AgentHello) -> None:
        """Tell the engine of the open link, with what was stored for roots that it does not know."""
        unknown = [index for index in range(len(hello.roots)) if self._is_unknown(hello, index)]
        found: dict[int, tree.Tree] = {}
        if unknown:
            # In the thread that writes them, so that what was acked a moment ago is in them.
            found = await asyncio.get_running_loop().run_in_executor(self._store, self._load, hello, unknown)
        for root, stored in found.items():
            await self._look_for_hidden(root, stored)
        self._carry_out(self._brain.opened(self.name, hello.roots, found, self._now_s()))
        if any(each.delete_extra for each in self._brain.sources):
            # What was found before the engine knew the target was not taken up, and is told again only when it changes.
            with contextlib.suppress(errors.AgentError, errors.LinkError):
                await self.ask(messages.Ask.SWEEP)

    def _is_unknown(self, hello: messages.AgentHello, index: int) -> bool:
        root = hello.roots[index]
        if root.fresh or root.digest == self._brain.sources[index].wanted.digest:
            return False
        known = self._brain.replicas.get(self.name)
        return known is None or known.tree_ids[index] != root.tree_id or known.known[index].digest != root.digest

    def _load(self, hello: messages.AgentHello, unknown: Sequence[int]) -> dict[int, tree.Tree]:
        return {index: self._stored(index, hello.roots[index].tree_id) for index in unknown}

    # ---- what the agent says --------------------------------------------------------------------------------

    def _acked(self, ack: messages.Ack) -> None:
        assert self._driver is not None
        troubles: dict[tuple[int, str], problem.Problem] = {}
        for row in ack.problems:
            path = paths.from_wire(row.path)
            troubles[row.root, path] = problem.Problem(path, row.reason, row.detail, problem.Side.POD, row.errno)
        if ack.overwritten:
            names = tuple(paths.from_wire(path) for _, path in ack.overwritten)
            self._publish(events.Drifted(target=self.name, count=len(names), paths=names[:20], overwritten=True))
        self._carry_out(self._brain.acked(self.name, ack, troubles, self._now_s()))
        if self._aftermath is not None:
            self._spawn(self._aftermath.acked(ack.batch, applied=not ack.refused))

    def _need(self, need: messages.Need) -> None:
        batch = self._flight(need.batch)
        if batch is not None and self._sender is not None:
            if not all(batch.ops[index].body_bytes for index in need.ops):
                raise errors.RemoteProtocolError("a body is needed of what has none", where="Need.ops")
            self._spawn(self._sender.send_whole(batch, need.ops, self._body_changed))

    def _tell(self, message: telling.Told) -> None:
        event = telling.event_of(message, self._rewrite)
        if isinstance(event, events.AppChanged):
            self.app = event
        self._publish(event)
        if isinstance(message, messages.Output):
            self._consumed(message)

    def _found(self, findings: messages.Findings) -> None:
        before = self.findings.get(findings.root)
        self.findings[findings.root] = findings
        seen = before.drift if before is not None else ()
        if findings.drift != seen:
            names = tuple(paths.from_wire(row.path) for row in findings.drift[:20])
            self._publish(
                events.Drifted(target=self.name, count=findings.drift_count, paths=names, extra=findings.extra_count)
            )
        if self.up and (findings.drift_count or self._has_drift(findings.root)):
            rows = [(paths.from_wire(row.path), row.was, row.now) for row in findings.drift]
            whole = findings.drift_count == len(rows)
            self._carry_out(self._brain.drifted(self.name, findings.root, rows, self._now_s(), whole=whole))
        if findings.extra:
            extra = [paths.from_wire(raw) for raw in findings.extra]
            self._carry_out(self._brain.littered(self.name, findings.root, extra, self._now_s()))
        self._on_findings(findings)

    def _has_drift(self, root: int) -> bool:
        """Say whether the engine counts drift in a root, whoever told it."""
        known = self._brain.replicas.get(self.name)
        return known is not None and any(at == root for at, _ in known.drift)

    def _consumed(self, message: messages.Bulk) -> None:
        if self._driver is not None:
            self._driver.consumed(message.stream, messages.cost(message))

    # ---- what the engine wants ------------------------------------------------------------------------------

    def send(self, batch: commands.Batch) -> None:
        """Send a batch; it is under way until its ack."""
        if self._sender is not None:
            known = self._brain.replicas[self.name].known
            if self._aftermath is not None:
                batch = self._aftermath.keep(batch)
            self._spawn(self._sender.send(batch, lambda root, path: known[root].get(path), self._body_changed))

    def cancel(self, number: int, indexes: Sequence[int]) -> None:
        """Leave out bodies that are not sent yet."""
        if self._sender is not None:
            self._sender.cancel(number, indexes)

    def ask_manifest(self, root: int) -> None:
        """Ask what is really in a root and tell the engine."""
        self._spawn(self._manifest(root))

    def distrust(self, root: int) -> None:
        """End the link, to be opened again with backoff: what the agent says of a root is wrong again and again."""
        if self._driver is not None:
            self._refuse(
                errors.RemoteProtocolError(
                    f"{self.name} contradicts itself: its digest of {self._claimant.syncs[root].to} stays wrong",
                    hint="if it goes on, restart the agent; `devloop status` says when everything is in sync",
                    where="Ack.digests",
                )
            )

    def send_rules(self) -> None:
        """Tell the agent the rules anew."""
        if self._driver is not None and self.hello is not None:
            for message in self._rules():
                self._driver.send(message)

    async def _manifest(self, root: int) -> None:
        try:
            async with contextlib.aclosing(self.request(messages.Ask.MANIFEST, root=root)) as parts:
                found = await manifest.read(parts)
        except errors.AgentError as error:
            # Without it nothing can be decided about this root; what is wrong there may be gone at the next try.
            raise errors.LinkError(f"{self.name} cannot tell what it holds: {error.message}") from error
        listed = await asyncio.to_thread(self._listed, root)
        await self._look_for_hidden(root, [path for path, _, _ in found.rows])
        self._carry_out(self._brain.manifest(self.name, root, found.rows, listed, self._now_s(), drifted=found.drifted))
        if found.drifted:
            # The agent tells what its sweeps find when that changes: without this look the two would never agree on
            # drift that was gone again before the first sweep saw it.
            with contextlib.suppress(errors.AgentError):
                await self.ask(messages.Ask.SWEEP, root=root)

    async def _look_for_hidden(self, root: int, known: Iterable[str]) -> None:
        """Tell the engine which paths of the target the laptop still has, hidden by rules that changed unwatched."""
        wanted = self._brain.sources[root].wanted
        missing = [path for path in known if path not in wanted]
        if missing:
            hidden = await asyncio.to_thread(self._still_there, root, missing)
            self._carry_out(self._brain.scanned(root, tree.TreeDelta(), self._now_s(), hidden=hidden))

    # ---- what is asked --------------------------------------------------------------------------------------

    def request(
        self, ask: messages.Ask, *, root: int = 0, path: str = "", digest: bytes = b""
    ) -> AsyncGenerator[messages.Part, None]:
        """Ask the agent, and yield the parts of its answer; see `requests.Requests.request`."""
        return self._requests.request(ask, root=root, path=path, digest=digest)

    async def ask(self, ask: messages.Ask, *, root: int = 0) -> None:
        """Ask the agent for something that has no content, and wait until it is done; see `request`."""
        async for _ in self.request(ask, root=root):
            pass

    # ---- small steps ----------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """The link is open and claimed."""
        return self._sender is not None

    @property
    def detail(self) -> str:
        """Why the link is down; empty while it is up."""
        return self.fatal.message if self.fatal is not None else self._redial.detail

    @property
    def statistics(self) -> session.Statistics | None:
        """The link's figures, where it is open."""
        return self._driver.session.statistics() if self._driver is not None else None

    def _flight(self, number: int) -> commands.Batch | None:
        known = self._brain.replicas.get(self.name)
        return known.flights.get(number) if known is not None else None

    def _body_changed(self, number: int, indexes: Sequence[int]) -> None:
        self._carry_out(self._brain.body_changed(self.name, number, indexes, self._now_s()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawning.spawn(self._group, work)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
