"""The app, its hooks and its output, wherever they run: see `agent.places`.

A batch's hooks run first, then the reload; several batches that come meanwhile make one reload. Output lines wait in
a bounded queue for a link that takes them. The decisions about the app are `devloop.core.supervisor`'s.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from agent import hooks, places
from devloop.core import appstate, exits
from devloop.proc import lines
from devloop.protocol import messages

RELOAD: Final = "reload"

# Whose lines those are that the agent itself has to say.
AGENT: Final = "agent"

_ACT_ON_THE_APP: Final = (messages.ReloadMode.SUPERVISE, messages.ReloadMode.SIGNAL)


class _After(msgspec.Struct, frozen=True):
    """What follows some batches: their hooks, each once, and a reload if one of them wants it."""

    hooks: tuple[messages.HookSpec, ...] = ()
    reload: bool = False

    def joined(self, wanted: Sequence[messages.HookSpec], *, reload: bool) -> _After:
        new = tuple(hook for hook in wanted if hook not in self.hooks)
        return _After(self.hooks + new, self.reload or reload)


class Launcher:
    """Runs one service's app and the commands that belong to its batches.

    Args:
        place: Makes the place where they run, given where lines go.
        say: Sends a control message, and returns whether there is a link to send it on.
        output: Sends output; waits for a link where there is none.
    """

    def __init__(
        self,
        place: Callable[[lines.LineQueue], places.Place],
        say: Callable[[messages.Control], bool],
        output: Callable[[messages.Output], Awaitable[None]],
    ) -> None:
        self._say = say
        self._send_output = output
        self._lines = lines.LineQueue()
        self._place = place(self._lines)
        self._spec: messages.AppSpec | None = None
        self._app: places.Runner | None = None
        self._app_tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._after = _After()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled; then end the app."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            if self._spec is not None:
                self._start_app_task(self._spec)
            group.create_task(self._pass_output_on())
            await self._follow_batches()

    # ---- what the session says ------------------------------------------------------------------------------

    def configure(self, spec: messages.AppSpec) -> None:
        """Take up what a session says of the app; the running app is replaced only where that has changed."""
        if spec == self._spec:
            return
        self._spec = spec
        self._start_app_task(spec)

    def start(self) -> None:
        """The target is complete: start the app unless it runs."""
        if self._app is not None:
            self._app.start()

    def restart(self) -> None:
        """The user asked for a new process."""
        if self._app is not None:
            self._app.restart()

    def after_batch(self, wanted: tuple[messages.HookSpec, ...], *, reload: bool) -> None:
        """Note what follows a batch; what follows several that come while hooks run is done once."""
        if wanted or reload:
            self._after = self._after.joined(wanted, reload=reload)
            self._wake.set()

    def note(self, text: str) -> None:
        """Tell the laptop about the agent's own trouble, among the lines that the app prints."""
        self._lines.note(AGENT, text)

    def tell_state(self) -> None:
        """Tell a new link how the app is."""
        if self._app is not None:
            self._tell(self._app.state)

    # ---- the app --------------------------------------------------------------------------------------------

    def _start_app_task(self, spec: messages.AppSpec) -> None:
        if self._group is None:
            return
        self._app = None
        before = frozenset(self._app_tasks)
        for task in before:
            # Cancelled again while it ends, an app would be killed without its grace.
            if not task.cancelling():
                task.cancel()
        policy = appstate.Policy(
            mode=appstate.Mode(spec.mode.value), grace_s=spec.grace_s, signal=_signal_number(spec.signal)
        )
        made = self._place.app(spec, policy, self._tell)
        if made is None:
            return
        self._app = made
        task = self._group.create_task(_one_after_the_others(before, made.run))
        self._app_tasks.add(task)
        task.add_done_callback(self._app_tasks.discard)

    def _tell(self, state: appstate.AppState) -> None:
        detail = state.reason
        if not detail and state.exit_status is not None and state.pid == 0:
            detail = exits.describe(state.exit_status)
        self._say(messages.AppChanged(state.state.value, state.pid, state.restarts + 1, detail))

    # ---- batches --------------------------------------------------------------------------------------------

    async def _follow_batches(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            after, self._after = self._after, _After()
            await self._run_hooks(after.hooks)
            if after.reload:
                await self._reload()

    async def _reload(self) -> None:
        spec = self._spec
        if self._app is not None:
            self._app.changed()
        elif spec is not None and not self._place.reachable and spec.mode in _ACT_ON_THE_APP:
            # This tells, as of any hook, that it cannot be done.
            await self._run_hooks([messages.HookSpec(RELOAD, (spec.mode.value,), spec.cwd)])
        if spec is not None and spec.mode is messages.ReloadMode.COMMAND and spec.run:
            await self._run_hooks([messages.HookSpec(RELOAD, spec.run, spec.cwd)])

    async def _run_hooks(self, wanted: Iterable[messages.HookSpec]) -> None:
        env = self._place.environment(self._spec.env if self._spec is not None else {})
        for hook in wanted:
            self._say(messages.HookStarted(hook.name))
            began_s = time.monotonic()
            (result,) = await self._place.commands.run(
                [
                    hooks.HookSpec(
                        name=hook.name,
                        argv=hook.argv,
                        cwd=self._place.folder_of(hook.cwd),
                        env=env,
                        timeout_s=hook.timeout_s,
                    )
                ]
            )
            outcome = result.failure or exits.describe(result.exit_status or 0)
            took_ms = round((time.monotonic() - began_s) * 1000)
            told = self._say(messages.HookDone(hook.name, not result.failure, outcome, took_ms))
            if result.failure and not told:
                # Lines wait for the next link, and a failure must not be lost with this one.
                self._lines.note(hook.name, f"failed: {outcome}, after {took_ms} ms")

    # ---- output ---------------------------------------------------------------------------------------------

    async def _pass_output_on(self) -> None:
        """Send lines as they come; while there is no link they wait, the oldest dropped and counted."""
        while True:
            taken = await self._lines.take()
            if taken is None:
                return
            for message in _as_messages(taken.lines, taken.dropped):
                await self._send_output(message)


def _as_messages(taken: Sequence[lines.Line], dropped: int) -> list[messages.Output]:
    """Return lines as messages: a run of the same source and stream goes together, within a frame."""
    found: list[messages.Output] = []
    run: list[bytes] = []
    size = 0
    for index, line in enumerate(taken):
        raw = line.text.encode("utf-8", "replace") + b"\n"
        before = taken[index - 1] if index else line
        if run and (
            (line.source, line.stream) != (before.source, before.stream) or size + len(raw) > messages.MAX_DATA_BYTES
        ):
            found.append(_output(before, run, dropped))
            run, size, dropped = [], 0, 0
        run.append(raw)
        size += len(raw)
    if run:
        found.append(_output(taken[-1], run, dropped))
    return found


def _output(line: lines.Line, run: Sequence[bytes], dropped: int) -> messages.Output:
    is_error = line.stream is not lines.Stream.STDOUT
    return messages.Output(messages.OUTPUT_STREAM, line.source, is_error, dropped, b"".join(run))


async def _one_after_the_others(before: frozenset[asyncio.Task[None]], run: Callable[[], Awaitable[None]]) -> None:
    """Run an app once all those before it have ended, those too that never came to run."""
    if before:
        await asyncio.wait(before)
    await run()


def wrong_with(spec: messages.AppSpec) -> str:
    """Return what is wrong with an app that a session asks for, for people, or nothing."""
    if not (math.isfinite(spec.grace_s) and spec.grace_s >= 0.0):
        return f"a grace period of {spec.grace_s:g} s"
    try:
        _signal_number(spec.signal)
    except KeyError:
        return f"there is no signal {spec.signal!r} on the pod side"
    return ""


def _signal_number(name: str) -> int:
    return int(signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"]) if name else int(signal.SIGHUP)
