"""What becomes of a batch: its ack, what failed of it, and the bodies that do not come."""

from devloop.core import entry, ops, problem, tree
from devloop.protocol import messages
from devloop.sync import commands, engine, flights, ledger
from devloop.sync.commands import Batch

SOME = entry.file(bytes(32), 1)


def sends(found: list[commands.Command]) -> list[tuple[ops.Action, str]]:
    return [(op.action, op.path) for each in found if isinstance(each, commands.Send) for op in each.batch.ops]


def test_a_file_waits_for_what_must_go_first() -> None:
    subject = engine.Engine([ledger.Source()], lambda changes: ())
    before = {"a": entry.folder(), "a/x": SOME, "other": SOME}
    subject.scanned(0, tree.TreeDelta(before), 0.0)
    state = messages.RootState("/app", "t", tree.Tree(before).digest, 3, fresh=False)
    subject.opened("pod", [state], {}, 0.0)

    assert sends(subject.scanned(0, tree.TreeDelta(gone=frozenset({"a/x"})), 1.0)) == [(ops.Action.DELETE, "a/x")]
    trouble = problem.Problem("a/x", problem.Reason.UNSTABLE, "it moved meanwhile", problem.Side.POD)
    ack = messages.Ack(16, 16, (tree.Tree(before).digest,))
    found = subject.acked("pod", ack, {(0, "a/x"): trouble}, 1.0)
    assert found == [commands.Rescan(0, ("a/x",))]

    assert sends(subject.scanned(0, tree.TreeDelta({"a": SOME}), 1.0)) == []
    assert not subject.settled
    found = subject.rescanned(0, ["a/x"], 2.0)
    assert sorted(sends(found)) == [(ops.Action.PUT, "a"), (ops.Action.DELETE, "a/x")]


def flying(changes: list[ops.Op]) -> tuple[ledger.Ledger, ledger.Replica, Batch]:
    """Return a service, its agent, and a batch that has just come back from its flight."""
    book = ledger.Ledger([ledger.Source()])
    for op in changes:
        ledger.apply(book.sources[0].wanted, op)
    replica = book.replicas["pod"] = ledger.Replica("pod", 1)
    replica.up, replica.ready = True, [True]
    for op in changes:
        replica.busy.add(op)
    return book, replica, Batch(16, tuple(changes))


def test_what_was_carried_out_is_held_counted_and_stored() -> None:
    book, replica, flight = flying([ops.put(0, "a", SOME)])
    ack = messages.Ack(16, 16, (book.sources[0].wanted.digest,))
    found = flights.land(book, replica, flight, ack, {})
    assert found == [commands.SaveBaseline("pod", 0, tree.TreeDelta({"a": SOME}))]
    assert (dict(replica.known[0]), len(replica.busy)) == ({"a": SOME}, 0)
    assert book.tally.settle(1.0, first=True, failed=0, skipped=0, held=0).files == 1


def test_a_wrong_digest_is_followed_up_once_nothing_is_on_its_way() -> None:
    book, replica, flight = flying([ops.put(0, "a", SOME)])
    replica.flights[17] = Batch(17, ())
    ack = messages.Ack(16, 16, (b"?" * 32,))
    assert commands.AskManifest("pod", 0) not in flights.land(book, replica, flight, ack, {})
    assert replica.ready == [False]
    replica.flights.clear()
    assert flights.land(book, replica, Batch(17, ()), ack, {}) == [commands.AskManifest("pod", 0)]


def test_a_batch_that_is_refused_fails_as_a_whole_for_want_of_space() -> None:
    book, replica, flight = flying([ops.put(0, "a", SOME), ops.put(0, "b", SOME)])
    ack = messages.Ack(16, 16, (tree.Tree().digest,), refused="the disk is full")
    assert flights.land(book, replica, flight, ack, {}) == []
    assert {trouble.reason for trouble in replica.problems.values()} == {problem.Reason.NO_SPACE}
    assert len(replica.problems) == 2 and not replica.known[0]


def test_a_body_that_does_not_come_is_looked_at_again_where_the_tree_has_not_moved_on() -> None:
    book, replica, flight = flying([ops.put(0, "a", SOME), ops.put(0, "b", SOME)])
    book.sources[0].wanted.remove("b")
    assert flights.drop_bodies(book.sources, replica, flight, [0, 1]) == [commands.Rescan(0, ("a",))]
    assert (set(replica.waiting), set(replica.pending)) == ({(0, "a")}, {(0, "b")})
    assert flights.drop_bodies(book.sources, replica, flight, [0, 1]) == []


def test_what_changes_each_time_it_is_read_becomes_a_problem() -> None:
    book, replica, _ = flying([ops.put(0, "a", SOME)])
    for number in range(flights.MAX_RETRIES + 1):
        assert not replica.problems
        flights.drop_bodies(book.sources, replica, Batch(number, (ops.put(0, "a", SOME),)), [0])
    assert replica.problems[0, "a"].reason is problem.Reason.UNSTABLE
