"""What becomes of a batch under way: its ack comes, or word that some of its bodies will not.

What was carried out is what the agent holds from then on, and goes into the stored baseline. What failed is looked at
and sent again where that can help, else it becomes a problem; neither keeps the rest of the batch from counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from devloop.core import ops, problem, tree
from devloop.core.entry import Entry
from devloop.protocol import messages
from devloop.sync import commands, ledger
from devloop.sync.commands import Batch, Command
from devloop.sync.ledger import Ledger, Replica, Source

# From so many ops on, copying a whole tree is cheaper than hashing their entries one by one.
LARGE_OPS: Final = 1000

# How often a path is sent again after it changed while it was read, before it becomes a problem.
MAX_RETRIES: Final = 5

# How many manifests of a root are asked for in a row because an ack's digest was wrong; one sets an honest agent right.
MAX_DOUBTS: Final = 3

# Trouble that goes away when the path is looked at and sent again.
_PASSING: Final = frozenset({problem.Reason.CHANGED_IN_TRANSIT, problem.Reason.UNSTABLE})


def land(
    book: Ledger,
    replica: Replica,
    flight: Batch,
    ack: messages.Ack,
    troubles: Mapping[tuple[int, str], problem.Problem],
) -> list[Command]:
    """Take up the ack of a batch that is under way no longer.

    Args:
        book: The service.
        replica: The agent.
        flight: The batch.
        ack: The agent's word.
        troubles: The ack's problems, by root and path.
    """
    deltas = _Deltas()
    again: dict[int, list[str]] = {}
    equal = _take_equal(book.sources, replica, flight, ack)
    for index, op in enumerate(flight.ops):
        if index in flight.cancelled:
            continue
        replica.busy.remove(op)
        trouble = troubles.get((op.root, op.path))
        if ack.refused:
            # An agent refuses a whole batch only for want of space.
            trouble = problem.Problem(op.path, problem.Reason.NO_SPACE, ack.refused, problem.Side.POD)
        if trouble is not None:
            _failed(replica, op, trouble, again)
            continue
        replica.problems.pop((op.root, op.path), None)
        replica.retries.pop((op.root, op.path), None)
        if op.root not in equal:
            ledger.apply(replica.known[op.root], op)
        deltas.add(op)
        book.tally.acked(op)
    return [*deltas.commands(replica.name), *_rescans(again), *_check_digests(replica, ack)]


def drop_bodies(sources: Sequence[Source], replica: Replica, flight: Batch, indexes: Iterable[int]) -> list[Command]:
    """Take up that ops' bodies will not come: the file changed, vanished, or is wanted no more.

    Args:
        sources: The syncs.
        replica: The agent.
        flight: The batch.
        indexes: The ops' numbers within it.
    """
    again: dict[int, list[str]] = {}
    # What is told twice counts once: by then the path may be on its way again, in a later batch.
    for index in {*indexes} - flight.cancelled:
        op = flight.ops[index]
        flight.cancelled.add(index)
        replica.busy.remove(op)
        if sources[op.root].wanted.get(op.path) == op.entry:
            # The disk has moved on and the tree has not: look before sending again.
            trouble = problem.Problem(op.path, problem.Reason.UNSTABLE, "changed each time it was read")
            _failed(replica, op, trouble, again)
        else:
            replica.pending[op.root, op.path] = None
    return _rescans(again)


def _check_digests(replica: Replica, ack: messages.Ack) -> list[Command]:
    """Compare what the agent says that it holds with what it should; ask for the manifest where that differs."""
    for root, digest in enumerate(ack.digests):
        if digest != replica.known[root].digest:
            replica.ready[root] = False
        else:
            replica.doubts[root] = 0
    if replica.flights:
        return []
    # Only now: an ack that came between the question and its answer would make the answer outdated.
    return [_doubt(replica, root) for root, ready in enumerate(replica.ready) if not ready]


def _doubt(replica: Replica, root: int) -> Command:
    """Return what follows from a digest that is not what it should be."""
    replica.doubts[root] += 1
    if replica.doubts[root] > MAX_DOUBTS:
        return commands.Distrust(replica.name, root)
    return commands.AskManifest(replica.name, root)


def _take_equal(sources: Sequence[Source], replica: Replica, flight: Batch, ack: messages.Ack) -> set[int]:
    """After a large batch, take the laptop's tree for what the agent has where their digests are the same.

    It is what applying the ops one by one would come to, without hashing each entry again.

    Returns:
        The roots for which that was done.
    """
    if len(flight.ops) < LARGE_OPS:
        return set()
    equal = {
        root
        for root, digest in enumerate(ack.digests)
        if digest == sources[root].wanted.digest != replica.known[root].digest
    }
    for root in equal:
        replica.known[root] = sources[root].wanted.copy()
    return equal


def _failed(replica: Replica, op: ops.Op, trouble: problem.Problem, again: dict[int, list[str]]) -> None:
    key = (op.root, op.path)
    tries = replica.retries.get(key, 0) + 1
    replica.retries[key] = tries
    if trouble.reason in _PASSING and tries <= MAX_RETRIES:
        again.setdefault(op.root, []).append(op.path)
        replica.wait(op)
    else:
        replica.problems[key] = trouble


def _rescans(again: Mapping[int, Sequence[str]]) -> list[Command]:
    return [commands.Rescan(root, tuple(found)) for root, found in again.items()]


class _Deltas:
    """What a batch changed, gathered by root."""

    def __init__(self) -> None:
        self._put: dict[int, dict[str, Entry]] = {}
        self._gone: dict[int, set[str]] = {}

    def add(self, op: ops.Op) -> None:
        if op.entry is None:
            self._gone.setdefault(op.root, set()).add(op.path)
        else:
            self._put.setdefault(op.root, {})[op.path] = op.entry

    def commands(self, name: str) -> list[Command]:
        return [
            commands.SaveBaseline(
                name, root, tree.TreeDelta(self._put.get(root, {}), frozenset(self._gone.get(root, ())))
            )
            for root in sorted({*self._put, *self._gone})
        ]
