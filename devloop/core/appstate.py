"""What is known of a service's app, and how it is to be treated: the values that leave the supervisor.

`AppState` is made by `devloop.core.supervisor`, travels from the agent to the laptop and is shown by every view.
"""

from __future__ import annotations

import enum
import signal
from typing import Final

import msgspec

DEFAULT_GRACE_S: Final = 5.0


class Mode(enum.StrEnum):
    """What a change does to the app: the values of `reload: mode` in devloop.yaml."""

    SUPERVISE = "supervise"
    SIGNAL = "signal"
    COMMAND = "command"
    NONE = "none"


class State(enum.StrEnum):
    """Where the app is in its life. The values are part of the JSON output."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    KILLING = "killing"
    BACKOFF = "backoff"
    FINISHED = "finished"
    CRASHED = "crashed"


class Policy(msgspec.Struct, frozen=True):
    """How one service's app is to be treated.

    Attributes:
        mode: What a change does.
        grace_s: Seconds between TERM and KILL.
        signal: What mode `signal` sends to the leader.
    """

    mode: Mode = Mode.SUPERVISE
    grace_s: float = DEFAULT_GRACE_S
    signal: int = signal.SIGHUP


class AppState(msgspec.Struct, frozen=True):
    """What the laptop is told about the app.

    Attributes:
        state: Where it is in its life.
        pid: The leader's process id, in the app's own view of the world; 0 where no process is.
        exit_status: How the last process ended (see `devloop.core.exits`); None before the first end.
        restarts: How many processes were started after the first one.
        since_s: When it entered this state, in seconds on the clock that `step` is fed from; the shell turns it
            into Unix time before it leaves the agent.
        reason: Why it is in this state, for people; may be empty.
    """

    state: State
    pid: int = 0
    exit_status: int | None = None
    restarts: int = 0
    since_s: float = 0.0
    reason: str = ""
