"""The app of one service: the real process, pipes and timers around the supervisor's table.

Events come from the session (a batch was applied, the user asked for a restart) and from the process itself; `AppState`
values go to a callback, output lines into a queue. Every decision is made by `devloop.core.supervisor`, none here.

The group of the process is written to a file as long as it lives, so that an agent that comes after a killed one finds
and ends it first. When `run` is cancelled, because the session ended or the agent's own parent is gone
(`agent.parent`), the group is ended with it.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable
from typing import Final

import msgspec

from devloop.core import appevents, supervisor
from devloop.core.appstate import AppState, Policy, State
from devloop.proc import child, group, identity, lines, pipes

SOURCE: Final = "app"
# On the way out, what the table itself does is given this much more time than it needs.
_MARGIN_S: Final = 1.0


class AppSpec(msgspec.Struct, frozen=True):
    """How the app of one service is run.

    Attributes:
        argv: The command and its arguments.
        cwd: The folder it runs in.
        env: Its complete environment; None for the agent's own. Nothing is added to it: see `child.start` for
            PYTHONUNBUFFERED.
        policy: What a change does, and the grace period.
        identity_file: Where its process is written down, in the agent's state folder.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] | None
    policy: Policy
    identity_file: str


class App:
    """One service's app under supervision.

    `start`, `changed` and `restart` may be called at any time from the event loop's thread, before `run` and from
    `on_state` too; they return at once, and what follows from them is under way when they do.

    Args:
        spec: How to run it.
        output: Where its lines go.
        on_state: Is told of every new state; must neither block nor raise.
        rewrite: What is done to the text of each line.
    """

    def __init__(
        self,
        spec: AppSpec,
        *,
        output: lines.LineQueue,
        on_state: Callable[[AppState], None],
        rewrite: pipes.Rewrite | None = None,
    ) -> None:
        self._spec = spec
        self._output = output
        self._on_state = on_state
        self._rewrite = rewrite
        self._loop = asyncio.get_running_loop()
        self._machine = supervisor.new(spec.policy, self._loop.time())
        self._inbox: collections.deque[appevents.Event] = collections.deque()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._process: child.Process | None = None
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._busy = False

    @property
    def state(self) -> AppState:
        """What the laptop is told; `since_s` is Unix time."""
        app = self._machine.app
        return msgspec.structs.replace(app, since_s=time.time() - (self._loop.time() - app.since_s))

    def start(self) -> None:
        """The app is wanted from now on."""
        self._feed(appevents.Start())

    def changed(self) -> None:
        """A batch was applied, and its hooks ran."""
        self._feed(appevents.Changed())

    def restart(self) -> None:
        """The user asked for a new process."""
        self._feed(appevents.Restart())

    async def stop(self) -> None:
        """End the app, and wait until its group is gone; the grace period and KILL bound that."""
        self._feed(appevents.Stop())
        await self._stopped.wait()

    async def run(self) -> None:
        """Keep the app until cancelled; then end its group, and only then return.

        A second cancellation while it ends kills the group at once.
        """
        await self._end_stale()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                self._drain()
                await self._loop.create_future()
            finally:
                await self._finish()

    async def _end_stale(self) -> None:
        stale = identity.load(self._spec.identity_file)
        if stale is None:
            return
        if await group.end_stale(stale, self._spec.policy.grace_s):
            self._output.note(SOURCE, f"ended process {stale.pid}, which an earlier agent left running")
        identity.forget(self._spec.identity_file)

    async def _finish(self) -> None:
        self._feed(appevents.Stop())
        try:
            async with asyncio.timeout(self._spec.policy.grace_s + supervisor.KILL_WAIT_S + _MARGIN_S):
                await self._stopped.wait()
        except TimeoutError:
            self._output.note(SOURCE, self._machine.app.reason)
        finally:
            self._tasks = None
            for timer in self._timers.values():
                timer.cancel()
            if self._process is not None:
                self._process.abandon()
            self._stopped.set()

    def _feed(self, event: appevents.Event) -> None:
        self._inbox.append(event)
        self._drain()

    def _drain(self) -> None:
        """Take the events that wait, one after the other, unless that is being done or `run` has not begun."""
        if self._busy or self._tasks is None:
            return
        self._busy = True
        try:
            while self._inbox:
                self._machine, commands = supervisor.step(self._machine, self._inbox.popleft(), self._loop.time())
                for command in commands:
                    self._carry_out(command)
        finally:
            self._busy = False

    def _carry_out(self, command: appevents.Command) -> None:
        match command:
            case appevents.Spawn():
                self._spawn()
            case appevents.Signal(number, to_group):
                assert self._process is not None
                send = self._process.send if to_group else self._process.send_leader
                send(number)
            case appevents.SetTimer(token, seconds):
                self._timers[token] = self._loop.call_later(seconds, self._fire, token)
            case appevents.CancelTimer(token):
                self._timers.pop(token).cancel()
            case appevents.Report(app):
                self._report(app)

    def _report(self, app: AppState) -> None:
        if app.state is State.STOPPED:
            self._stopped.set()
        else:
            self._stopped.clear()
        self._on_state(self.state)

    def _fire(self, token: int) -> None:
        del self._timers[token]
        self._feed(appevents.TimerFired(token))

    def _spawn(self) -> None:
        spec = self._spec
        started = child.start(
            spec.argv, cwd=spec.cwd, env=spec.env, output=self._output, source=SOURCE, rewrite=self._rewrite
        )
        if isinstance(started, child.StartFailure):
            reason = f"{started.message} ({started.hint})" if started.hint else started.message
            self._inbox.append(appevents.Refused(reason, started.lasting))
            return
        assert self._tasks is not None
        self._process = started
        self._write_down(started)
        self._tasks.create_task(self._follow(started))
        self._inbox.append(appevents.Spawned(started.pid))

    def _write_down(self, process: child.Process) -> None:
        try:
            identity.save(self._spec.identity_file, process.identity)
        except OSError as error:
            path = self._spec.identity_file
            self._output.note(
                SOURCE, f"cannot write {path}: {error.strerror}; a killed agent would leave the app running"
            )

    async def _follow(self, process: child.Process) -> None:
        """See one process to its two ends."""
        self._feed(appevents.Exited(await process.exited()))
        await process.gone()
        self._process = None
        identity.forget(self._spec.identity_file)
        self._feed(appevents.Gone())
