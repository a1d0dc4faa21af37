"""What is noted of an agent, and the small steps that keep it consistent."""

from devloop.core import entry, ops, problem, tree
from devloop.sync import ledger
from devloop.sync.commands import Batch

ONE = entry.file(bytes(32), 1)
KEY = (0, "a/x")
OP = ops.put(*KEY, ONE)


def replica() -> ledger.Replica:
    return ledger.Replica("pod", 1)


def test_deletions_count_as_long_as_their_window_lasts() -> None:
    subject = replica()
    subject.deleted.extend([(0.0, 3), (5.0, 4)])
    assert subject.recent_deletions(ledger.DELETION_WINDOW_S) == 7
    assert subject.recent_deletions(ledger.DELETION_WINDOW_S + 1) == 4
    assert subject.recent_deletions(2 * ledger.DELETION_WINDOW_S) == 0


def test_folders_are_no_managed_files() -> None:
    subject = replica()
    subject.known[0] = tree.Tree({"a": entry.folder(), "a/x": ONE})
    assert subject.managed_files() == 1


def test_what_waits_blocks_what_depends_on_it_until_it_waits_no_longer() -> None:
    subject = replica()
    subject.wait(ops.delete(*KEY))
    assert subject.busy.blocks(ops.put(0, "a", ONE))
    assert subject.stop_waiting(KEY)
    assert not subject.busy.blocks(ops.put(0, "a", ONE))
    assert not subject.stop_waiting(KEY)


def test_what_is_held_is_released_once() -> None:
    subject = replica()
    subject.hold(OP)
    assert (subject.held, KEY in subject.holding) == ({KEY: OP}, True)
    assert subject.release(KEY) == OP
    assert (subject.held, len(subject.holding)) == ({}, 0)
    assert subject.release(KEY) is None


def test_a_touch_outdates_all_that_was_noted_of_a_path_and_of_no_other() -> None:
    subject, other = replica(), (0, "b")
    for key in (KEY, other):
        op = ops.delete(*key)
        subject.hold(op)
        subject.wait(op)
        subject.force(op)
        subject.approved.add(key)
        subject.problems[key] = problem.Problem(key[1], problem.Reason.UNSTABLE, "it moved")
        subject.drift[key] = None
    subject.pending.clear()
    subject.touch(*KEY)
    assert list(subject.pending) == [KEY]
    for noted in (subject.held, subject.waiting, subject.forced, subject.approved, subject.problems, subject.drift):
        assert set(noted) == {other}


def test_with_a_link_goes_what_was_on_its_way_and_not_what_waits_for_a_person() -> None:
    subject = replica()
    flight = Batch(16, (OP,))
    subject.flights[16] = flight
    subject.busy.add(OP)
    subject.force(OP)
    subject.hold(ops.delete(0, "b"))
    subject.approved.add(KEY)
    assert subject.forget_link() == [flight]
    assert not (subject.flights or subject.pending or subject.forced or len(subject.busy))
    assert set(subject.held) == {(0, "b")}
    assert subject.approved == {KEY}


def test_an_op_that_was_carried_out_is_what_the_agent_holds() -> None:
    known = tree.Tree()
    ledger.apply(known, OP)
    assert dict(known) == {"a/x": ONE}
    ledger.apply(known, ops.forget(*KEY))
    assert dict(known) == {}


def test_nothing_may_be_sent_while_paused_or_while_a_build_runs() -> None:
    assert not ledger.Ledger([]).is_shut
    for why in ("paused", "gate_closed"):
        book = ledger.Ledger([])
        setattr(book, why, True)
        assert book.is_shut


def test_a_sync_that_is_stopped_is_not_waited_for() -> None:
    first, second = ledger.Source(), ledger.Source()
    book = ledger.Ledger([first, second])
    first.scanned = True
    verdicts = [book.all_scanned]
    second.stopped = "unmounted"
    assert [*verdicts, book.all_scanned] == [False, True]
