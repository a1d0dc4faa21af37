"""What is sent, held and kept waiting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry, ops
from devloop.sync import planner

ONE = entry.file(b"1" * 32, 1)
TWO = entry.file(b"2" * 32, 2)
BIG = entry.file(b"3" * 32, planner.BULK_FILE_BYTES)


def make(
    candidates: list[ops.Op],
    *,
    busy: planner.Busy | None = None,
    managed: int = 1000,
    recent: int = 0,
    approved: set[tuple[int, str]] | None = None,
    holding: planner.Busy | None = None,
) -> planner.Plan:
    return planner.make(
        candidates,
        busy or planner.Busy(),
        managed_files=lambda: managed,
        recent=recent,
        approved=approved or set(),
        holding=holding or planner.Busy(),
    )


def busy_with(*some: ops.Op) -> planner.Busy:
    busy = planner.Busy()
    for op in some:
        busy.add(op)
    return busy


# ---- changes ----------------------------------------------------------------------------------------------------


def test_a_path_that_differs_is_put_and_one_that_is_gone_is_deleted() -> None:
    found = planner.changes(3, {"a": ONE, "same": ONE}, {"a": TWO, "same": ONE, "b": ONE}, ["a", "same", "b", "c"], ())
    assert list(found) == [ops.put(3, "a", ONE), ops.delete(3, "b")]


def test_a_path_that_the_rules_hide_now_is_forgotten_and_not_deleted() -> None:
    assert list(planner.changes(0, {}, {"a": ONE}, ["a"], {"a"})) == [ops.forget(0, "a")]


def test_a_change_of_only_the_executable_bit_is_put() -> None:
    executable = entry.file(ONE.digest, ONE.size, executable=True)
    assert list(planner.changes(0, {"a": executable}, {"a": ONE}, ["a"], ())) == [ops.put(0, "a", executable)]


# ---- busy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_its_way", "op", "waits"),
    [
        (ops.put(0, "a", ONE), ops.put(0, "a", TWO), True),
        (ops.put(0, "a", ONE), ops.put(1, "a", TWO), False),
        (ops.put(0, "a", ONE), ops.put(0, "ab", TWO), False),
        (ops.put(0, "a/x", ONE), ops.put(0, "a", entry.FOLDER), False),
        (ops.put(0, "a/x", ONE), ops.put(0, "a", TWO), True),
        (ops.delete(0, "a/x/y"), ops.put(0, "a", TWO), True),
        (ops.delete(0, "a/x"), ops.delete(0, "a"), True),
        (ops.put(0, "a", entry.FOLDER), ops.put(0, "a/x", ONE), False),
        (ops.adopt(0, "a", entry.FOLDER), ops.put(0, "a/x", ONE), False),
        (ops.put(0, "a", ONE), ops.put(0, "a/x", ONE), True),
        (ops.delete(0, "a"), ops.put(0, "a/x/y", ONE), True),
        (ops.forget(0, "a"), ops.put(0, "a/x", ONE), True),
    ],
)
def test_an_op_waits_for_what_it_depends_on(on_its_way: ops.Op, op: ops.Op, waits: bool) -> None:
    busy = busy_with(on_its_way)
    assert busy.blocks(op) is waits
    busy.remove(on_its_way)
    assert not busy.blocks(op)
    assert len(busy) == 0


PATHS = st.sampled_from(["a", "b", "a/x", "a/y", "a/x/1", "a/x/2"])


@given(st.sets(PATHS), st.sets(PATHS))
def test_what_is_removed_leaves_no_trace(stays: set[str], goes: set[str]) -> None:
    busy = busy_with(*(ops.delete(0, path) for path in sorted(stays | goes)))
    for path in goes - stays:
        busy.remove(ops.delete(0, path))
        busy.remove(ops.delete(0, path))
    fresh = busy_with(*(ops.delete(0, path) for path in stays))
    for path in ["a", "b", "a/x", "a/y", "a/x/1", "a/x/2", "c"]:
        op = ops.put(0, path, ONE)
        assert busy.blocks(op) == fresh.blocks(op)
        assert busy.has_below(op) == fresh.has_below(op)
        assert ((0, path) in busy) == ((0, path) in fresh)


# ---- the bound of deletions -------------------------------------------------------------------------------------


def deletions(count: int, start: int = 0) -> list[ops.Op]:
    return [ops.delete(0, f"m/{number}") for number in range(start, start + count)]


@pytest.mark.parametrize(
    ("count", "managed", "held"),
    [
        (planner.HOLD_FLOOR - 1, 19, False),  # too few to ask, even if it is everything
        (planner.HOLD_FLOOR, 99, True),
        (planner.HOLD_FLOOR, 100, False),  # exactly a fifth
        (200, 999, True),
        (200, 1000, False),
    ],
)
def test_more_than_a_fifth_and_at_least_twenty_deletions_are_held(count: int, managed: int, held: bool) -> None:
    plan = make([*deletions(count), ops.put(0, "a", ONE)], managed=managed)
    assert len(plan.held) == (count if held else 0)
    assert ops.put(0, "a", ONE) in plan.flow


def test_deletions_that_came_a_moment_before_count() -> None:
    assert len(make(deletions(5), managed=50, recent=15).held) == 5
    assert not make(deletions(5), managed=50, recent=14).held


def test_what_is_vouched_for_is_not_held_and_does_not_count() -> None:
    approved = {(0, op.path) for op in deletions(500)}
    plan = make(deletions(510), managed=520, approved=approved)
    assert not plan.held
    assert len(plan.flow) == 510


def test_forgetting_is_no_deletion() -> None:
    assert not make([ops.forget(0, f"m/{number}") for number in range(100)], managed=100).held


def test_managed_files_are_not_counted_for_few_deletions() -> None:
    def fail() -> int:
        raise AssertionError("a pass over the tree for nothing")

    plan = planner.make(
        [*deletions(3), ops.put(0, "a", ONE)],
        planner.Busy(),
        managed_files=fail,
        recent=0,
        approved=(),
        holding=planner.Busy(),
    )
    assert len(plan.flow) == 4


def test_a_file_that_takes_the_place_of_a_folder_waits_with_the_deletions_in_it() -> None:
    swap, other = ops.put(0, "m", ONE), ops.put(0, "n", ONE)
    plan = make([*deletions(30), swap, other], managed=40)
    assert plan.flow == (other,)
    assert set(plan.held) == {*deletions(30), swap}


def test_a_file_does_not_take_the_place_of_a_folder_whose_deletions_are_held_already() -> None:
    assert make([ops.put(0, "m", TWO)], holding=busy_with(*deletions(30))).held == (ops.put(0, "m", TWO),)
    folder = ops.put(0, "m", entry.FOLDER)
    assert make([folder], holding=busy_with(*deletions(30))).flow == (folder,)


def test_what_must_wait_is_neither_sent_nor_held() -> None:
    plan = make(deletions(30), busy=busy_with(ops.put(0, "m", ONE)), managed=30)
    assert (plan.flow, plan.held) == ((), ())
    assert plan.blocked == {(0, op.path) for op in deletions(30)}


# ---- batches ----------------------------------------------------------------------------------------------------


def test_a_big_file_travels_alone_so_that_the_small_ones_do_not_wait() -> None:
    small, big = ops.put(0, "a", ONE), ops.put(0, "b", BIG)
    assert planner.split([big, small], whole=False) == [(small,), (big,)]
    assert planner.split([big, small], whole=True) == [(big, small)]
    assert planner.split([], whole=True) == []


def test_a_big_file_goes_with_the_deletions_that_make_room_for_it() -> None:
    flow = [ops.put(0, "a", BIG), ops.delete(0, "a/x"), ops.put(0, "b", BIG), ops.put(1, "a", BIG)]
    assert planner.split(flow, whole=False) == [(flow[0], flow[1]), (flow[2], flow[3])]


# ---- what was there before --------------------------------------------------------------------------------------


def test_what_is_there_already_is_adopted_and_what_git_lists_is_deleted() -> None:
    extra = {"same": ONE, "differs": TWO, "gone": ONE, "foreign": ONE}
    wanted = {"same": ONE, "differs": ONE}
    found = planner.reconcile(2, wanted, extra, listed={"gone", "differs"}, delete_extra=False)
    assert found == [ops.adopt(2, "same", ONE), ops.delete(2, "gone")]


def test_extra_paths_are_deleted_only_on_request() -> None:
    assert planner.reconcile(0, {}, {"foreign": ONE}, listed=(), delete_extra=True) == [ops.delete(0, "foreign")]


# ---- what is on its way -----------------------------------------------------------------------------------------

SMALL_PATHS = st.sampled_from(["a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/g"])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1), SMALL_PATHS)))
def test_busy_tells_what_it_holds_whatever_came_and_went(acts: list[tuple[bool, int, str]]) -> None:
    busy, held = planner.Busy(), set()
    for comes, root, path in acts:
        op = ops.put(root, path, ONE)
        if comes:
            busy.add(op)
            held.add((root, path))
        else:
            busy.remove(op)
            held.discard((root, path))
    assert len(busy) == len(held)
    everything = {(root, path): None for root in (0, 1) for path in ("a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/g")}
    assert busy.among(everything.keys()) == held
    for root, path in everything:
        below = any(at == root and one.startswith(path + "/") for at, one in held)
        assert busy.has_below(ops.put(root, path, ONE)) == below
        assert ((root, path) in busy) == ((root, path) in held)
