"""Where a service's app and its hooks run, as seen from the agent: three places with the same verbs.

- `Here`: the agent runs them itself, on a target of this machine.
- `UnderLauncher`: a launcher in the app's container runs them (`serve --launcher`, `reload: supervise` in a pod).
- `OutOfReach`: the app's container runs the app without a launcher, so nothing in it can be run from the agent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from agent import app, ctl, hooks, remote, remotehooks
from devloop.core.appstate import AppState, Policy
from devloop.proc import lines
from devloop.protocol import messages

# A Python app whose output is a pipe would show its lines minutes late; most images set this already.
UNBUFFERED: Final = "PYTHONUNBUFFERED"

_OUT_OF_REACH: Final = (
    "the agent cannot run anything in the app's container, which has no launcher: set `reload: {mode: supervise}`"
)


class Runner(Protocol):
    """One service's app: see `agent.app.App`."""

    @property
    def state(self) -> AppState:
        """What the laptop is told."""

    def start(self) -> None:
        """The app is wanted from now on."""

    def changed(self) -> None:
        """A batch was applied, and its hooks ran."""

    def restart(self) -> None:
        """The user asked for a new process."""

    async def run(self) -> None:
        """Look after the app until cancelled."""


class Commands(Protocol):
    """Runs hooks and reload commands: see `agent.hooks.Hooks`."""

    async def run(self, specs: Iterable[hooks.HookSpec]) -> tuple[hooks.HookResult, ...]:
        """Run commands one after the other; one result for each."""


class Place(Protocol):
    """Where things run.

    Attributes:
        commands: Runs what belongs to batches.
        reachable: The app and commands can be run there at all.
    """

    commands: Commands
    reachable: bool

    def app(self, spec: messages.AppSpec, policy: Policy, on_state: Callable[[AppState], None]) -> Runner | None:
        """Return the app that a session asks for, not yet run; None where it asks for none."""

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        """Return the variables that a command is given."""

    def folder_of(self, path: str) -> str:
        """Return the folder in this place that a path of the configuration means."""


class Here:
    """The agent's own machine.

    Args:
        state: Where the app's identity is kept.
        folders: Pairs of a sync's `to` and the folder that it is here.
        output: Where lines go.
    """

    def __init__(self, state: str, folders: Sequence[tuple[str, str]], output: lines.LineQueue) -> None:
        self._identity = state
        self._folders = sorted(folders, key=lambda pair: len(pair[0]), reverse=True)
        self._output = output
        self.commands: Commands = hooks.Hooks(output)
        self.reachable = True

    def app(self, spec: messages.AppSpec, policy: Policy, on_state: Callable[[AppState], None]) -> Runner | None:
        """Return the agent's own child."""
        if not spec.command:
            return None
        told = app.AppSpec(
            argv=spec.command,
            cwd=self.folder_of(spec.cwd),
            env=self.environment(spec.env),
            policy=policy,
            identity_file=self._identity,
        )
        return app.App(told, output=self._output, on_state=on_state)

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        """Return the agent's own variables and these."""
        return {UNBUFFERED: "1", **os.environ, **extra}

    def folder_of(self, path: str) -> str:
        """Return the folder here that a path of the configuration means."""
        for to, data in self._folders:
            if path == to or path.startswith(to.rstrip("/") + "/"):
                return data + path[len(to.rstrip("/")) :]
        return path


class UnderLauncher:
    """The app's container, by its launcher, which has the command and its variables from the pod's spec.

    Args:
        folder: Where the launcher listens.
        output: Where the hooks' lines go; the app's are the container's own.
    """

    def __init__(self, folder: str, output: lines.LineQueue) -> None:
        self._control = ctl.Control(folder)
        self.commands: Commands = remotehooks.RemoteHooks(self._control, output)
        self.reachable = True

    def app(self, spec: messages.AppSpec, policy: Policy, on_state: Callable[[AppState], None]) -> Runner | None:
        """Return the launcher's app, whatever command the session would have."""
        return remote.RemoteApp(self._control, policy, on_state)

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        """Return these alone: the others are the container's."""
        return extra

    def folder_of(self, path: str) -> str:
        """Return the path itself: the app's container has what the configuration speaks of."""
        return path


class OutOfReach:
    """An app's container without a launcher."""

    def __init__(self) -> None:
        self.commands: Commands = self
        self.reachable = False

    async def run(self, specs: Iterable[hooks.HookSpec]) -> tuple[hooks.HookResult, ...]:
        """Refuse each command."""
        return tuple(hooks.HookResult(spec.name, None, 0, _OUT_OF_REACH) for spec in specs)

    def app(self, spec: messages.AppSpec, policy: Policy, on_state: Callable[[AppState], None]) -> Runner | None:
        """Return None: the app is the container's alone."""
        return None

    def environment(self, extra: dict[str, str]) -> dict[str, str]:
        """Return these."""
        return extra

    def folder_of(self, path: str) -> str:
        """Return the path itself."""
        return path
