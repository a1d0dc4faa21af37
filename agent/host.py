"""The agent itself: what outlives any one link.

Opens the roots, holds the claim, runs the app, its hooks and the sweeps, and serves one link at a time; a link with a
higher claim takes over from the one before. All disk work of the roots is done in one worker thread, so nothing in
the applier, the stores or the sweeps is ever used by two threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from agent import (
    applier,
    carriage,
    claims,
    conversation,
    dialler,
    extras,
    launcher,
    places,
    roots,
    seeded,
    settings,
    store,
    sweep,
    worker,
)
from devloop import __version__, errors
from devloop.core import matcher, paths, patterns, problem
from devloop.proc import lines
from devloop.protocol import answers, messages, version
from devloop.wire import driver

# The share of one core that sweeping may take. An idle agent is to stay below 0.5 % with everything else.
SWEEP_SHARE: Final = 0.002

# How long one slice of a sweep holds the worker thread: a batch that comes meanwhile waits no longer than this.
SWEEP_SLICE_S: Final = 0.002

# No sweep begins sooner than this after the one before it, however small the tree.
SWEEP_REST_S: Final = 2.0

T = TypeVar("T")


class Agent:
    """One agent process.

    Args:
        told: Its settings.
    """

    def __init__(self, told: settings.Settings) -> None:
        self._told = told
        self._thread = ThreadPoolExecutor(1, "disk")
        self._boot_id = secrets.token_hex(8)
        self._claim_path = os.path.join(told.state, "claim")
        self._claim = claims.load(self._claim_path)
        self._active: conversation.Conversation | None = None
        self._matchers: list[matcher.Matcher | None] = [None] * len(told.roots)
        self._pulls: tuple[patterns.Patterns, ...] = tuple(patterns.Patterns(()) for _ in told.roots)
        self._roots: list[roots.Root] = []
        self._stores: list[store.Store] = []
        self._sweeps: list[sweep.Sweep] = []
        self._disk: applier.Applier | None = None
        self._findings: dict[int, messages.Findings] = {}
        self._linked = asyncio.Event()
        self._dialler = dialler.from_pod(told.port, told.allow_dial)
        self._trouble = ""
        self._launcher = launcher.Launcher(functools.partial(_place, told), self._say, self._output)

    # ---- life -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the roots, finish an interrupted batch, and verify what is there. Blocks.

        Raises:
            AgentError: A root cannot be used.
        """
        self._roots = [roots.Root.open(spec) for spec in self._told.roots]
        self._stores = [store.Store(root) for root in self._roots]
        for shelf in self._stores:
            shelf.open()
        self._disk = applier.Applier(self._roots, self._stores)
        self._disk.recover()
        for shelf in self._stores:
            shelf.verify()
        self._sweeps = [
            sweep.Sweep(root, shelf, self._ignored_in(index), self._pulled_in(index))
            for index, (root, shelf) in enumerate(zip(self._roots, self._stores, strict=True))
        ]

    async def run(self) -> None:
        """Run the app and the sweeps until cancelled; then end the app and close the roots."""
        for text in await self.in_thread(lambda: list(seeded.notes(self._told.roots))):
            self._launcher.note(text)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._launcher.run())
                group.create_task(self._sweep_on())
        finally:
            await self.in_thread(self._close)
            self._thread.shutdown(wait=False)
            self._dialler.close()

    def _close(self) -> None:
        if self._disk is not None:
            self._disk.close()
        for shelf in self._stores:
            shelf.close()
        for root in self._roots:
            root.close()

    # ---- what conversations ask -----------------------------------------------------------------------------

    async def hello(self) -> messages.AgentHello:
        """Return what the agent is, now."""
        states = await self.in_thread(self._root_states)
        return messages.AgentHello(
            minor=version.MINOR,
            features=version.FEATURES | {version.RUNS} if self._launcher.reachable else version.FEATURES,
            version=__version__,
            boot_id=self._boot_id,
            epoch=self._claim.epoch,
            session=self._claim.session,
            owner=self._claim.owner,
            held=self._active is not None and self._active.is_open,
            limits=messages.Limits(),
            roots=states,
            uid=os.geteuid(),
            gid=os.getegid(),
        )

    def _root_states(self) -> tuple[messages.RootState, ...]:
        return tuple(
            messages.RootState(
                to=root.spec.to,
                tree_id=root.tree_id,
                digest=shelf.tree.digest,
                managed=len(shelf.tree),
                fresh=not shelf.rows,
                case_sensitive=root.case_sensitive,
                empty=root.is_empty(),
            )
            for root, shelf in zip(self._roots, self._stores, strict=True)
        )

    async def claim(
        self, asking: conversation.Conversation, told: messages.AgentHello, hello: messages.LaptopHello
    ) -> messages.Bye | None:
        """Take up a claim; return the refusal, or None where it is taken.

        Args:
            asking: The link.
            told: What the laptop knows of the agent.
            hello: What it claims.
        """
        if [sync.to for sync in hello.syncs] != [root.to for root in self._told.roots]:
            return messages.Bye(messages.Refusal.ROOTS, "the agent's roots are not the project's syncs")
        wrong = launcher.wrong_with(hello.app)
        if wrong:
            return messages.Bye(messages.Refusal.ROOTS, f"the agent cannot run the app: {wrong}")
        asked = claims.Claim(hello.epoch, hello.session, hello.owner)
        refusal = claims.decide(self._claim, asked)
        if refusal is not None:
            return refusal
        before, self._active = self._active, asking
        self._claim = asked
        claims.save(self._claim_path, asked)
        self._pulls = tuple(patterns.Patterns(sync.pull) for sync in hello.syncs)
        self._launcher.configure(hello.app)
        if before is not None:
            words = f"{hello.owner} has taken the session over"
            await before.end(messages.Bye(messages.Refusal.OWNED, words, owner=hello.owner))
        return await self._still_true(told)

    async def _still_true(self, told: messages.AgentHello) -> messages.Bye | None:
        """Refuse a laptop whose picture of the roots is outdated: another link has applied a batch meanwhile."""
        states = await self.in_thread(self._root_states)
        if [state.digest for state in states] == [state.digest for state in told.roots]:
            return None
        return messages.Bye(messages.Refusal.STOPPING, "the target changed while the session was being opened")

    def opened(self, talking: conversation.Conversation) -> None:
        """Tell a new link what it cannot know: the app's state, and what the last sweeps found."""
        self._linked.set()
        self._launcher.tell_state()
        for findings in self._findings.values():
            talking.send(findings)

    async def end_link(self, bye: messages.Bye) -> None:
        """End the link that is served, if there is one."""
        if self._active is not None:
            await self._active.end(bye)

    def closed(self, talking: conversation.Conversation) -> None:
        """Forget a link that has ended."""
        if self._active is talking:
            self._active = None

    def set_rules(self, message: messages.Rules) -> None:
        """Take up the rules of a root; those that cannot be read leave everything protected."""
        rule_set = answers.message_to_rules(message)
        self._matchers[message.root] = None if rule_set is None else matcher.Matcher(rule_set)
        # In the thread that sweeps, between two slices.
        self._thread.submit(self._sweeps[message.root].restart)

    def applied(self, acked: worker.Acked) -> None:
        """Run what follows a batch: its hooks, then the reload."""
        self._launcher.after_batch(acked.commit.hooks, reload=acked.commit.reload)

    def new_worker(self) -> worker.Worker:
        """Return a worker for a new link."""
        assert self._disk is not None
        return worker.Worker(self._disk)

    def carriage(self, link: driver.Driver, group: asyncio.TaskGroup) -> carriage.Carriage:
        """Return what carries a new link's byte streams."""
        return carriage.Carriage(link, group, self._dialler, self._told.port)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run something in the worker thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def answer(self, request: messages.Request) -> Iterator[messages.Part] | None:
        """Do what a request asks; return its content, each piece of which is made in the worker thread."""
        match request.ask:
            case messages.Ask.MANIFEST:
                return await self.in_thread(lambda: self._manifest(request))
            case messages.Ask.SWEEP:
                await self._sweep_now()
            case messages.Ask.RESTART:
                self._launcher.restart()
            case messages.Ask.START:
                self._launcher.start()
            case messages.Ask.PULL:
                return self._pull(request)
        return None

    # ---- the disk -------------------------------------------------------------------------------------------

    def _manifest(self, request: messages.Request) -> Iterator[messages.Part]:
        root, shelf = self._roots[request.root], self._stores[request.root]
        shelf.verify()
        found = extras.manifest(root, shelf, self._ignored_in(request.root))
        was = {drift.path: drift.was for drift in shelf.drifted()}
        rows = [
            answers.row(path, entry, shelf.managed(path) is not None, was.get(path))
            for path, entry in found.entries.items()
        ]
        rows += [answers.row(path, None, True, shipped) for path, shipped in was.items() if path not in found.entries]
        return answers.rows_to_parts(request.request, rows)

    def _pull(self, request: messages.Request) -> Iterator[messages.Part]:
        path = paths.from_wire(request.path)
        findings = self._findings.get(request.root)
        wanted = next((entry for raw, entry in findings.pulls if raw == request.path), None) if findings else None
        if wanted is None or wanted.digest != request.digest or not self._pulls[request.root].match(path):
            raise errors.AgentError(f"{path} is not a file that `pull:` asks for", code="DL0614")
        root = self._roots[request.root]
        return answers.content_to_parts(request.request, _content(extras.read_for_pull(root, path, wanted)))

    def _ignored_in(self, index: int) -> sweep.Ignored:
        def ignored(path: str, is_folder: bool) -> bool:
            if self._told.roots[index].keeps(path):
                return True
            rules_here = self._matchers[index]
            # Until the rules are known nothing may be called extra: everything unknown is protected.
            if rules_here is None:
                return True
            return rules_here.entry(path, is_folder).ignored and not (is_folder and rules_here.may_descend(path))

        return ignored

    def _pulled_in(self, index: int) -> sweep.Pulled:
        return lambda path: self._pulls[index].match(path)

    # ---- sweeping -------------------------------------------------------------------------------------------

    async def _sweep_on(self) -> None:
        """Go round all roots again and again, within the budget."""
        loop = asyncio.get_running_loop()
        while True:
            for index in range(len(self._roots)):
                report = None
                while report is None:
                    began_s = loop.time()
                    try:
                        report = await self.in_thread(functools.partial(self._sweeps[index].step, SWEEP_SLICE_S))
                    except OSError as error:
                        self._tell_trouble(f"looking through {self._told.roots[index].to} failed: {error}")
                        break
                    await asyncio.sleep(sweep.pause_after(loop.time() - began_s, SWEEP_SHARE))
                if report is not None:
                    self._trouble = ""
                    self._report(index, report)
            await asyncio.sleep(SWEEP_REST_S)

    async def _sweep_now(self) -> None:
        for index in range(len(self._roots)):
            await self.in_thread(self._sweeps[index].restart)
            report = None
            while report is None:
                report = await self.in_thread(functools.partial(self._sweeps[index].step, 0.05))
            self._report(index, report, always=True)

    def _report(self, index: int, report: sweep.SweepReport, *, always: bool = False) -> None:
        findings = messages.Findings(
            root=index,
            drift=tuple(
                messages.WireDrift(paths.to_wire(each.path), each.was, each.now) for each in report.drifted[:500]
            ),
            drift_count=len(report.drifted),
            extra=tuple(paths.to_wire(path) for path in report.extra[:500]),
            extra_count=report.extra_count,
            protected_count=report.protected_count,
            pulls=tuple((paths.to_wire(pull.path), pull.entry) for pull in report.pulls[:500]),
        )
        if always or findings != self._findings.get(index):
            self._findings[index] = findings
            self._say(findings)

    # ---- telling --------------------------------------------------------------------------------------------

    def _say(self, message: messages.Control) -> bool:
        return self._active is not None and self._active.send(message)

    def _tell_trouble(self, text: str) -> None:
        """Tell of the agent's own trouble, once: among the lines that the app prints."""
        if text != self._trouble:
            self._trouble = text
            self._launcher.note(text)

    async def _output(self, message: messages.Output) -> None:
        """Send output, on this link or the next that opens."""
        while True:
            await self._linked.wait()
            talking = self._active
            if talking is not None and talking.is_open:
                with contextlib.suppress(errors.LinkError):
                    await talking.send_output(message)
                    return
            # A link that opened while the other's end was awaited has set it again, and must be looked at.
            if self._active is talking:
                self._linked.clear()


def _place(told: settings.Settings, output: lines.LineQueue) -> places.Place:
    """Return where the app runs: only a target on this machine, which has no port, is run by the agent itself."""
    if told.launcher:
        return places.UnderLauncher(told.launcher, output)
    if told.port:
        return places.OutOfReach()
    return places.Here(os.path.join(told.state, "app"), [(root.to, root.data) for root in told.roots], output)


def _content(parts: Iterator[bytes | problem.Problem]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, problem.Problem):
            raise errors.AgentError(part.detail, code="DL0614")
        yield part
