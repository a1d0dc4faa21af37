"""The supervisor's state table: by example, and as properties over random lives."""

import itertools
import signal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.core import appevents as ev
from devloop.core import supervisor as sv
from devloop.core.appstate import Mode, Policy, State


class World:
    """A shell without processes: carries out commands, keeps a clock, and checks what must always hold."""

    def __init__(self, policy: Policy | None = None, *, start: bool = True) -> None:
        self.now_s = 100.0
        self.machine = sv.new(policy or Policy(), self.now_s)
        self.timers: dict[int, float] = {}
        self.spawning = False
        self.leader = False
        self.members = False
        self.signals: list[tuple[int, bool]] = []
        self.spawned_at: list[int] = []
        self.reports: list[State] = []
        self.ticks = itertools.count()
        self.pids = itertools.count(10)
        if start:
            self.feed(ev.Start())
            self.answer()

    def state(self) -> State:
        return self.machine.app.state

    @property
    def reason(self) -> str:
        return self.machine.app.reason

    def feed(self, event: ev.Event) -> None:
        self.machine, commands = sv.step(self.machine, event, self.now_s)
        for command in commands:
            self.carry_out(command)
        assert set(self.timers) == ({self.machine.timer} - {0}), "a timer is neither awaited nor cancelled"

    def carry_out(self, command: ev.Command) -> None:
        match command:
            case ev.Spawn():
                assert not (self.spawning or self.leader or self.members), "two processes at once"
                self.spawning = True
                self.spawned_at.append(next(self.ticks))
            case ev.Signal(number, group):
                self.signals.append((number, group))
            case ev.SetTimer(token, seconds):
                self.timers[token] = self.now_s + seconds
            case ev.CancelTimer(token):
                del self.timers[token]
            case ev.Report(app):
                assert app == self.machine.app
                self.reports.append(app.state)

    def answer(self) -> None:
        """The process is there."""
        assert self.spawning
        self.spawning, self.leader, self.members = False, True, True
        self.feed(ev.Spawned(next(self.pids)))

    def refuse(self, *, lasting: bool) -> None:
        assert self.spawning
        self.spawning = False
        self.feed(ev.Refused("no such command", lasting))

    def exit(self, status: int, *, after_s: float = 0.0) -> None:
        assert self.leader
        self.now_s += after_s
        self.leader = False
        self.feed(ev.Exited(status))

    def vanish(self) -> None:
        assert self.members and not self.leader
        self.members = False
        self.feed(ev.Gone())

    def die(self, status: int, *, after_s: float = 0.0) -> None:
        self.exit(status, after_s=after_s)
        self.vanish()

    def fire(self) -> float:
        """Let the one timer be due, and return how long it took."""
        ((token, due_s),) = self.timers.items()
        waited_s, self.now_s = due_s - self.now_s, due_s
        del self.timers[token]
        self.feed(ev.TimerFired(token))
        return waited_s


def test_a_change_ends_the_group_and_starts_a_new_process() -> None:
    world = World()
    world.feed(ev.Changed())
    assert world.state() is State.STOPPING
    assert world.signals == [(signal.SIGTERM, True)]
    world.die(-15)
    world.answer()
    assert world.state() is State.RUNNING
    assert world.machine.app.restarts == 1
    assert world.machine.app.pid == 11


def test_changes_during_a_stop_become_one_start() -> None:
    world = World()
    for _ in range(5):
        world.feed(ev.Changed())
    world.die(0)
    world.answer()
    assert len(world.spawned_at) == 2
    assert len(world.signals) == 1


def test_nothing_is_started_before_the_whole_group_is_gone() -> None:
    world = World()
    world.feed(ev.Changed())
    world.exit(-15)
    assert len(world.spawned_at) == 1
    world.vanish()
    assert len(world.spawned_at) == 2


def test_what_ignores_term_is_killed_after_the_grace_and_again_after_that() -> None:
    world = World(Policy(grace_s=2))
    world.feed(ev.Changed())
    assert world.fire() == 2
    assert world.state() is State.KILLING
    assert world.signals[-1] == (signal.SIGKILL, True)
    assert "2 s of SIGTERM" in world.reason
    assert world.fire() == sv.KILL_WAIT_S
    assert world.signals[-2:] == [(signal.SIGKILL, True)] * 2
    assert "SIGKILL" in world.reason
    world.die(-9)
    world.answer()
    assert world.state() is State.RUNNING


def test_pauses_double_up_to_the_longest_and_a_healthy_run_begins_anew() -> None:
    world = World()
    pauses = []
    for _ in range(8):
        world.die(1, after_s=0.1)
        pauses.append(world.fire())
        world.answer()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    world.die(1, after_s=sv.HEALTHY_S)
    assert world.fire() == 0.5


def test_a_server_that_ends_after_a_while_is_started_again_whatever_its_status() -> None:
    world = World()
    world.die(0, after_s=2)
    assert world.state() is State.BACKOFF
    assert world.reason == "exit 0 after 2.0 s; next try in 0.5 s"
    assert world.machine.app.pid == 0


