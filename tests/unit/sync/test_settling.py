"""When a service is settled or in sync, and what is said of it."""

from devloop.core import entry, ops, problem, tree
from devloop.sync import commands, ledger, settling

ONE, TWO = entry.file(bytes(32), 1), entry.file(b"2" * 32, 2)


def synced(*names: str) -> ledger.Ledger:
    """Return a service whose agents hold what the laptop has."""
    book = ledger.Ledger([ledger.Source()])
    book.sources[0].wanted = tree.Tree({"a": ONE})
    book.sources[0].begun = book.sources[0].scanned = True
    for name in names:
        replica = book.replicas[name] = ledger.Replica(name, 1)
        replica.up, replica.ready, replica.known = True, [True], [tree.Tree({"a": ONE})]
    return book


def standing(book: ledger.Ledger) -> tuple[bool, bool]:
    return book.settled, book.in_sync


def settled(found: list[commands.Command]) -> commands.Settled:
    (one,) = (each for each in found if isinstance(each, commands.Settled))
    return one


def test_a_service_without_an_agent_is_never_in_sync() -> None:
    book = synced()
    assert settling.settle(book, settling.Told(), 1.0) == []
    assert not (book.settled or book.in_sync)


def test_it_is_said_once_when_every_agent_has_everything() -> None:
    book, told = synced("one", "two"), settling.Told()
    book.replicas["two"].pending[0, "a"] = None
    assert settling.settle(book, told, 1.0) == [commands.StartApp("one")]
    assert standing(book) == (False, False)
    book.replicas["two"].pending.clear()
    found = settling.settle(book, told, 1.0)
    assert commands.StartApp("two") in found
    assert settled(found).first
    assert standing(book) == (True, True)
    assert settling.settle(book, told, 1.0) == []


def test_a_difference_that_nobody_noted_is_to_be_sent() -> None:
    book = synced("one")
    book.replicas["one"].known[0].put("b", TWO)
    settling.settle(book, settling.Told(), 1.0)
    assert not book.settled
    assert list(book.replicas["one"].pending) == [(0, "b")]


def test_what_needs_a_person_is_settled_and_not_in_sync() -> None:
    book, told = synced("one", "two"), settling.Told()
    for name in ("one", "two"):
        book.replicas[name].known[0].put("b", TWO)
        book.replicas[name].hold(ops.delete(0, "b"))
    found = settled(settling.settle(book, told, 1.0))
    # The same path in two agents is one path for a person.
    assert (found.held, book.settled, book.in_sync) == (1, True, False)
    book.replicas["one"].problems[0, "a"] = problem.Problem("a", problem.Reason.NOT_WRITABLE, "read-only")
    book.replicas["two"].drift[0, "a"] = None
    found = settled(settling.settle(book, told, 1.0))
    assert (found.failed, found.held, found.drifted, found.first) == (1, 1, 1, False)


def test_nothing_is_said_while_paused_and_it_is_afterwards() -> None:
    book, told = synced("one"), settling.Told()
    book.paused = True
    assert settling.settle(book, told, 1.0) == [commands.StartApp("one")]
    assert standing(book) == (False, False)
    book.paused = False
    assert settled(settling.settle(book, told, 1.0)).first
    assert standing(book) == (True, True)


def test_a_stopped_sync_failed_and_what_is_not_shipped_did_not() -> None:
    book = synced("one")
    book.sources[0].problems = {
        "pipe": problem.Problem("pipe", problem.Reason.SPECIAL, "a pipe"),
        "locked": problem.Problem("locked", problem.Reason.UNREADABLE, "no"),
    }
    assert settling.troubles(book) == (1, 1, 0)
    book.sources[0].stopped = "unmounted"
    assert settling.troubles(book) == (2, 1, 0)


def test_what_is_held_is_told_where_it_changes_from_the_agent_that_holds_the_most() -> None:
    book, told = synced("one", "two"), settling.Told()
    assert settling.tell_held(book, told) == []
    book.replicas["one"].hold(ops.delete(0, "x"))
    for path in ("x", "y"):
        book.replicas["two"].hold(ops.delete(0, path))
    assert settling.tell_held(book, told) == [commands.HoldChanged(2, 1, ("x", "y"))]
    assert settling.tell_held(book, told) == []
    for key in ((0, "x"), (0, "y")):
        for replica in book.replicas.values():
            replica.release(key)
    assert settling.tell_held(book, told) == [commands.HoldChanged(0, 0, ())]
