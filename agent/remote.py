"""The app of one service where a launcher in the app's own container runs it: what happens becomes orders.

The launcher (scripts/launcher.sh) decides as `devloop.core.supervisor` does, and goes on without the agent. An order is
given again until the launcher's state acknowledges it. A launcher that is gone comes back with its container and
starts the app by itself, with the files as they are then; so nothing but the wish that the app run is kept for it.
"""

from __future__ import annotations

import asyncio
import enum
import signal
import time
from collections.abc import Callable
from typing import Final

import msgspec

from agent import ctl
from devloop.core import exits
from devloop.core.appstate import AppState, Mode, Policy, State

# How often the launcher's state is looked at: while an order is under way, a little later, and else. One look is a
# handful of system calls, 20 µs.
FAST_S: Final = 0.02
SOON_S: Final = 0.2
IDLE_S: Final = 1.0
FAST_FOR_S: Final = 5.0

# An order that was not acknowledged in this time is given again: the launcher is slow, or another one.
AGAIN_S: Final = 1.0

_PHASES: Final = {
    "waiting": State.STARTING,
    "starting": State.STARTING,
    "running": State.RUNNING,
    "stopping": State.STOPPING,
    "backoff": State.BACKOFF,
    "crashed": State.CRASHED,
    "finished": State.FINISHED,
}
_FOLLOWS: Final = {
    "waiting": "waits for the first sync",
    "backoff": "is tried again after a pause",
    "crashed": "waits for the next change",
}


class _Want(enum.IntEnum):
    """What is asked of the launcher; the greater includes the lesser."""

    NOTHING = 0
    START = 1
    SIGNAL = 2
    RESTART = 3


_ON_CHANGE: Final = {
    Mode.SUPERVISE: _Want.RESTART,
    Mode.SIGNAL: _Want.SIGNAL,
    Mode.COMMAND: _Want.START,
    Mode.NONE: _Want.START,
}


def state_of(told: ctl.Told | None, folder: str, now_s: float) -> AppState:
    """Return what the laptop is told: see `ctl.Told`.

    Args:
        told: What the launcher says; None where there is none.
        folder: Where it would listen.
        now_s: Since when, in Unix time.
    """
    if told is None:
        words = f"no launcher listens in {folder} on the pod side: is the app's container running?"
        return AppState(State.BACKOFF, since_s=now_s, reason=words)
    follows = _FOLLOWS.get(told.phase, "")
    ended = exits.describe(told.status) if told.status is not None and told.phase in ("backoff", "crashed") else ""
    return AppState(
        _PHASES.get(told.phase, State.STARTING),
        pid=told.pid,
        exit_status=told.status,
        restarts=told.starts - 1,
        since_s=now_s,
        reason="; ".join(filter(None, (ended, follows))),
    )


class RemoteApp:
    """One service's app under a launcher. Has the verbs of `agent.app.App`.

    Args:
        control: The launcher's folder.
        policy: What a change does; the grace period is the launcher's own.
        on_state: Is told of every new state; must neither block nor raise.
    """

    def __init__(self, control: ctl.Control, policy: Policy, on_state: Callable[[AppState], None]) -> None:
        self._control = control
        self._policy = policy
        self._on_state = on_state
        self._wake = asyncio.Event()
        self._told = control.told()
        self._state = state_of(self._told, control.folder, time.time())
        self._started = False
        self._want = _Want.NOTHING
        self._number = 0
        self._given_s: float | None = None
        self._fast_until_s = 0.0

    @property
    def state(self) -> AppState:
        """What the laptop is told."""
        return self._state

    def start(self) -> None:
        """The app is wanted from now on, also after its container was replaced."""
        self._started = True
        self._ask(_Want.START)

    def changed(self) -> None:
        """A batch was applied, and its hooks ran."""
        told = self._control.told()
        # Before the first sync is complete the app does not run, and who says that it is complete is the laptop.
        if told is not None and told.phase != "waiting":
            self._ask(_ON_CHANGE[self._policy.mode])

    def restart(self) -> None:
        """The user asked for a new process."""
        self._started = True
        self._ask(_Want.RESTART)

    def _ask(self, want: _Want) -> None:
        if want is _Want.START and self._want is not _Want.NOTHING:
            # What is asked or given already starts it too, and given anew it would be done twice.
            return
        self._want = max(self._want, want)
        # Whatever was given already came before this.
        self._given_s = None
        self._wake.set()

    async def run(self) -> None:
        """Give the orders and watch the launcher until cancelled; the app goes on."""
        while True:
            self._look()
            self._order()
            self._wake.clear()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _look(self) -> None:
        told = self._control.told()
        if told is None:
            if self._want is not _Want.NOTHING:
                self._want = _Want.START
            self._given_s = None
        elif self._given_s is not None and told.order == self._number:
            self._want, self._given_s = _Want.NOTHING, None
        if told is not None and told.phase == "waiting" and self._started and self._want is _Want.NOTHING:
            self._want = _Want.START
        self._told = told
        fresh = state_of(told, self._control.folder, time.time())
        if msgspec.structs.replace(fresh, since_s=self._state.since_s) != self._state:
            self._state = fresh
            self._on_state(fresh)

    def _order(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._want is _Want.NOTHING or self._told is None:
            return
        if self._given_s is not None and now_s - self._given_s < AGAIN_S:
            return
        if self._given_s is None:
            self._number = max(self._number, self._told.order) + 1
        name = signal.Signals(self._policy.signal).name.removeprefix("SIG")
        word = {_Want.START: "start", _Want.SIGNAL: f"signal {name}", _Want.RESTART: "restart"}[self._want]
        if self._control.order(f"{word} {self._number}"):
            self._given_s = now_s
            self._fast_until_s = now_s + FAST_FOR_S

    def _pause_s(self) -> float:
        told, now_s = self._told, asyncio.get_running_loop().time()
        moves = told is not None and told.phase in ("starting", "stopping")
        if (moves or self._given_s is not None) and now_s < self._fast_until_s:
            return FAST_S
        return SOON_S if moves or self._want is not _Want.NOTHING or told is None else IDLE_S