@pytest.mark.parametrize("mode", list(Mode))
def test_a_fix_starts_a_crashing_app_at_once_and_forgets_the_backoff(mode: Mode) -> None:
    world = World(Policy(mode))
    for _ in range(3):
        world.die(1)
        world.fire()
        world.answer()
    world.die(1)
    world.feed(ev.Changed())
    world.answer()
    assert world.state() is State.RUNNING
    world.die(1)
    assert world.fire() == 0.5


def test_an_app_that_keeps_dying_at_once_waits_for_a_change_in_the_end() -> None:
    world = World()
    for _ in range(sv.GIVE_UP_AFTER - 1):
        world.die(1)
        world.fire()
        world.answer()
    world.die(1)
    assert world.state() is State.CRASHED
    assert "20 times in a row; waits for the next change" in world.reason
    world.feed(ev.Changed())
    world.answer()
    assert world.state() is State.RUNNING


def test_a_script_that_did_its_work_runs_again_on_the_next_change_only() -> None:
    world = World()
    world.die(0, after_s=0.3)
    assert world.state() is State.FINISHED
    world.feed(ev.Changed())
    world.answer()
    assert world.state() is State.RUNNING


def test_a_command_that_is_not_there_waits_for_a_change() -> None:
    world = World(start=False)
    world.feed(ev.Start())
    world.refuse(lasting=True)
    assert world.state() is State.CRASHED
    assert world.reason.startswith("no such command")
    world.feed(ev.Changed())
    assert world.spawning


def test_a_passing_refusal_is_tried_again() -> None:
    world = World(start=False)
    world.feed(ev.Start())
    world.refuse(lasting=False)
    assert world.fire() == 0.5
    assert world.spawning


@pytest.mark.parametrize("mode", list(Mode))
def test_a_change_during_a_refused_start_is_not_lost(mode: Mode) -> None:
    world = World(Policy(mode), start=False)
    world.feed(ev.Start())
    world.feed(ev.Changed())
    world.refuse(lasting=True)
    assert world.spawning


def test_a_change_during_the_start_replaces_the_process() -> None:
    world = World(start=False)
    world.feed(ev.Start())
    world.feed(ev.Changed())
    world.answer()
    assert world.state() is State.STOPPING
    world.die(-15)
    assert world.spawning


def test_signal_mode_signals_the_leader_only() -> None:
    world = World(Policy(Mode.SIGNAL, signal=signal.SIGUSR1))
    world.feed(ev.Changed())
    world.feed(ev.Changed())
    assert world.signals == [(signal.SIGUSR1, False)] * 2
    assert world.state() is State.RUNNING


def test_signal_mode_signals_a_process_that_was_on_its_way() -> None:
    world = World(Policy(Mode.SIGNAL), start=False)
    world.feed(ev.Start())
    world.feed(ev.Changed())
    world.answer()
    assert world.signals == [(signal.SIGHUP, False)]


def test_an_app_that_dies_of_the_reload_signal_is_started_again_at_once() -> None:
    world = World(Policy(Mode.SIGNAL))
    world.feed(ev.Changed())
    world.die(-signal.SIGHUP)
    world.answer()
    assert world.state() is State.RUNNING
    world.die(-signal.SIGHUP)
    assert world.state() is State.BACKOFF, "this process was never asked to reload"


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.COMMAND])
def test_other_modes_leave_a_running_app_alone(mode: Mode) -> None:
    world = World(Policy(mode))
    world.feed(ev.Changed())
    assert world.state() is State.RUNNING
    assert world.signals == []


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.COMMAND, Mode.SIGNAL])
def test_a_script_that_finishes_after_a_change_runs_once_more(mode: Mode) -> None:
    world = World(Policy(mode))
    world.feed(ev.Changed())
    world.die(0)
    world.answer()
    world.die(0)
    assert world.state() is State.FINISHED


@pytest.mark.parametrize("mode", list(Mode))
def test_a_restart_replaces_the_process_in_every_mode(mode: Mode) -> None:
    world = World(Policy(mode))
    world.feed(ev.Restart())
    world.die(-15)
    world.answer()
    assert world.machine.app.restarts == 1


def test_a_stopped_app_stays_stopped_until_a_person_starts_it() -> None:
    world = World()
    world.feed(ev.Stop())
    world.feed(ev.Changed())
    world.die(-15)
    world.feed(ev.Changed())
    assert world.state() is State.STOPPED
    world.feed(ev.Restart())
    world.answer()
    assert world.state() is State.RUNNING


@pytest.mark.parametrize(("status", "state"), [(1, State.BACKOFF), (0, State.FINISHED)])
def test_stop_ends_the_waiting(status: int, state: State) -> None:
    world = World()
    world.die(status)
    assert world.state() is state
    world.feed(ev.Stop())
    assert world.state() is State.STOPPED
    assert not world.timers


