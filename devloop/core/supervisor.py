"""The life of one service's app, as a state table: what happened comes in, what to do comes out.

Theory of operation. The shell (`agent.app`) owns the real process and the real clock. It feeds each event, with the
time, to `step`, which returns the next machine and the commands that the shell carries out, in their order:

    Start, Stop, Restart, Changed ──┐                      ┌── Spawn
    Spawned, Refused, Exited, Gone ─┼─> step(machine) ─────┼── Signal, SetTimer, CancelTimer
    TimerFired ─────────────────────┘                      └── Report(AppState)

A process passes through two ends. `Exited` says that its leader, the process that was started, has ended; `Gone` says
that nothing of its group is left either. A new one is spawned only after `Gone`, so two never run at once and an old
one never holds the port: `sh -c 'python app.py'` dies of TERM at once while the server below it is still shutting
down, and that server has the rest of the grace period, then KILL.

What follows once the process is gone is the machine's `goal`, and events that arrive on the way only change the goal.
So any number of changes during one stop become one start, and none is lost. There is at most one timer at a time;
its token tells a timer that fired late from the one that is awaited.

What a change does depends on the mode. `supervise` replaces the process. `signal` sends the configured signal to the
leader only, as servers with workers expect it (a HUP that is meant for gunicorn's master kills gunicorn's workers);
a command inside `sh -c` needs `exec` for it. `command` and `none` leave a running app alone: the reload command is a
hook (`agent.hooks`), and some apps reload themselves. In every mode a change starts an app that is not running, at once
and with its backoff forgotten, because the change may be the fix; only an app that the user stopped stays stopped.

How an app that ends by itself is treated:

- It ran for less than `AT_ONCE_S` and gave status 0: it did what it was for, as a script does. `FINISHED`, runs
  again on the next change.
- Otherwise it is started again after a pause that doubles from `FIRST_PAUSE_S` to `LONGEST_PAUSE_S`. After a run of
  `HEALTHY_S` the pauses begin anew.
- It died at once `GIVE_UP_AFTER` times in a row, or the system refused to start it for a reason that stays (no such
  command): `CRASHED`, waits for the next change.
- It was killed by the very signal that asked it to reload: it had no handler for it, or not yet. That is a restart, not
  a crash; it is started at once.

This module knows no processes, no clock and no asyncio.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable
from typing import Final

import msgspec

from devloop.core import appevents, exits
from devloop.core.appstate import AppState, Mode, Policy, State

# A run shorter than this never served anything: an import error or a port in use ends a Python app in less.
AT_ONCE_S: Final = 1.0
# A run at least this long was a working app; what ended it is a new trouble, so the pauses begin anew.
HEALTHY_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
# Twenty pauses from 0.5 s doubling to 30 s are more than six minutes: longer than a database takes to come up, and
# short enough not to fill the terminal with the same traceback overnight.
GIVE_UP_AFTER: Final = 20
# KILL cannot be refused; what outlives it is stuck in the kernel (a dead NFS server) or belongs to another user.
KILL_WAIT_S: Final = 5.0


class Goal(enum.Enum):
    """What follows once the present process is there (`STARTING`) or gone (`STOPPING`, `KILLING`)."""

    KEEP = enum.auto()
    WAKE = enum.auto()
    SIGNAL = enum.auto()
    START = enum.auto()
    STOP = enum.auto()
    BACKOFF = enum.auto()
    FINISHED = enum.auto()
    CRASHED = enum.auto()


class Machine(msgspec.Struct, frozen=True):
    """Everything that is known about the app. Make one with `new`; only `step` makes the next.

    Attributes:
        policy: How to treat the app.
        app: What the laptop is told.
        goal: What follows; see `Goal`.
        starts: Processes spawned so far.
        failures: Ends without a healthy run in between; the next pause follows from it.
        early: Deaths at once in a row.
        running_since_s: When the present process was spawned.
        changed: A change came since the present process was spawned, and did not replace it.
        timer: The awaited timer's token, or 0.
        last_timer: The last token that was given out.
    """

    policy: Policy
    app: AppState
    goal: Goal = Goal.KEEP
    starts: int = 0
    failures: int = 0
    early: int = 0
    running_since_s: float = 0.0
    changed: bool = False
    timer: int = 0
    last_timer: int = 0


def new(policy: Policy, now_s: float) -> Machine:
    """Return the machine of an app that was never started."""
    return Machine(policy, AppState(State.STOPPED, since_s=now_s))


class _Cause(enum.Enum):
    """An event as the table sees it: a change by its mode, a refusal by whether it lasts."""

    START = enum.auto()
    STOP = enum.auto()
    RESTART = enum.auto()
    REPLACE = enum.auto()
    NUDGE = enum.auto()
    WAKE = enum.auto()
    SPAWNED = enum.auto()
    REFUSED = enum.auto()
    REFUSED_FOR_NOW = enum.auto()
    EXITED = enum.auto()
    GONE = enum.auto()
    DUE = enum.auto()


class _Turn:
    """One step in the making: the machine as it becomes, and the commands so far."""

    def __init__(self, machine: Machine, event: appevents.Event, now_s: float) -> None:
        self.machine = machine
        self.event = event
        self.now_s = now_s
        self.commands: list[appevents.Command] = []

    def become(self, **fields: object) -> None:
        """Replace fields of the machine."""
        self.machine = msgspec.structs.replace(self.machine, **fields)

    def tell(self, **fields: object) -> None:
        """Replace fields of what the laptop is told."""
        self.become(app=msgspec.structs.replace(self.machine.app, **fields))


def _spawn(turn: _Turn) -> None:
    turn.become(starts=turn.machine.starts + 1, goal=Goal.KEEP, changed=False)
    turn.tell(pid=0, restarts=turn.machine.starts - 1, reason="")
    turn.commands.append(appevents.Spawn())


def _note_process(turn: _Turn) -> None:
    assert isinstance(turn.event, appevents.Spawned)
    turn.become(running_since_s=turn.now_s)
    turn.tell(pid=turn.event.pid)


def _note_refusal(turn: _Turn) -> None:
    assert isinstance(turn.event, appevents.Refused)
    turn.tell(reason=turn.event.reason)


def _note_exit(turn: _Turn) -> None:
    assert isinstance(turn.event, appevents.Exited)
    turn.tell(exit_status=turn.event.status)


def _note_gone(turn: _Turn) -> None:
    turn.tell(pid=0)


def _forget_failures(turn: _Turn) -> None:
    turn.become(failures=0, early=0)


def _terminate(turn: _Turn) -> None:
    turn.commands.append(appevents.Signal(signal.SIGTERM))
    _arm(turn, turn.machine.policy.grace_s)


def _kill(turn: _Turn) -> None:
    turn.tell(reason=f"did not end within {turn.machine.policy.grace_s:g} s of SIGTERM")
    turn.commands.append(appevents.Signal(signal.SIGKILL))
    _arm(turn, KILL_WAIT_S)


def _kill_again(turn: _Turn) -> None:
    turn.tell(reason="does not end after SIGKILL: stuck in the kernel, or it runs as another user")
    turn.commands.append(appevents.Signal(signal.SIGKILL))
    _arm(turn, KILL_WAIT_S)


def _reload(turn: _Turn) -> None:
    turn.become(goal=Goal.KEEP, changed=True)
    turn.commands.append(appevents.Signal(turn.machine.policy.signal, group=False))


def _note_change(turn: _Turn) -> None:
    turn.become(goal=Goal.KEEP, changed=True)


def _arm(turn: _Turn, seconds: float) -> None:
    _disarm(turn)
    token = turn.machine.last_timer + 1
    turn.become(timer=token, last_timer=token)
    turn.commands.append(appevents.SetTimer(token, seconds))


def _disarm(turn: _Turn) -> None:
    if turn.machine.timer:
        turn.commands.append(appevents.CancelTimer(turn.machine.timer))
        turn.become(timer=0)


def _pause(turn: _Turn) -> None:
    # The exponent is bounded before the power is taken, which would overflow a float after a thousand failures.
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(turn.machine.failures, 10))
    turn.become(failures=turn.machine.failures + 1, goal=Goal.KEEP)
    turn.tell(reason=f"{turn.machine.app.reason}; next try in {pause_s:g} s")
    _arm(turn, pause_s)


def _await_change(turn: _Turn) -> None:
    turn.become(goal=Goal.KEEP)
    turn.tell(reason=f"{turn.machine.app.reason}; waits for the next change")


def _rest(turn: _Turn) -> None:
    turn.become(goal=Goal.KEEP)
    turn.tell(reason="")


def _judge(turn: _Turn) -> None:
    """Set the goal for an app that ended by itself."""
    assert isinstance(turn.event, appevents.Exited)
    machine, status = turn.machine, turn.event.status
    # A clock that went backwards makes a run look short, never negative.
    ran_s = max(0.0, turn.now_s - machine.running_since_s)
    at_once = ran_s < AT_ONCE_S
    if ran_s >= HEALTHY_S or machine.changed:
        _forget_failures(turn)
    turn.become(early=turn.machine.early + 1 if at_once else 0)
    turn.tell(reason=f"{exits.describe(status)} after {ran_s:.1f} s")
    asked_to_reload = machine.changed and machine.policy.mode is Mode.SIGNAL
    if asked_to_reload and status == -machine.policy.signal:
        turn.tell(reason=f"{exits.describe(status)}, which it was to reload on; starting it again")
        turn.become(goal=Goal.START, early=0)
    elif at_once and status == 0:
        turn.become(goal=Goal.START if machine.changed else Goal.FINISHED, early=0)
    elif turn.machine.early >= GIVE_UP_AFTER:
        turn.tell(reason=f"{turn.machine.app.reason}, {GIVE_UP_AFTER} times in a row")
        turn.become(goal=Goal.CRASHED)
    else:
        turn.become(goal=Goal.BACKOFF)


def _aim(goal: Goal) -> Callable[[_Turn], None]:
    def aim(turn: _Turn) -> None:
        turn.become(goal=goal)

    return aim


_Action = Callable[[_Turn], None]
_Row = tuple[State, tuple[_Action, ...]]
_Key = tuple[State, _Cause, Goal | None]

_CHANGES: Final = (_Cause.REPLACE, _Cause.NUDGE, _Cause.WAKE)

_AIM_START: Final = _aim(Goal.START)
_AIM_STOP: Final = _aim(Goal.STOP)

# Every transition: (state, cause, goal or any) -> (next state, what is done). A row for the machine's goal goes before
# the row for any goal. What is in no row cannot happen.
_TABLE: Final[dict[_Key, _Row]] = {
    # Nothing runs, and nothing is wanted: only a person starts it.
    (State.STOPPED, _Cause.START, None): (State.STARTING, (_forget_failures, _spawn)),
    (State.STOPPED, _Cause.RESTART, None): (State.STARTING, (_forget_failures, _spawn)),
    (State.STOPPED, _Cause.STOP, None): (State.STOPPED, ()),
    **{(State.STOPPED, cause, None): (State.STOPPED, ()) for cause in _CHANGES},
    # Nothing runs, but it should: whatever happens is a reason to try.
    **{
        (state, cause, None): (State.STARTING, (_disarm, _forget_failures, _spawn))
        for state in (State.BACKOFF, State.FINISHED, State.CRASHED)
        for cause in (_Cause.START, _Cause.RESTART, *_CHANGES)
    },
    (State.BACKOFF, _Cause.DUE, None): (State.STARTING, (_disarm, _spawn)),
    (State.BACKOFF, _Cause.STOP, None): (State.STOPPED, (_disarm, _rest)),
    (State.FINISHED, _Cause.STOP, None): (State.STOPPED, (_rest,)),
    (State.CRASHED, _Cause.STOP, None): (State.STOPPED, (_rest,)),
    # A process is on its way. It may have read its files already, so a change now must still reach it.
    (State.STARTING, _Cause.START, None): (State.STARTING, ()),
    (State.STARTING, _Cause.START, Goal.STOP): (State.STARTING, (_AIM_START,)),
    (State.STARTING, _Cause.RESTART, None): (State.STARTING, (_AIM_START,)),
    (State.STARTING, _Cause.STOP, None): (State.STARTING, (_AIM_STOP,)),
    **{
        (State.STARTING, cause, goal): (State.STARTING, ())
        for cause in _CHANGES
        for goal in (Goal.START, Goal.STOP)
    },
    (State.STARTING, _Cause.REPLACE, None): (State.STARTING, (_AIM_START,)),
    (State.STARTING, _Cause.NUDGE, None): (State.STARTING, (_aim(Goal.SIGNAL),)),
    (State.STARTING, _Cause.WAKE, None): (State.STARTING, (_aim(Goal.WAKE),)),
    (State.STARTING, _Cause.SPAWNED, Goal.KEEP): (State.RUNNING, (_note_process,)),
    (State.STARTING, _Cause.SPAWNED, Goal.WAKE): (State.RUNNING, (_note_process, _note_change)),
    (State.STARTING, _Cause.SPAWNED, Goal.SIGNAL): (State.RUNNING, (_note_process, _reload)),
    (State.STARTING, _Cause.SPAWNED, Goal.START): (State.STOPPING, (_note_process, _terminate)),
    (State.STARTING, _Cause.SPAWNED, Goal.STOP): (State.STOPPING, (_note_process, _terminate)),
    (State.STARTING, _Cause.REFUSED, Goal.KEEP): (State.CRASHED, (_note_refusal, _await_change)),
    (State.STARTING, _Cause.REFUSED_FOR_NOW, Goal.KEEP): (State.BACKOFF, (_note_refusal, _pause)),
    **{
        (State.STARTING, cause, goal): (State.STARTING, (_spawn,))
        for cause in (_Cause.REFUSED, _Cause.REFUSED_FOR_NOW)
        for goal in (Goal.WAKE, Goal.SIGNAL, Goal.START)
    },
    (State.STARTING, _Cause.REFUSED, Goal.STOP): (State.STOPPED, (_rest,)),
    (State.STARTING, _Cause.REFUSED_FOR_NOW, Goal.STOP): (State.STOPPED, (_rest,)),
    # It runs.
    (State.RUNNING, _Cause.START, None): (State.RUNNING, ()),
    (State.RUNNING, _Cause.WAKE, None): (State.RUNNING, (_note_change,)),
    (State.RUNNING, _Cause.NUDGE, None): (State.RUNNING, (_reload,)),
    (State.RUNNING, _Cause.REPLACE, None): (State.STOPPING, (_forget_failures, _AIM_START, _terminate)),
    (State.RUNNING, _Cause.RESTART, None): (State.STOPPING, (_forget_failures, _AIM_START, _terminate)),
    (State.RUNNING, _Cause.STOP, None): (State.STOPPING, (_AIM_STOP, _terminate)),
    (State.RUNNING, _Cause.EXITED, None): (State.STOPPING, (_note_exit, _judge, _terminate)),
    # It ends. Events only change what comes after; the process has its grace whatever is wanted of the next one.
    **{
        (state, cause, None): (state, (_forget_failures, _AIM_START))
        for state in (State.STOPPING, State.KILLING)
        for cause in (_Cause.START, _Cause.RESTART, *_CHANGES)
    },
    **{
        (state, cause, Goal.STOP): (state, ()) for state in (State.STOPPING, State.KILLING) for cause in _CHANGES
    },
    **{(state, _Cause.STOP, None): (state, (_AIM_STOP,)) for state in (State.STOPPING, State.KILLING)},
    **{(state, _Cause.EXITED, None): (state, (_note_exit,)) for state in (State.STOPPING, State.KILLING)},
    (State.STOPPING, _Cause.DUE, None): (State.KILLING, (_kill,)),
    (State.KILLING, _Cause.DUE, None): (State.KILLING, (_kill_again,)),
    **{
        (state, _Cause.GONE, goal): row
        for state in (State.STOPPING, State.KILLING)
        for goal, row in (
            (Goal.START, (State.STARTING, (_disarm, _spawn))),
            (Goal.STOP, (State.STOPPED, (_disarm, _note_gone, _rest))),
            (Goal.BACKOFF, (State.BACKOFF, (_disarm, _note_gone, _pause))),
            (Goal.FINISHED, (State.FINISHED, (_disarm, _note_gone, _await_change))),
            (Goal.CRASHED, (State.CRASHED, (_disarm, _note_gone, _await_change))),
        )
    },
}  # fmt: skip

_ON_CHANGE: Final = {
    Mode.SUPERVISE: _Cause.REPLACE,
    Mode.SIGNAL: _Cause.NUDGE,
    Mode.COMMAND: _Cause.WAKE,
    Mode.NONE: _Cause.WAKE,
}

_PLAIN: Final[dict[type[appevents.Event], _Cause]] = {
    appevents.Start: _Cause.START,
    appevents.Stop: _Cause.STOP,
    appevents.Restart: _Cause.RESTART,
    appevents.Spawned: _Cause.SPAWNED,
    appevents.Exited: _Cause.EXITED,
    appevents.Gone: _Cause.GONE,
    appevents.TimerFired: _Cause.DUE,
}


def _cause(machine: Machine, event: appevents.Event) -> _Cause:
    if isinstance(event, appevents.Changed):
        return _ON_CHANGE[machine.policy.mode]
    if isinstance(event, appevents.Refused):
        return _Cause.REFUSED if event.lasting else _Cause.REFUSED_FOR_NOW
    return _PLAIN[type(event)]


def step(machine: Machine, event: appevents.Event, now_s: float) -> tuple[Machine, tuple[appevents.Command, ...]]:
    """Take one event.

    Args:
        machine: The app as it is.
        event: What happened.
        now_s: Seconds on a clock that does not jump, such as the event loop's.

    Returns:
        The app as it is now, and what to do, in this order. `Report` is among it when what the laptop is told differs.

    Raises:
        ValueError: The event cannot happen in this state: a bug in the shell.
    """
    if isinstance(event, appevents.TimerFired) and (not machine.timer or event.token != machine.timer):
        return machine, ()
    cause, state = _cause(machine, event), machine.app.state
    row = _TABLE.get((state, cause, machine.goal)) or _TABLE.get((state, cause, None))
    if row is None:
        raise ValueError(f"{event!r} cannot happen while the app is {state} (goal {machine.goal.name})")
    after, actions = row
    turn = _Turn(machine, event, now_s)
    if isinstance(event, appevents.TimerFired):
        turn.become(timer=0)
    for action in actions:
        action(turn)
    if after is not state:
        turn.tell(state=after, since_s=now_s)
    if turn.machine.app != machine.app:
        turn.commands.append(appevents.Report(turn.machine.app))
    return turn.machine, tuple(turn.commands)
