"""The engine's rules one by one, each as a short play: what happens on the laptop and at the agents, what is commanded.

What happens in every other order is the matter of `test_engine_machine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from devloop.core import entry, ops, problem, tree
from devloop.protocol import messages
from devloop.sync import commands, dispatch, engine, flights, ledger, planner

ONE = entry.file(b"1" * 32, 1)
TWO = entry.file(b"2" * 32, 2)
BIG = entry.file(b"3" * 32, planner.BULK_FILE_BYTES)

POD = "pod-1"

C = TypeVar("C", bound=commands.Command)


def some(number: int) -> entry.Entry:
    return entry.file(number.to_bytes(32, "big"), 1)


def many(count: int) -> dict[str, entry.Entry]:
    return {f"m/{number}": some(number) for number in range(count)}


class Playbook:
    """One engine, the clock, and the commands of the last act."""

    def __init__(
        self, roots: int = 1, *, hooks: Callable[[Sequence[ops.Op]], tuple[messages.HookSpec, ...]] | None = None
    ):
        choose = hooks or (lambda _: ())
        self.engine = engine.Engine([ledger.Source() for _ in range(roots)], choose, lambda op: bool(choose([op])))
        self.now_s = 100.0
        self.last: list[commands.Command] = []

    def did(self, found: list[commands.Command]) -> Playbook:
        self.last = found
        return self

    # what happens

    def saves(self, put: dict[str, entry.Entry], *gone: str, root: int = 0, git: bool = False) -> Playbook:
        approved = gone if git else ()
        delta = tree.TreeDelta(put, frozenset(gone))
        return self.did(self.engine.scanned(root, delta, self.now_s, approved=approved, git=git))

    def finds(self, put: dict[str, entry.Entry], *, root: int = 0) -> Playbook:
        return self.did(self.engine.growing(root, tree.TreeDelta(put), self.now_s, began_s=self.now_s))

    def hides(self, *paths: str, root: int = 0) -> Playbook:
        return self.did(self.engine.scanned(root, tree.TreeDelta({}, frozenset(paths)), self.now_s, hidden=paths))

    def opens(
        self,
        name: str = POD,
        *,
        has: dict[str, entry.Entry] | None = None,
        tree_id: str = "volume",
        fresh: bool = False,
        empty: bool = False,
        baseline: dict[str, entry.Entry] | None = None,
        roots: int = 1,
    ) -> Playbook:
        state = messages.RootState("/app", tree_id, tree.Tree(has or {}).digest, len(has or {}), fresh, empty=empty)
        stored = {} if baseline is None else {0: tree.Tree(baseline)}
        return self.did(self.engine.opened(name, (state,) * roots, stored, self.now_s))

    def cuts(self, name: str = POD) -> Playbook:
        return self.did(self.engine.closed(name))

    def acks(
        self,
        send: commands.Send | None = None,
        *,
        troubles: dict[str, problem.Reason] | None = None,
        refused: str = "",
        digest: bytes | None = None,
    ) -> Playbook:
        send = send or self.one(commands.Send)
        failed = {
            (op.root, op.path): problem.Problem(op.path, troubles[op.path], "told", problem.Side.POD)
            for op in send.batch.ops
            if troubles and op.path in troubles
        }
        applied = [
            op
            for index, op in enumerate(send.batch.ops)
            if not refused and (op.root, op.path) not in failed and index not in send.batch.cancelled
        ]
        digests = tuple(digest or found for found in _digests_after(self.engine.replicas[send.replica], applied))
        ack = messages.Ack(send.batch.number, send.batch.number, digests, refused=refused)
        return self.did(self.engine.acked(send.replica, ack, failed, self.now_s))

    def acks_all(self) -> Playbook:
        for send in self.all(commands.Send):
            self.acks(send)
        return self

    # what was commanded

    def all(self, kind: type[C]) -> list[C]:
        return [command for command in self.last if isinstance(command, kind)]

    def one(self, kind: type[C]) -> C:
        found = self.all(kind)
        assert len(found) == 1, self.last
        return found[0]

    def none(self, *kinds: type[commands.Command]) -> Playbook:
        assert not [command for command in self.last if isinstance(command, kinds)], self.last
        return self

    def sent(self) -> list[ops.Op]:
        return [op for send in self.all(commands.Send) for op in send.batch.ops]

    def in_sync(self) -> Playbook:
        assert self.engine.in_sync
        return self


def _digests_after(replica: ledger.Replica, applied: list[ops.Op]) -> list[bytes]:
    """Return the agent's digests once the ops are applied, without a pass over the trees."""
    before = [(op, replica.known[op.root].get(op.path)) for op in applied]
    for op in applied:
        _make(replica.known[op.root], op.path, op.entry)
    digests = [known.digest for known in replica.known]
    for op, there in before:
        _make(replica.known[op.root], op.path, there)
    return digests


