"""What commands come to on the disk, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import applier, worker
from devloop import errors
from devloop.core import delta, ops, problem
from devloop.protocol import commands, messages
from tests.unit.agent import target

OLD = b"line of text\n" * 10_000
NEW = OLD[:60_000] + b"edited" + OLD[60_000:]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[target.Target]:
    with target.opened(tmp_path) as opened:
        yield opened


@pytest.fixture
def work(place: target.Target) -> worker.Worker:
    return worker.Worker(place.applier)


def add(batch: int, *changes: ops.Op, credit: int = 0) -> list[commands.Command]:
    return [commands.BeginBatch(batch, len(changes)), commands.AddOps(batch, 0, changes, credit)]


def put(path: str, content: bytes) -> ops.Op:
    return ops.put(0, path, target.entry_of(content.decode()))


def test_a_commit_ends_the_round_so_that_its_ack_leaves_at_once(work: worker.Worker, place: target.Target) -> None:
    listed = [
        *add(16, put("a", b"a"), credit=100),
        commands.WriteBody(16, 0, b"a", 50),
        commands.CommitBatch(16, (), True),
        *add(17, put("b", b"b"), credit=7),
    ]
    outcome = work.carry_out(listed)
    assert outcome.done == 4
    assert outcome.credits == {16: 150}
    assert outcome.acked is not None and outcome.acked.batch == 16
    assert outcome.acked.applied.is_applied
    assert place.disk() == {"a": "a"}
    rest = work.carry_out(listed[outcome.done :])
    assert (rest.done, rest.credits, rest.acked) == (2, {17: 7}, None)


def test_a_delta_that_fits_needs_no_body(work: worker.Worker, place: target.Target) -> None:
    place.put({"f": OLD.decode()})
    base = target.entry_of(OLD.decode()).digest
    outcome = work.carry_out(
        [
            *add(16, put("f", NEW)),
            commands.ApplyDelta(16, 0, base, delta.make(OLD, NEW), 10),
            commands.CommitBatch(16, (), True),
        ]
    )
    assert not outcome.needs
    assert place.disk() == {"f": NEW.decode()}


def test_what_cannot_be_made_here_is_needed_and_then_committed(work: worker.Worker, place: target.Target) -> None:
    place.put({"f": OLD.decode()})
    outcome = work.carry_out(
        [
            *add(16, put("f", NEW), put("g", b"g"), put("h", b"h")),
            commands.ApplyDelta(16, 0, bytes(32), delta.make(OLD, NEW), 10),
            commands.CopyBody(16, 1, 0, "not there"),
            commands.CopyBody(16, 2, 0, "not there either"),
            commands.CommitBatch(16, (), True),
        ]
    )
    assert outcome.needs == {16: [0, 1, 2]}
    assert outcome.acked is None
    assert outcome.done == 6
    half = len(NEW) // 2
    again = work.carry_out(
        [
            commands.WriteChunk(16, 0, 0, NEW[:half], False, 1),
            commands.WriteChunk(16, 0, half, NEW[half:], True, 1),
            commands.WriteBody(16, 1, b"g", 1),
            commands.CancelOps(16, (2,)),
            commands.CommitBatch(16, (), True),
        ]
    )
    assert again.acked is not None
    assert place.disk() == {"f": NEW.decode(), "g": "g"}


def test_an_aborted_batch_leaves_nothing(work: worker.Worker, place: target.Target) -> None:
    work.carry_out([*add(16, put("a", b"a")), commands.CopyBody(16, 0, 0, "x"), commands.AbortBatch(16)])
    assert place.disk() == {} and place.staged() == []


def test_retiring_drops_what_is_not_committed_and_spares_what_another_link_opens(
    work: worker.Worker, place: target.Target
) -> None:
    work.carry_out([*add(16, put("a", b"a")), commands.WriteBody(16, 0, b"a", 0)])
    assert place.staged()
    work.retire()
    assert not place.staged()
    other = worker.Worker(place.applier)
    other.carry_out([*add(16, put("b", b"b")), commands.WriteBody(16, 0, b"b", 0)])
    work.retire()
    assert other.carry_out([commands.CommitBatch(16, (), True)]).acked is not None
    assert place.disk() == {"b": "b"}


def test_a_broken_rule_is_the_laptops_fault(work: worker.Worker) -> None:
    with pytest.raises(errors.RemoteProtocolError):
        work.carry_out([commands.WriteBody(99, 0, b"x", 0)])


def test_an_ack_tells_problems_and_drift() -> None:
    trouble = problem.Problem("a", problem.Reason.IO, "no", problem.Side.POD, 5)
    applied = applier.Applied(
        16, problems=((0, trouble),), digests=(bytes(32),), changed=1, overwritten_drift=((0, "b"),), kept=()
    )
    commit = commands.CommitBatch(16, (), True)
    ack = worker.ack_of(worker.Acked(16, applied, commit, 1234), 15)
    assert ack == messages.Ack(
        batch=16,
        low_water=15,
        digests=(bytes(32),),
        problems=(messages.WireProblem(0, b"a", problem.Reason.IO, "no", 5),),
        overwritten=((0, b"b"),),
        refused="",
        apply_us=1234,
    )


def test_an_ack_of_a_batch_that_was_not_applied_says_why() -> None:
    trouble = problem.Problem("a", problem.Reason.NO_SPACE, "the disk is full there", problem.Side.POD, 28)
    applied = applier.Applied(16, ((0, trouble),), (bytes(32),), is_applied=False)
    ack = worker.ack_of(worker.Acked(16, applied, commands.CommitBatch(16, (), True), 1), 15)
    assert ack.refused == "nothing of the batch was applied: the disk is full there"
    assert ack.problems == ()
