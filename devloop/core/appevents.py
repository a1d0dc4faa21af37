"""What the supervisor is told, and what it tells its shell to do.

Events go into `devloop.core.supervisor.step`, commands come out of it; `agent.app` is the shell between them and the
system.
"""

from __future__ import annotations

import msgspec

from devloop.core.appstate import AppState


class Start(msgspec.Struct, frozen=True):
    """The app is wanted."""


class Stop(msgspec.Struct, frozen=True):
    """The app is not wanted any more."""


class Restart(msgspec.Struct, frozen=True):
    """The user asked for a new process: `devloop restart`. Starts a stopped app, too."""


class Changed(msgspec.Struct, frozen=True):
    """A batch was applied to the app's files."""


class Spawned(msgspec.Struct, frozen=True):
    """`Spawn` was carried out. `pid` is the leader's."""

    pid: int


class Refused(msgspec.Struct, frozen=True):
    """`Spawn` failed.

    Attributes:
        reason: What the system said, for people.
        lasting: Trying again without a change is pointless.
    """

    reason: str
    lasting: bool


class Exited(msgspec.Struct, frozen=True):
    """The leader ended, with this exit status; others of its group may still run."""

    status: int


class Gone(msgspec.Struct, frozen=True):
    """Nothing of the process's group is left. Comes after `Exited`, once."""


class TimerFired(msgspec.Struct, frozen=True):
    """The timer with this token is due. A token that is not awaited any more is ignored."""

    token: int


Event = Start | Stop | Restart | Changed | Spawned | Refused | Exited | Gone | TimerFired


class Spawn(msgspec.Struct, frozen=True):
    """Start a process. To be answered by `Spawned` or `Refused`."""


class Signal(msgspec.Struct, frozen=True):
    """Send a signal; a process or group that has ended meanwhile is no error.

    Attributes:
        number: Which signal.
        group: To the whole group, else to the leader only.
    """

    number: int
    group: bool = True


class SetTimer(msgspec.Struct, frozen=True):
    """Feed `TimerFired(token)` after this many seconds."""

    token: int
    seconds: float


class CancelTimer(msgspec.Struct, frozen=True):
    """The timer with this token is not awaited any more."""

    token: int


class Report(msgspec.Struct, frozen=True):
    """Tell whoever watches."""

    app: AppState


Command = Spawn | Signal | SetTimer | CancelTimer | Report