def _make(known: tree.Tree, path: str, there: entry.Entry | None) -> None:
    if there is None:
        known.remove(path)
    else:
        known.put(path, there)


def ready(put: dict[str, entry.Entry] | None = None) -> Playbook:
    """Return a play in which one pod is in sync."""
    return Playbook().saves(put or {}).opens(has=put).in_sync()


# ---- coming to be in sync ---------------------------------------------------------------------------------------


def test_equal_digests_end_the_first_sync_there_and_then() -> None:
    play = Playbook().saves({"a": ONE}).opens(has={"a": ONE}).none(commands.Send, commands.AskManifest).in_sync()
    assert play.one(commands.StartApp).replica == POD
    assert play.one(commands.Settled).first


def test_nothing_is_sent_before_every_folder_was_scanned() -> None:
    play = Playbook(roots=2).opens(roots=2).saves({"a": ONE}).none(commands.Send)
    play.saves({"b": ONE}, root=1)
    assert {(op.root, op.path) for op in play.sent()} == {(0, "a"), (1, "b")}


def test_a_fresh_and_empty_target_is_not_asked_what_it_holds() -> None:
    play = Playbook().saves({"f": ONE}).opens(fresh=True, empty=True).none(commands.AskManifest)
    assert [op.path for op in play.sent()] == ["f"]
    Playbook().saves({"f": ONE}).opens(fresh=True).none(commands.Send).one(commands.AskManifest)


def test_an_empty_target_is_filled_while_the_laptop_is_being_looked_at() -> None:
    play = Playbook().opens(fresh=True, empty=True).finds(many(dispatch.PART_OPS + 1))
    part = play.one(commands.Send)
    assert len(part.batch.ops) == dispatch.PART_OPS
    assert not part.batch.reload
    play.acks(part).none(commands.Send, commands.Settled)
    assert not play.engine.in_sync
    last = play.saves({"z": ONE}).one(commands.Send)
    assert last.batch.reload
    assert {op.path for op in last.batch.ops} == {"z", f"m/{dispatch.PART_OPS}"}
    play.acks(last).in_sync().one(commands.StartApp)


def test_a_target_that_holds_something_gets_nothing_before_all_is_known() -> None:
    found = many(dispatch.PART_OPS + 1)
    Playbook().opens(fresh=True).finds(found).none(commands.Send)
    Playbook().opens(has={"f": ONE}).finds(found).none(commands.Send)


def test_the_last_part_waits_for_the_others_and_brings_hooks_and_reload() -> None:
    wanted = messages.HookSpec("install", ("pip", "install"), "/app")
    play = Playbook(hooks=lambda found: (wanted,) if any(op.path == "m/0" for op in found) else ())
    first, second = play.saves(many(2 * dispatch.PART_OPS + 2)).opens(fresh=True, empty=True).all(commands.Send)
    assert not any(send.batch.hooks or send.batch.reload for send in (first, second))
    assert "m/0" not in {op.path for send in (first, second) for op in send.batch.ops}
    last = play.acks(second).none(commands.Send).acks(first).one(commands.Send)
    assert last.batch.reload
    assert last.batch.hooks == (wanted,)
    assert "m/0" in {op.path for op in last.batch.ops}


