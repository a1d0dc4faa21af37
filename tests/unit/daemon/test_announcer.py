"""What a service tells of its work, once each."""

from __future__ import annotations

from devloop.core import entry, ops, problem
from devloop.daemon import announcer
from devloop.sync import commands, engine, events, ledger

ONE = entry.file(bytes(32), 7)


class Told:
    """An announcer, and what it told."""

    def __init__(self) -> None:
        self.brain = engine.Engine([ledger.Source()], lambda changes: ())
        self.events: list[events.Event] = []
        self.subject = announcer.Announcer(self.brain, self.events.append)

    def settled(self, *, files: int = 0, deletes: int = 0, ms: float = 5.0, first: bool = False, held: int = 0) -> None:
        self.subject.settled(
            commands.Settled(files, deletes, 7, elapsed_s=ms / 1000, first=first, held=held, failed=held)
        )


def test_a_batch_is_told_with_what_is_in_it() -> None:
    told = Told()
    changes = (ops.put(0, "a", ONE), ops.put(0, "d", entry.folder()), ops.delete(0, "b"))
    told.subject.started(commands.Batch(16, changes, git=True), again=False)
    assert told.events == [
        events.SyncStarted(batch=16, files=1, deletes=1, total_bytes=7, git=True, paths=("a", "d", "b"))
    ]


def test_the_same_change_to_another_agent_is_told_only_where_none_was() -> None:
    told = Told()
    told.subject.started(commands.Batch(16, ()), again=True)
    told.subject.started(commands.Batch(17, ()), again=True)
    told.subject.started(commands.Batch(18, ()), again=False)
    assert [each.batch for each in told.events if isinstance(each, events.SyncStarted)] == [16, 18]
    told.settled(files=1)
    told.subject.started(commands.Batch(19, ()), again=True)
    assert isinstance(told.events[-1], events.SyncStarted)


def test_a_settling_without_news_is_not_told() -> None:
    told = Told()
    told.settled(first=True)
    told.settled()
    (event,) = told.events
    assert isinstance(event, events.SyncComplete) and event.first


def test_what_failed_is_told_and_so_is_its_end() -> None:
    told = Told()
    told.settled(files=1, held=2)
    told.settled()
    failed, complete = told.events
    assert isinstance(failed, events.SyncFailed)
    assert failed.message == "2 paths could not be synced, 2 deletions wait for approval"
    assert isinstance(complete, events.SyncComplete)


def test_latencies_are_those_of_saves() -> None:
    told = Told()
    assert told.subject.percentiles_ms() == (0.0, 0.0)
    told.settled(files=1, ms=1000.0, first=True)
    told.settled(files=announcer.SAVE_FILES + 1, ms=1000.0)
    assert told.subject.percentiles_ms() == (0.0, 0.0)
    for ms in range(1, 101):
        told.settled(files=1, ms=float(ms))
    assert told.subject.percentiles_ms() == (51.0, 96.0)
    assert told.subject.saves == 102


def test_problems_are_told_when_they_change_and_once_for_all_agents() -> None:
    told = Told()
    for name in ("one", "two"):
        told.brain.expected(name)
        there = told.brain.replicas[name]
        there.problems[0, "a"] = problem.Problem("a", problem.Reason.NOT_WRITABLE, "read-only", problem.Side.POD)
    told.subject.problems()
    told.subject.problems()
    (event,) = told.events
    assert isinstance(event, events.ProblemsChanged)
    assert (event.count, [row.path for row in event.problems]) == (1, ["a"])
    told.brain.replicas["two"].problems[0, "a"] = problem.Problem("a", problem.Reason.NO_SPACE, "full")
    assert len(announcer.problem_rows(told.brain)) == 2


def test_that_all_is_in_sync_is_news_after_a_link_was_lost() -> None:
    told = Told()
    told.settled(first=True)
    told.subject.lost()
    told.settled()
    told.settled()
    assert [type(each) for each in told.events] == [events.SyncComplete] * 2