def test_a_start_takes_back_a_stop_that_is_under_way() -> None:
    world = World()
    world.feed(ev.Stop())
    world.feed(ev.Start())
    world.die(-15)
    assert world.spawning


def test_what_the_leader_left_behind_is_ended_before_the_next_start() -> None:
    world = World()
    world.exit(1)
    assert world.signals == [(signal.SIGTERM, True)]
    world.fire()
    assert world.signals[-1] == (signal.SIGKILL, True)
    world.vanish()
    assert world.state() is State.BACKOFF


def test_a_clock_that_goes_backwards_does_no_harm() -> None:
    world = World()
    world.die(1, after_s=-50)
    assert world.state() is State.BACKOFF


def test_a_timer_that_is_not_awaited_is_ignored() -> None:
    world = World()
    before = world.machine
    world.feed(ev.TimerFired(99))
    world.feed(ev.TimerFired(0))
    assert world.machine is before


def test_an_event_that_cannot_happen_is_a_bug_and_says_so() -> None:
    world = World()
    with pytest.raises(ValueError, match="cannot happen while the app is running"):
        world.feed(ev.Gone())


def test_the_state_survives_the_wire() -> None:
    app = World().machine.app
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(app), type=type(app)) == app


MOVES = st.lists(
    st.sampled_from(
        ["start", "stop", "restart", "changed", "changed", "answer", "answer", "refuse", "refuse for now",
         "exit 0", "exit 1", "exit hup", "exit term", "vanish", "vanish", "fire", "late timer", "short", "long"]
    ),
    max_size=60,
)  # fmt: skip


def move(world: World, name: str) -> None:
    """Let one thing happen, if it can."""
    match name.split():
        case ["answer"] if world.spawning:
            world.answer()
        case ["refuse", *rest] if world.spawning:
            world.refuse(lasting=not rest)
        case ["exit", how] if world.leader:
            world.exit({"hup": -1, "term": -15}.get(how) or int(how == "1"))
        case ["vanish"] if world.members and not world.leader:
            world.vanish()
        case ["fire"] if world.timers:
            world.fire()
        case ["late", "timer"]:
            world.feed(ev.TimerFired(world.machine.timer + 1))
        case ["short"]:
            world.now_s += 0.4
        case ["long"]:
            world.now_s += 20
        case ["start"]:
            world.feed(ev.Start())
        case ["stop"]:
            world.feed(ev.Stop())
        case ["restart"]:
            world.feed(ev.Restart())


def settle(world: World) -> None:
    """Everything ends that was told to, every start succeeds, every timer fires: until nothing is under way."""
    while True:
        if world.spawning:
            world.answer()
        elif world.state() in (State.STOPPING, State.KILLING):
            if world.leader:
                world.exit(-15)
            world.vanish()
        elif world.timers:
            world.fire()
        else:
            return


@settings(max_examples=400)
@given(st.sampled_from(list(Mode)), MOVES)
def test_no_life_has_two_processes_or_forgets_a_change_or_a_timer(mode: Mode, moves: list[str]) -> None:
    world = World(Policy(mode), start=False)
    wanted, changed_at, signals_then = False, -1, 0
    for name in moves:
        if name == "changed":
            changed_at, signals_then = next(world.ticks), len(world.signals)
            world.feed(ev.Changed())
        else:
            move(world, name)
        if name in ("start", "restart", "stop"):
            wanted = name != "stop"
    settle(world)
    assert world.leader == (world.state() is State.RUNNING)
    if not wanted:
        assert world.state() is State.STOPPED
        return
    assert world.state() in (State.RUNNING, State.FINISHED, State.CRASHED)
    if changed_at < 0:
        return
    assert world.state() is State.RUNNING or world.spawned_at[-1] > changed_at, "a change was lost"
    if world.state() is State.RUNNING and mode is Mode.SUPERVISE:
        assert world.spawned_at[-1] > changed_at, "the running process is older than the last change"
    if world.state() is State.RUNNING and mode is Mode.SIGNAL and world.spawned_at[-1] < changed_at:
        assert (signal.SIGHUP, False) in world.signals[signals_then:]


def test_every_event_has_a_row_in_every_state_in_which_it_can_happen() -> None:
    dead = {State.STOPPED, State.BACKOFF, State.FINISHED, State.CRASHED}
    alive = {State.RUNNING, State.STOPPING, State.KILLING}
    possible = {
        sv._Cause.SPAWNED: {State.STARTING},
        sv._Cause.REFUSED: {State.STARTING},
        sv._Cause.REFUSED_FOR_NOW: {State.STARTING},
        sv._Cause.EXITED: alive,
        sv._Cause.GONE: {State.STOPPING, State.KILLING},
        sv._Cause.DUE: {State.BACKOFF, State.STOPPING, State.KILLING},
    }
    assert dead | alive | {State.STARTING} == set(State)
    for cause in sv._Cause:
        rows = {state for state, its_cause, _ in sv._TABLE if its_cause is cause}
        assert rows == possible.get(cause, set(State)), cause
