"""Which events make which batches, when."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.watch import batcher, events, gitwatch

T = batcher.Timing()
Step = tuple[float, events.Hint | gitwatch.GitState | str]


def dirty(*paths: str) -> events.Dirty:
    return events.Dirty(frozenset(paths))


def opened(*paths: str) -> events.Opened:
    return events.Opened(frozenset(paths))


def gone(*paths: str) -> events.Vanished:
    return events.Vanished(frozenset(paths))


def rescan(path: str) -> events.Rescan:
    return events.Rescan(path, events.Reason.NEW_FOLDER)


def git(head: str = "one", index: int = 1, *, locked: bool = False, rebasing: bool = False) -> gitwatch.GitState:
    return gitwatch.GitState(head, locked, rebasing, (index,))


MANY = tuple(f"m{number}" for number in range(T.git_many + 1))


def feed(subject: batcher.Batcher, at_s: float, what: events.Hint | gitwatch.GitState | str) -> None:
    if isinstance(what, str):
        subject.flush(what, at_s)
    elif isinstance(what, gitwatch.GitState):
        subject.git(what, at_s)
    else:
        subject.feed(what, at_s)


def play(script: list[Step], *, taken: bool = False) -> list[tuple[int, batcher.Batch]]:
    """Feed a script, taking each batch the moment that it is due.

    Args:
        script: Times in milliseconds, and what happens then.
        taken: Say when a batch was taken: an event may make what came before it overdue.

    Returns:
        The batches with the millisecond of each.
    """
    subject = batcher.Batcher(T, git())
    batches: list[tuple[int, batcher.Batch]] = []
    now_ms = 0.0

    def run_until(limit_s: float) -> None:
        deadline_s = subject.deadline_s()
        while deadline_s is not None and deadline_s <= limit_s:
            batch = subject.take(deadline_s)
            if batch is not None:
                batches.append((round(max(deadline_s * 1e3, now_ms if taken else 0)), batch))
            deadline_s = subject.deadline_s()

    for at_ms, what in script:
        run_until(at_ms / 1e3 - 1e-6)
        feed(subject, at_ms / 1e3, what)
        now_ms = at_ms
    run_until(float("inf"))
    return batches


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param([(1000, dirty("a"))], [(1001, "a")], id="a lone save goes at once"),
        pytest.param(
            [(1000, opened("a")), (1000.2, dirty("a")), (1000.4, dirty("a"))],
            [(1001, "a")],
            id="written in place, closed, chmod",
        ),
        pytest.param(
            [(1000, dirty("a")), (1050, dirty("a")), (2000, dirty("a"))],
            [(1001, "a"), (1065, "a"), (2001, "a")],
            id="a save soon after another waits for quiet",
        ),
        pytest.param([(1000, gone("a")), (1000, dirty("b"))], [(1001, "a b")], id="a rename is one batch"),
        pytest.param(
            [(1000, dirty("a")), (1000.3, dirty("b")), (1000.6, dirty("c"))],
            [(1016, "a b c")],
            id="three at once are a burst",
        ),
        pytest.param(
            [(1000 + 10 * n, dirty(f"{n}", f"{n}x", f"{n}y")) for n in range(50)],
            [(1300, 93), (1505, 57)],
            id="a long burst goes in parts",
        ),
        pytest.param([(1000, gone("a"))], [(1100, "a")], id="a lone disappearance waits"),
        pytest.param([(1000, gone("a")), (1080, dirty("a"))], [(1081, "a")], id="it came back by rename"),
        pytest.param(
            [(1000, gone("a")), (1001, opened("a")), (1150, dirty("a"))],
            [(1151, "a")],
            id="it came back and was written slowly",
        ),
        pytest.param(
            [(1000 + 20 * n, gone(f"{n}")) for n in range(30)],
            [(1115, 6), (1235, 6), (1355, 6), (1475, 6), (1595, 6)],
            id="many disappearances",
        ),
        pytest.param([(1000, opened("log"))], [(1300, "log")], id="a file that stays open"),
        pytest.param(
            [(1000 + 50 * n, opened("log")) for n in range(10)],
            [(1300, "log"), (1650, "log")],
            id="a log that is written all the time",
        ),
        pytest.param(
            [(1000 + 50 * n, opened("log")) for n in range(4)] + [(1160, dirty("a"))],
            [(1161, "a"), (1300, "log")],
            id="a lone save beside a log",
        ),
        pytest.param(
            [(1000, rescan("new")), (1002, dirty("new/a"))], [(1017, "+new")], id="a new folder gathers what follows"
        ),
        pytest.param(
            [(1000, rescan("a/b")), (1001, rescan("a"))], [(1016, "+a")], id="of nested rescans the outer remains"
        ),
        pytest.param([(1000, "c1")], [(1000, "#c1")], id="a flush of nothing"),
        pytest.param(
            [(1000, gone("a")), (1001, opened("b")), (1002, "c1")],
            [(1000, "a b #c1")],
            id="a flush takes everything",
        ),
    ],
)
def test_script(script: list[Step], expected: list[tuple[int, str | int]]) -> None:
    got = play(script)
    assert [at_ms for at_ms, _ in got] == [at_ms for at_ms, _ in expected]
    for (_, batch), (_, told) in zip(got, expected, strict=True):
        words = sorted(batch.paths) + [f"+{each}" for each in batch.rescans] + [f"#{each}" for each in batch.cookies]
        assert (len(words) if isinstance(told, int) else " ".join(words)) == told


def test_a_checkout_is_one_batch_with_its_move() -> None:
    script: list[Step] = [(1000, git(locked=True)), (1002, gone("old"))]
    script += [(1010 + n, dirty(f"f{n}")) for n in range(2_000)]
    script += [(3020, git(index=2)), (3021, git("two", 2))]
    [(at_ms, batch)] = play(script)
    assert at_ms == 3036
    assert len(batch.paths) == 2_001
    assert batch.git == batcher.GitMove("one", "two")
    assert batch.index_changed
    assert batch.first_event_s == pytest.approx(1.002)


def test_a_reset_that_moves_nothing_ends_a_moment_after_its_lock() -> None:
    [(at_ms, batch)] = play([(1000, git(locked=True)), (1010, dirty(*MANY)), (1100, git(index=2))])
    assert (at_ms, batch.git, batch.index_changed) == (1150, None, True)


def test_a_lock_does_not_hold_a_lone_save_for_long() -> None:
    [(at_ms, batch)] = play([(1000, git(locked=True)), (1001, dirty("a"))])
    assert (at_ms, sorted(batch.paths)) == (1301, ["a"])


def test_a_commit_whose_message_is_being_written_holds_few_files_for_a_moment_only() -> None:
    script: list[Step] = [(1000, git(locked=True)), (5000, dirty("a", "b", "c", "d"))]
    assert [at_ms for at_ms, _ in play(script)] == [5300]


def test_a_lock_left_behind_holds_ten_seconds_at_most_and_only_once() -> None:
    script: list[Step] = [(1000, git(locked=True)), (2000, dirty(*MANY)), (20_000, dirty(*MANY)), (30_000, dirty("a"))]
    assert [at_ms for at_ms, _ in play(script)] == [11_000, 20_015, 30_001]


def test_each_step_of_a_rebase_is_a_batch() -> None:
    script: list[Step] = []
    for step in range(3):
        at_ms = 1000 + 10 * step
        script += [
            (at_ms, git(f"s{step}", step, locked=True, rebasing=True)),
            (at_ms + 2, dirty(*(f"{step}-{path}" for path in MANY))),
            (at_ms + 5, git(f"s{step}", step + 1, rebasing=True)),
        ]
        script.append((at_ms + 6, git(f"s{step + 1}", step + 1, rebasing=True)))
    script.append((1100, git("s3", 3)))
    got = [(batch.git, len(batch.paths)) for _, batch in play(script)]
    assert got == [
        (batcher.GitMove("one", "s0"), 0),
        *[(batcher.GitMove(f"s{step}", f"s{step + 1}"), len(MANY)) for step in range(3)],
    ]


def test_a_rebase_that_waits_for_the_user_holds_nothing() -> None:
    script: list[Step] = [(1000, git(rebasing=True)), (9000, dirty("a")), (10_000, dirty(*MANY))]
    assert [at_ms for at_ms, _ in play(script)] == [9001, 10_015]


def test_a_commit_without_changed_files_tells_the_move() -> None:
    [(at_ms, batch)] = play([(1000, git("two", 2))])
    assert (at_ms, batch.git, batch.paths) == (1050, batcher.GitMove("one", "two"), frozenset())


def test_there_and_back_again_is_no_move() -> None:
    assert play([(1000, git("two")), (1001, git("one"))]) == []


def test_an_index_that_is_refreshed_does_not_delay_a_save() -> None:
    got = play([(1000, git(index=2)), (1005, dirty("a"))])
    assert [(at_ms, batch.index_changed) for at_ms, batch in got] == [(1006, True)]


def test_a_crowd_in_one_folder_becomes_its_rescan() -> None:
    crowd = {f"d/{n}" for n in range(T.folder_paths + 1)}
    [(_, batch)] = play([(1000, dirty("a", "d/sub/x", *crowd))])
    assert (sorted(batch.paths), sorted(batch.rescans)) == (["a"], ["d"])
    assert batch.reasons == {events.Reason.TOO_MANY}


def test_too_many_paths_become_a_rescan_of_all_and_take_no_memory() -> None:
    subject = batcher.Batcher(T)
    for number in range(100):
        subject.feed(dirty(*(f"{number}/{each}" for each in range(T.total_paths // 40))), 1.0)
        assert len(subject) <= T.total_paths + 1
    batch = subject.take(2.0)
    assert batch is not None
    assert "" in batch.rescans
    assert not batch.paths


def test_a_lost_root_takes_its_paths_with_it_but_not_the_flushes() -> None:
    subject = batcher.Batcher(T)
    subject.feed(gone("a", "b"), 1.0)
    subject.clear()
    assert subject.deadline_s() is None
    subject.flush("c", 1.0)
    batch = subject.take(1.0)
    assert batch is not None
    assert (sorted(batch.paths), sorted(batch.cookies)) == ([], ["c"])


NAMES = st.sampled_from(["a", "b", "c", "d/e", "d/f"])
HINTS = st.one_of(
    st.builds(dirty, NAMES),
    st.builds(gone, NAMES),
    st.builds(opened, NAMES),
    st.builds(rescan, st.sampled_from(["d", "g"])),
)
STATES = st.builds(
    gitwatch.GitState,
    head=st.sampled_from(["one", "two"]),
    locked=st.booleans(),
    rebasing=st.booleans(),
    index=st.sampled_from([(1,), (2,)]),
)


@given(st.lists(st.tuples(st.integers(0, 120), HINTS), max_size=60), st.booleans())
def test_every_path_comes_out_and_never_later_than_its_bound(steps: list[tuple[int, events.Hint]], lock: bool) -> None:
    at_ms, script = 1000, list[Step]()
    if lock:
        script.append((at_ms, git(locked=True)))
    for pause_ms, hint in steps:
        at_ms += pause_ms
        script.append((at_ms, hint))
    got = play(script, taken=True)
    last_ms = {path: when_ms for when_ms, what in script for path in getattr(what, "paths", ())}
    for index, (when_ms, what) in enumerate(script):
        if isinstance(what, events.Rescan):
            limits_ms = {what.path: when_ms + 300}
        elif isinstance(what, events.Dirty | events.Vanished | events.Opened):
            later = [each for _, each in script[index:] if getattr(each, "paths", ()) == what.paths]
            if all(isinstance(each, events.Dirty) for each in later):
                limits_ms = dict.fromkeys(what.paths, when_ms + 300)
            else:
                # A path that comes and goes, or is held open, is waited for; its last event decides. Under a lock the
                # wait of a burst is on top.
                limits_ms = {path: last_ms[path] + 300 + 300 * lock for path in what.paths}
        else:
            continue
        for path, limit_ms in limits_ms.items():
            if lock and any(isinstance(each, events.Vanished) for _, each in script):
                # What goes under a lock waits for git's end, and what comes with it too: 10 s at the most.
                limit_ms += 10_000
            in_time = [
                batch
                for batch_ms, batch in got
                if when_ms - 1 <= batch_ms <= limit_ms + 1
                and (path in batch.paths or path in batch.rescans or path.partition("/")[0] in batch.rescans)
            ]
            assert in_time, (path, when_ms, got)


@given(st.lists(st.integers(101, 400), min_size=1, max_size=20))
def test_lone_saves_far_apart_go_one_by_one_at_once(pauses_ms: list[int]) -> None:
    times = [1000 + sum(pauses_ms[:end]) for end in range(1, len(pauses_ms) + 1)]
    got = play([(at_ms, dirty("a")) for at_ms in times])
    assert [batch_ms for batch_ms, _ in got] == [at_ms + 1 for at_ms in times]


@given(
    st.lists(HINTS, min_size=1, max_size=12, unique_by=lambda hint: repr(getattr(hint, "paths", hint))), st.randoms()
)
def test_the_order_of_what_happens_at_one_moment_does_not_matter(
    hints: list[events.Hint], shuffler: random.Random
) -> None:
    shuffled = list(hints)
    shuffler.shuffle(shuffled)
    assert play([(1000, hint) for hint in hints]) == play([(1000, hint) for hint in shuffled])


@given(st.lists(st.tuples(st.integers(0, 40), st.one_of(HINTS, STATES)), max_size=30), HINTS)
def test_while_it_settles_a_further_hint_brings_nothing_forward(
    steps: list[tuple[int, events.Hint | gitwatch.GitState]], hint: events.Hint
) -> None:
    subject, at_s = batcher.Batcher(T, git()), 1.0
    for pause_ms, what in steps:
        at_s += pause_ms / 1e3
        subject.take(at_s)
        feed(subject, at_s, what)
    before_s = subject.deadline_s()
    if not subject.settling or before_s is None or before_s <= at_s:
        return
    feed(subject, at_s, hint)
    after_s = subject.deadline_s()
    if after_s is not None:
        # But for the lone cap, which may be a little behind the burst's.
        assert after_s >= min(before_s, at_s + T.quiet_s) - T.lone_cap_s