def test_parts_are_bounded_in_bytes_and_in_number() -> None:
    half = entry.file(b"4" * 32, dispatch.PART_BYTES // 2)
    play = Playbook().saves({f"{number}": half for number in range(20)}).opens(fresh=True, empty=True)
    sent = play.all(commands.Send)
    assert [len(send.batch.ops) for send in sent] == [2] * dispatch.MAX_PARTS


def test_what_takes_the_place_of_something_is_no_part() -> None:
    play = Playbook().opens(fresh=True, empty=True).finds({"b": entry.folder(), "b/x": ONE, **many(dispatch.PART_OPS)})
    part = play.one(commands.Send)
    assert {"b", "b/x"} < {op.path for op in part.batch.ops}
    play.acks(part)
    last = play.saves({"b": ONE, **many(2 * dispatch.PART_OPS)}, "b/x").one(commands.Send)
    assert last.batch.reload
    assert {"b", "b/x"} < {op.path for op in last.batch.ops}


def test_a_link_that_is_lost_between_parts_goes_on_where_it_was() -> None:
    play = Playbook().opens(fresh=True, empty=True).finds(many(2 * dispatch.PART_OPS + 1))
    first, second = play.all(commands.Send)
    there = {op.path: op.entry for op in first.batch.ops if op.entry is not None}
    play.cuts().saves({"z": ONE}).opens(has=there)
    assert {op.path for op in play.sent()} == {"z", f"m/{2 * dispatch.PART_OPS}", *(op.path for op in second.batch.ops)}
    play.acks_all().in_sync()


def test_a_save_is_sent_and_in_sync_only_when_it_is_acked() -> None:
    play = ready({"a": ONE})
    play.now_s += 5
    play.saves({"a": TWO}).none(commands.Settled)
    assert play.sent() == [ops.put(0, "a", TWO)]
    assert not play.engine.in_sync
    play.now_s += 0.25
    settled = play.acks().in_sync().one(commands.Settled)
    assert (settled.files, settled.deletes, settled.total_bytes, settled.elapsed_s) == (1, 0, 2, 0.25)
    assert not settled.first
    assert play.one(commands.SaveBaseline).delta == tree.TreeDelta({"a": TWO})


def test_in_sync_needs_every_replica() -> None:
    play = ready({"a": ONE}).opens("pod-2", tree_id="other", baseline={}).none(commands.Settled)
    assert not play.engine.in_sync
    play.acks().in_sync()
    play.saves({"a": TWO})
    first, second = play.all(commands.Send)
    assert not play.acks(first).engine.in_sync
    assert play.acks(second).in_sync().one(commands.Settled).files == 1


def test_a_replica_that_is_expected_but_not_linked_keeps_the_service_out_of_sync() -> None:
    play = ready({"a": ONE}).did([])
    play.did(play.engine.expected("pod-2"))
    assert not play.engine.in_sync
    play.saves({"a": TWO}).acks_all().none(commands.Settled)
    play.opens("pod-2", has={"a": TWO}).in_sync()


def test_what_is_expected_already_changes_nothing() -> None:
    play = ready({"a": ONE})
    play.did(play.engine.expected(POD)).in_sync()


def test_a_replica_that_is_gone_for_good_is_not_waited_for() -> None:
    play = ready({"a": ONE}).opens("pod-2", tree_id="other", baseline={})
    play.did(play.engine.removed("pod-2", play.now_s)).in_sync()
    play.did(play.engine.removed(POD, play.now_s))
    assert not play.engine.in_sync


def test_what_comes_late_from_a_replica_that_is_gone_is_ignored() -> None:
    play = ready({"a": ONE}).saves({"a": TWO})
    send = play.one(commands.Send)
    play.engine.removed(POD, play.now_s)
    ack = messages.Ack(send.batch.number, send.batch.number, (b"",))
    assert play.engine.acked(POD, ack, {}, play.now_s) == []
    assert play.engine.manifest(POD, 0, [], frozenset(), play.now_s) == []
    assert play.engine.body_changed(POD, send.batch.number, [0], play.now_s) == []
    assert play.engine.closed(POD) == []


def test_small_files_overtake_a_big_one() -> None:
    play = ready().saves({"big": BIG})
    first = play.one(commands.Send)
    assert not first.batch.urgent
    play.saves({"a": ONE})
    assert play.one(commands.Send).batch.urgent
    assert not play.acks().engine.in_sync
    play.acks(first).in_sync()


def test_a_git_operation_is_one_batch() -> None:
    play = ready().saves({"big": BIG, "a": ONE}, git=True)
    assert play.one(commands.Send).batch.git
    assert not play.acks().in_sync().saves({"b": ONE}).one(commands.Send).batch.git


def test_no_more_than_a_few_batches_are_under_way() -> None:
    play = ready()
    sends = [play.saves({f"f{number}": ONE}).one(commands.Send) for number in range(dispatch.MAX_FLIGHTS)]
    play.saves({"x": ONE}).saves({"y": ONE}).none(commands.Send)
    assert {op.path for op in play.acks(sends[0]).sent()} == {"x", "y"}


def test_hooks_are_chosen_from_the_batch() -> None:
    hook = messages.HookSpec("pip", ("pip", "install"), "/app")
    play = Playbook(hooks=lambda batch: (hook,) if any(op.path == "requirements.txt" for op in batch) else ())
    play.saves({}).opens()
    assert play.saves({"a": ONE}).one(commands.Send).batch.hooks == ()
    play.acks()
    assert play.saves({"requirements.txt": ONE}).one(commands.Send).batch.hooks == (hook,)


# ---- bodies -----------------------------------------------------------------------------------------------------


def test_a_path_that_changes_again_cancels_its_body_once() -> None:
    play = ready().saves({"a": ONE})
    first = play.one(commands.Send)
    play.saves({"a": TWO})
    assert play.one(commands.CancelBodies) == commands.CancelBodies(POD, first.batch.number, (0,))
    play.none(commands.Send)
    play.saves({"b": ONE}).none(commands.CancelBodies)
    play.did(play.engine.body_changed(POD, first.batch.number, [0], play.now_s))
    assert play.sent() == [ops.put(0, "a", TWO)]


def test_a_path_that_is_taken_back_while_it_is_sent_is_taken_back_in_the_target_too() -> None:
    play = ready().saves({"a": entry.FOLDER, "a/x": ONE})
    first = play.one(commands.Send)
    play.saves({"a": TWO}, "a/x").none(commands.Send)
    assert set(play.acks(first).sent()) == {ops.put(0, "a", TWO), ops.delete(0, "a/x")}


def test_a_body_that_is_told_twice_to_be_outdated_counts_once() -> None:
    play = ready().saves({"a": ONE})
    first = play.one(commands.Send).batch.number
    play.saves({"a": TWO})
    play.did(play.engine.body_changed(POD, first, [0], play.now_s))
    second = play.one(commands.Send)
    play.did(play.engine.body_changed(POD, first, [0], play.now_s)).none(commands.Send)
    play.saves({"a": ONE}).none(commands.Send)
    assert play.acks(second).sent() == [ops.put(0, "a", ONE)]


def test_a_file_that_changes_each_time_it_is_read_is_looked_at_again_and_becomes_a_problem() -> None:
    play = ready().saves({"a": ONE})
    for _ in range(flights.MAX_RETRIES):
        send = play.one(commands.Send)
        play.did(play.engine.body_changed(POD, send.batch.number, [0], play.now_s))
        assert play.one(commands.Rescan) == commands.Rescan(0, ("a",))
        assert not play.engine.settled
        play.did(play.engine.acked(POD, _ack(play, send), {}, play.now_s)).none(commands.Settled)
        play.did(play.engine.rescanned(0, iter(["a"]), play.now_s))
    send = play.one(commands.Send)
    play.did(play.engine.body_changed(POD, send.batch.number, [0], play.now_s)).none(commands.Rescan)
    settled = play.did(play.engine.acked(POD, _ack(play, send), {}, play.now_s)).one(commands.Settled)
    assert settled.failed == 1
    assert not play.engine.in_sync


def _ack(play: Playbook, send: commands.Send) -> messages.Ack:
    return messages.Ack(send.batch.number, send.batch.number, (play.engine.replicas[POD].known[0].digest,))


# ---- trouble ----------------------------------------------------------------------------------------------------


def test_one_broken_path_never_stops_the_rest() -> None:
    play = ready().saves({"a": ONE, "b": ONE})
    settled = play.acks(troubles={"a": problem.Reason.NOT_WRITABLE}).one(commands.Settled)
    assert (settled.files, settled.failed) == (1, 1)
    assert not play.engine.in_sync
    settled = play.saves({"c": ONE}).acks().one(commands.Settled)
    assert (settled.files, settled.failed) == (1, 1)
    play.saves({"a": TWO}).acks().in_sync()


def test_what_could_not_be_carried_out_is_tried_again_on_request() -> None:
    play = ready().saves({"a": ONE}).acks(refused="no space left").none(commands.Send)
    assert play.one(commands.Settled).failed == 1
    # An agent refuses a whole batch when there is no space for it, and people are told so.
    assert {trouble.reason for trouble in play.engine.replicas[POD].problems.values()} == {problem.Reason.NO_SPACE}
    play.did(play.engine.retry(play.now_s)).acks().in_sync()


def test_trouble_on_the_laptop_alone_ends_being_in_sync_and_its_end_restores_it() -> None:
    play = ready({"a": ONE})
    source = play.engine.sources[0]
    source.problems["secret"] = problem.Problem("secret", problem.Reason.UNREADABLE, "no rights")
    assert play.saves({}).one(commands.Settled).failed == 1
    assert not play.engine.in_sync
    play.saves({}).none(commands.Settled)
    source.problems.clear()
    assert play.saves({}).in_sync().one(commands.Settled).failed == 0


def test_what_devloop_does_not_ship_is_no_failure() -> None:
    play = ready({"a": ONE})
    play.engine.sources[0].problems["s"] = problem.Problem("s", problem.Reason.SPECIAL, "a socket")
    settled = play.saves({}).in_sync().one(commands.Settled)
    assert (settled.failed, settled.skipped) == (0, 1)


def test_a_stopped_sync_sends_nothing_and_the_others_go_on() -> None:
    play = Playbook(roots=2).saves({"a": ONE})
    play.did(play.engine.stopped(1, "there is no such folder")).opens(roots=2, baseline={})
    assert play.sent() == [ops.put(0, "a", ONE)]
    play.acks().none(commands.StartApp)
    assert play.one(commands.Settled).failed == 1
    assert not play.engine.in_sync
    play.did(play.engine.trusted(1, play.now_s)).none(commands.Send)
    play.saves({"b": ONE}, root=1).acks().in_sync()
    assert play.one(commands.StartApp).replica == POD


def test_a_folder_that_was_emptied_deletes_nothing_while_it_is_stopped() -> None:
    play = ready({"a": ONE})
    play.did(play.engine.stopped(0, "emptied")).cuts().opens(has={"a": ONE}).none(commands.Send)
    play.cuts().opens(tree_id="new", fresh=True)
    rows = [("b", ONE, True), ("a", ONE, False)]
    play.did(play.engine.manifest(POD, 0, rows, frozenset(), play.now_s)).none(commands.Send)
    play.did(play.engine.trusted(0, play.now_s))
    assert set(play.sent()) == {ops.adopt(0, "a", ONE), ops.delete(0, "b")}


def test_pausing_sends_nothing_until_resumed() -> None:
    play = ready()
    play.did(play.engine.pause()).saves({"a": ONE}).none(commands.Send)
    assert not play.engine.in_sync
    play.did(play.engine.resume(play.now_s))
    play.acks().in_sync()


# ---- deletions --------------------------------------------------------------------------------------------------


def test_a_mass_deletion_is_held_while_edits_flow_on() -> None:
    play = ready(many(30)).saves({"a": ONE}, *many(25))
    assert play.sent() == [ops.put(0, "a", ONE)]
    assert play.one(commands.HoldChanged).count == 25
    assert play.acks().one(commands.Settled).held == 25
    assert not play.engine.in_sync
    play.did(play.engine.approve(play.now_s))
    assert play.one(commands.HoldChanged).count == 0
    assert len(play.sent()) == 25
    play.acks().in_sync()


def test_a_deletion_that_comes_in_bursts_is_held_as_a_whole() -> None:
    play = ready(many(40)).saves({}, *list(many(25)))
    assert play.one(commands.HoldChanged).count == 25
    play.saves({}, *list(many(40))[25:]).none(commands.Send)
    assert play.one(commands.HoldChanged).count == 40


def test_few_deletions_after_some_moments_ago_are_held() -> None:
    play = ready(many(60)).saves({}, *list(many(15))).acks()
    play.now_s += ledger.DELETION_WINDOW_S - 1
    play.saves({}, *list(many(30))[15:]).none(commands.Send)
    assert play.one(commands.HoldChanged).count == 15


def test_a_hold_is_over_when_the_files_are_back() -> None:
    play = ready(many(30)).saves({}, *many(30))
    play.saves(many(30)).none(commands.Send).in_sync()
    assert play.one(commands.HoldChanged).count == 0


def test_a_git_operation_vouches_for_its_deletions_at_every_replica() -> None:
    play = ready(many(30)).opens("pod-2", has=many(30), tree_id="other").in_sync()
    play.saves({"a": ONE}, *many(30), git=True).none(commands.HoldChanged)
    assert [len(send.batch.ops) for send in play.all(commands.Send)] == [31, 31]


def test_a_git_operation_vouches_also_at_a_replica_that_was_away() -> None:
    play = ready(many(30)).cuts().saves({}, *many(30), git=True).opens(has=many(30))
    assert len(play.sent()) == 30


def test_what_git_vouched_for_is_not_vouched_for_once_it_is_back() -> None:
    play = ready(many(30)).cuts().saves({}, *many(30), git=True).saves(many(30)).saves({}, *many(30))
    play.opens(has=many(30)).none(commands.Send)
    assert play.one(commands.HoldChanged).count == 30


def test_a_hold_outlives_the_link_but_not_the_volume() -> None:
    play = ready(many(30)).saves({}, *many(30)).cuts()
    play.opens(has=many(30)).none(commands.Send)
    assert len(play.engine.replicas[POD].held) == 30
    play.cuts().opens(tree_id="new", fresh=True)
    foreign = [("m/1", ONE, False)]
    play.did(play.engine.manifest(POD, 0, foreign, frozenset(), play.now_s))
    assert play.one(commands.HoldChanged).count == 0
    assert play.did(play.engine.approve(play.now_s)).sent() == []


def test_a_file_in_place_of_a_folder_waits_for_the_held_deletions() -> None:
    play = ready({"m": entry.FOLDER, **many(30)}).saves({"m": ONE}, *many(30)).none(commands.Send)
    play.saves({"m": TWO}).none(commands.Send)
    play.did(play.engine.approve(play.now_s))
    assert ops.put(0, "m", TWO) in play.one(commands.Send).batch.ops
    play.acks().in_sync()


def test_what_becomes_ignored_stays_where_it_is() -> None:
    play = ready(many(30)).hides(*many(30))
    assert {op.action for op in play.sent()} == {ops.Action.FORGET}
    play.acks().in_sync()


def test_a_held_path_that_is_back_but_ignored_is_not_deleted() -> None:
    play = ready(many(30)).saves({}, *many(30))
    play.did(play.engine.scanned(0, tree.TreeDelta(), play.now_s, hidden=["m/1"]))
    assert play.sent() == [ops.forget(0, "m/1")]


# ---- coming back ------------------------------------------------------------------------------------------------


def test_a_lost_ack_is_recognised_by_the_digest() -> None:
    play = ready({"a": ONE}).saves({"a": TWO}).cuts()
    play.opens(has={"a": TWO}).none(commands.Send, commands.AskManifest).in_sync()
    assert play.one(commands.ResetBaseline).root == 0


def test_a_batch_that_never_arrived_is_sent_again() -> None:
    play = ready({"a": ONE}).saves({"a": TWO}).cuts().opens(has={"a": ONE})
    assert play.sent() == [ops.put(0, "a", TWO)]


def test_a_stored_baseline_is_recognised_after_a_restart() -> None:
    play = Playbook().saves({"a": TWO}).opens(has={"a": ONE, "b": ONE}, baseline={"a": ONE, "b": ONE})
    play.none(commands.AskManifest, commands.ResetBaseline)
    assert set(play.sent()) == {ops.put(0, "a", TWO), ops.delete(0, "b")}


def test_an_unexpected_digest_asks_for_what_is_really_there() -> None:
    play = ready({"a": ONE}).cuts().opens(has={"a": TWO})
    assert play.one(commands.AskManifest).root == 0
    play.saves({"b": ONE}).none(commands.Send)
    play.did(play.engine.manifest(POD, 0, [("a", TWO, True), ("x", ONE, False)], frozenset({"x"}), play.now_s))
    assert set(play.sent()) == {ops.put(0, "a", ONE), ops.put(0, "b", ONE), ops.delete(0, "x")}
    play.acks().in_sync()


def test_a_manifest_is_asked_for_only_when_nothing_is_under_way() -> None:
    play = ready().saves({"a": ONE})
    first = play.one(commands.Send)
    second = play.saves({"b": ONE}).one(commands.Send)
    play.acks(first, digest=b"x" * 32).none(commands.AskManifest)
    play.acks(second, digest=b"x" * 32)
    assert play.one(commands.AskManifest).replica == POD
    play.did(play.engine.manifest(POD, 0, [("a", TWO, True), ("b", ONE, True)], frozenset(), play.now_s))
    assert play.sent() == [ops.put(0, "a", ONE)]


def test_a_manifest_that_comes_before_the_first_scan_is_judged_after_it() -> None:
    play = Playbook().opens(fresh=True)
    rows = [("same", ONE, False), ("listed", ONE, False), ("foreign", ONE, False)]
    play.did(play.engine.manifest(POD, 0, rows, frozenset({"same", "listed"}), play.now_s)).none(commands.Send)
    play.saves({"same": ONE})
    assert set(play.sent()) == {ops.adopt(0, "same", ONE), ops.delete(0, "listed")}


def test_what_git_lists_is_not_deleted_in_the_target_while_it_is_only_ignored() -> None:
    play = Playbook().hides("a").opens(fresh=True)
    play.did(play.engine.manifest(POD, 0, [("a", ONE, False)], frozenset({"a"}), play.now_s)).none(commands.Send)


def test_a_problem_is_forgotten_with_the_link() -> None:
    play = ready().saves({"a": ONE}).acks(troubles={"a": problem.Reason.NO_SPACE})
    play.cuts().opens().acks().in_sync()


# ---- cost -------------------------------------------------------------------------------------------------------


class CountingTree(tree.Tree):
    """A tree that counts the passes over it."""

    __slots__ = ()
    passes = 0

    def __iter__(self) -> Iterator[str]:
        type(self).passes += 1
        return super().__iter__()

    def copy(self) -> tree.Tree:
        type(self).passes += 1
        return super().copy()

    def file_count(self) -> int:
        type(self).passes += 1
        return super().file_count()

    def total_bytes(self) -> int:
        type(self).passes += 1
        return super().total_bytes()

    def items(self):  # type: ignore[no-untyped-def]
        type(self).passes += 1
        return super().items()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Playbook:
    """A play with 10,000 files in sync, one held deletion after another, and a standing problem."""
    monkeypatch.setattr(CountingTree, "passes", 0)
    files = {f"d{number % 100}/{number}": some(number) for number in range(10_000)}
    play = ready(files)
    for holder in (play.engine.sources[0], play.engine.replicas[POD]):
        if isinstance(holder, ledger.Source):
            holder.wanted = CountingTree(dict(holder.wanted))
        else:
            holder.known = [CountingTree(dict(known)) for known in holder.known]
    CountingTree.passes = 0
    return play


def test_the_cost_of_an_edit_does_not_grow_with_the_tree(large: Playbook) -> None:
    large.saves({"d1/1": ONE}).acks().in_sync()
    large.saves({}, "d1/1").acks().in_sync()
    assert CountingTree.passes == 0


def test_nor_does_it_while_a_path_is_in_trouble(large: Playbook) -> None:
    large.saves({"d1/1": ONE}).acks(troubles={"d1/1": problem.Reason.NOT_WRITABLE})
    large.saves({"d2/2": ONE}).acks()
    assert large.one(commands.Settled).failed == 1
    assert CountingTree.passes == 0


def test_nor_does_it_while_deletions_are_held(large: Playbook) -> None:
    large.saves({}, *[path for path in large.engine.sources[0].wanted if path < "d5"])
    assert large.one(commands.HoldChanged).count > planner.HOLD_FLOOR
    CountingTree.passes = 0
    large.saves({"d9/9": ONE}).acks()
    assert large.one(commands.Settled).held
    assert CountingTree.passes == 0


def test_the_counting_tree_counts() -> None:
    CountingTree.passes = 0
    tree.diff(CountingTree({"a": ONE}), {})
    assert CountingTree.passes > 0


# ---- an agent that does not agree with itself -------------------------------------------------------------------


def doubted(play: Playbook) -> Playbook:
    """Let an ack be wrong and the manifest be right, so that the next save is sent."""
    play.acks(digest=b"?" * 32)
    known = dict(play.engine.replicas[POD].known[0])
    if play.all(commands.AskManifest):
        rows = [(path, there, True) for path, there in known.items()]
        play.did(play.engine.manifest(POD, 0, rows, frozenset(), play.now_s))
    return play


def test_a_digest_that_is_wrong_too_often_ends_the_link_and_goes_on_to_where_it_opens_again() -> None:
    play = ready({"a": ONE})
    for number in range(flights.MAX_DOUBTS):
        doubted(play.saves({"a": (TWO, ONE)[number % 2]})).none(commands.Distrust)
    play.saves({"b": ONE}).acks(digest=b"?" * 32).none(commands.AskManifest, commands.Settled)
    assert play.one(commands.Distrust) == commands.Distrust(POD, 0)
    play.cuts().opens(has=dict(play.engine.sources[0].wanted)).saves({"b": TWO}).acks(digest=b"?" * 32)
    play.one(commands.Distrust)


def test_a_digest_that_is_right_once_is_trusted_again() -> None:
    play = ready({"a": ONE})
    for _ in range(flights.MAX_DOUBTS + 1):
        doubted(play.saves({"a": TWO})).none(commands.Distrust)
        play.saves({"a": ONE}).acks().none(commands.Distrust).in_sync()
