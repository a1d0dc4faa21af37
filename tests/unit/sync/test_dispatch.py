"""Which batches go now: to whom, in what size, and with what after them."""

from collections.abc import Sequence

import pytest

from devloop.core import entry, ops, tree
from devloop.protocol import messages
from devloop.sync import commands, dispatch, ledger
from devloop.sync.commands import Batch

ONE, TWO = entry.file(bytes(32), 1), entry.file(b"2" * 32, 2)
HOOK = messages.HookSpec("install", ("make",), "/app")


def choose(changes: Sequence[ops.Op]) -> tuple[messages.HookSpec, ...]:
    return (HOOK,) if any(op.path == "hooked" for op in changes) else ()


HOOKS = dispatch.Hooks(choose, lambda op: bool(choose([op])))


def ready(*names: str, **wanted: entry.Entry) -> ledger.Ledger:
    """Return a scanned service whose agents hold nothing, and everything is to be sent to each."""
    book = ledger.Ledger([ledger.Source()])
    book.sources[0].wanted = tree.Tree(wanted)
    book.sources[0].begun = book.sources[0].scanned = True
    for name in names or ("pod",):
        replica = book.replicas[name] = ledger.Replica(name, 1)
        replica.up, replica.ready, replica.started = True, [True], True
        replica.pending = {(0, path): None for path in wanted}
    return book


def sent(found: Sequence[commands.Command]) -> list[tuple[str, Batch]]:
    return [(each.replica, each.batch) for each in found if isinstance(each, commands.Send)]


def test_each_agent_gets_a_batch_of_its_own() -> None:
    book = ready("one", "two", a=ONE)
    found = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert [(name, batch.ops) for name, batch in found] == [(name, (ops.put(0, "a", ONE),)) for name in ("one", "two")]
    assert not any(replica.pending for replica in book.replicas.values())
    assert dispatch.send_all(book, HOOKS, 1.0) == []


def test_nothing_goes_to_one_that_is_down_or_unknown() -> None:
    book = ready("down", "unknown", "fine", a=ONE)
    book.replicas["down"].up = False
    book.replicas["unknown"].ready[0] = False
    assert [name for name, _ in sent(dispatch.send_all(book, HOOKS, 1.0))] == ["fine"]


@pytest.mark.parametrize("why", ["paused", "gate_closed"])
def test_nothing_goes_while_it_may_not(why: str) -> None:
    book = ready(a=ONE)
    setattr(book, why, True)
    assert dispatch.send_all(book, HOOKS, 1.0) == []
    assert book.replicas["pod"].pending


def test_what_is_sent_is_on_its_way_and_stirs_the_service() -> None:
    book = ready(a=ONE)
    book.in_sync = book.settled = book.replicas["pod"].synced = True
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert book.replicas["pod"].flights == {batch.number: batch}
    assert (0, "a") in book.replicas["pod"].busy
    assert not (book.in_sync or book.settled or book.replicas["pod"].synced)


def test_hooks_and_a_reload_go_with_what_calls_for_them() -> None:
    book = ready(hooked=ONE)
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert (batch.hooks, batch.reload) == ((HOOK,), True)
    book = ready(a=ONE)
    book.replicas["pod"].force(ops.adopt(0, "a", ONE))
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert (batch.hooks, batch.reload) == ((), False)


def test_a_git_operation_is_over_when_all_of_it_is_on_its_way() -> None:
    book = ready("one", "two", a=ONE)
    book.git, book.replicas["two"].ready[0] = True, False
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert batch.git and book.git
    book.replicas["two"].ready[0] = True
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert batch.git and not book.git


def test_parts_go_without_a_reload_and_the_last_one_waits_for_them() -> None:
    book = ready(**{f"f{number}": ONE for number in range(dispatch.PART_OPS + 1)})
    replica = book.replicas["pod"]
    replica.started, replica.in_parts, replica.more_parts = False, True, True
    ((_, part),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert (len(part.ops), part.reload, part.hooks) == (dispatch.PART_OPS, False, ())
    replica.known[0] = tree.Tree({op.path: ONE for op in part.ops})
    replica.flights.clear()
    for op in part.ops:
        replica.busy.remove(op)
    ((_, last),) = sent(dispatch.send_all(book, HOOKS, 2.0))
    assert (len(last.ops), last.reload) == (1, True)


def test_what_calls_for_a_hook_is_in_no_part() -> None:
    book = ready(hooked=ONE, **{f"f{number}": ONE for number in range(dispatch.PART_OPS + 1)})
    replica = book.replicas["pod"]
    replica.in_parts = replica.more_parts = True
    ((_, part),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    assert "hooked" not in {op.path for op in part.ops}


def test_bodies_that_are_outdated_are_asked_back_once() -> None:
    book = ready(a=ONE, b=ONE)
    ((_, batch),) = sent(dispatch.send_all(book, HOOKS, 1.0))
    book.sources[0].wanted.put("b", TWO)
    book.replicas["pod"].touch(0, "b")
    index = [op.path for op in batch.ops].index("b")
    assert dispatch.send_all(book, HOOKS, 1.0) == [commands.CancelBodies("pod", batch.number, (index,))]
    assert dispatch.send_all(book, HOOKS, 1.0) == []


def test_deletions_that_nobody_vouched_for_are_counted() -> None:
    book = ready()
    replica = book.replicas["pod"]
    replica.known[0] = tree.Tree({"a": ONE, "b": ONE})
    replica.pending = {(0, "a"): None, (0, "b"): None}
    replica.approved = {(0, "a")}
    dispatch.send_all(book, HOOKS, 1.0)
    assert list(replica.deleted) == [(1.0, 1)]
