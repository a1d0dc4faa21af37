"""What follows a batch in a pod whose agent cannot run it: hooks and reloads by exec, from the laptop.

An agent beside an app without a launcher reaches the app's files and nothing else of it. So what it would do after a
batch is done here when it has acked: the hooks in order, then the reload. A container runs one such row at a time, and
what several batches owe meanwhile is owed once, as with an agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from devloop import errors
from devloop.protocol import messages
from devloop.sync import commands, events

# How long a signal, or a reload's command, may take to be carried out.
RELOAD_TIMEOUT_S: Final = 60.0

# The first process of a container is its app.
_APP_PID: Final = "1"


class Ran(msgspec.Struct, frozen=True):
    """How a command in a container ended.

    Attributes:
        status: Its exit status.
        stdout: What it printed.
        stderr: What it complained.
    """

    status: int
    stdout: bytes = b""
    stderr: bytes = b""


class Container(Protocol):
    """The app's container."""

    async def run(self, argv: Sequence[str], *, cwd: str, env: dict[str, str], timeout_s: float) -> Ran:
        """Run a command in it; raise DevloopError where that cannot be done."""


class Aftermath:
    """What is owed to one container.

    Args:
        container: It.
        app: How the app takes changes up.
        rewrite: Turns the pod's paths in output into the laptop's.
        publish: Where events go.
    """

    def __init__(
        self,
        container: Container,
        app: messages.AppSpec,
        rewrite: Callable[[str], str],
        publish: Callable[[events.Event], None],
    ) -> None:
        self._container = container
        self._app = app
        self._rewrite = rewrite
        self._publish = publish
        self._owed: dict[int, tuple[tuple[messages.HookSpec, ...], bool]] = {}
        self._hooks: list[messages.HookSpec] = []
        self._reload = False
        self._turn = asyncio.Lock()

    def keep(self, batch: commands.Batch) -> commands.Batch:
        """Keep what a batch calls for, and return the batch without it, for the agent."""
        if batch.hooks or batch.reload:
            self._owed[batch.number] = (batch.hooks, batch.reload)
        return msgspec.structs.replace(batch, hooks=(), reload=False)

    async def acked(self, number: int, *, applied: bool) -> None:
        """Do what a batch called for, once it was applied.

        Args:
            number: The batch.
            applied: The agent did not refuse it.
        """
        hooks, reload = self._owed.pop(number, ((), False))
        if not applied:
            return
        self._hooks += [hook for hook in hooks if hook not in self._hooks]
        self._reload = self._reload or reload
        async with self._turn:
            wanted, self._hooks = self._hooks, []
            reload, self._reload = self._reload, False
            for hook in wanted:
                await self._run(hook)
            if reload:
                for hook in self._reloading():
                    await self._run(hook)

    def _reloading(self) -> Iterable[messages.HookSpec]:
        app = self._app
        if app.mode is messages.ReloadMode.COMMAND and app.run:
            yield messages.HookSpec("reload", app.run, app.cwd, RELOAD_TIMEOUT_S)
        elif app.mode is messages.ReloadMode.SIGNAL:
            yield messages.HookSpec(
                "reload", ("kill", "-s", app.signal.removeprefix("SIG") or "HUP", _APP_PID), "/", RELOAD_TIMEOUT_S
            )

    async def _run(self, hook: messages.HookSpec) -> None:
        self._publish(events.CommandStarted(name=hook.name))
        began_s = asyncio.get_running_loop().time()
        try:
            ran = await self._container.run(hook.argv, cwd=hook.cwd, env=dict(self._app.env), timeout_s=hook.timeout_s)
        except errors.DevloopError as error:
            ok, outcome = False, error.message
        else:
            for data, is_error in ((ran.stdout, False), (ran.stderr, True)):
                lines = tuple(map(self._rewrite, data.decode("utf-8", "replace").splitlines()))
                if lines:
                    self._publish(events.Output(source=hook.name, lines=lines, err=is_error))
            ok, outcome = ran.status == 0, f"exit {ran.status}"
        took_ms = round((asyncio.get_running_loop().time() - began_s) * 1000)
        self._publish(events.CommandDone(name=hook.name, ok=ok, outcome=outcome, ms=took_ms))
