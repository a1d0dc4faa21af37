"""Which batches go now, to which agent.

Takes what is pending from the ledger, lets the planner say what may go, is held or must wait, and notes what is under
way. A first sync into an empty target goes in parts; everything else is planned as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from devloop.core import ops
from devloop.protocol import messages
from devloop.sync import commands, planner
from devloop.sync.commands import Batch, Command
from devloop.sync.ledger import Ledger, Replica

# Batches that may be under way to one replica; what comes beyond that is gathered into the next one.
MAX_FLIGHTS: Final = 8

# A first sync into an empty target goes in parts, so that reading, sending and applying overlap. Three may be under
# way: one is applied, one is on the wire, one is read.
MAX_PARTS: Final = 3
PART_OPS: Final = 512
PART_BYTES: Final = 8 * 1024 * 1024

# A batch whose bodies are not more than this may use the reserve that bulk transfers leave free.
URGENT_BYTES: Final = 64 * 1024

# Ops that change what the app sees.
_DISTURBING: Final = frozenset({ops.Action.PUT, ops.Action.DELETE})


class Hooks(msgspec.Struct, frozen=True):
    """What the configuration says of hooks.

    Attributes:
        choose: Returns which hooks a batch's ops call for.
        calls: Says whether an op calls for any, on either side.
    """

    choose: Callable[[Sequence[ops.Op]], tuple[messages.HookSpec, ...]]
    calls: Callable[[ops.Op], bool]


def send_all(book: Ledger, hooks: Hooks, now_s: float) -> list[Command]:
    """Send what can be sent.

    Args:
        book: The service.
        hooks: Its hooks.
        now_s: The time.
    """
    if book.is_shut:
        return []
    found: list[Command] = []
    for replica in book.replicas.values():
        if not (replica.up and replica.pending and all(replica.ready)):
            continue
        if replica.in_parts:
            found += _send_parts(book, hooks, replica, now_s)
        if not replica.in_parts and book.all_scanned:
            found += _send_planned(book, hooks, replica, now_s)
    if all(not replica.pending or not replica.up for replica in book.replicas.values()):
        book.git = False
    return found


def _send_parts(book: Ledger, hooks: Hooks, replica: Replica, now_s: float) -> list[Command]:
    """Send parts of a first sync into an empty target, until what is left is the last one.

    Parts bring neither hooks nor a reload: the last batch does, when all others are acked. What calls for a hook
    waits for it, so that an interruption never leaves everything in its place and nothing run.
    """
    found = _cancel_outdated(book, replica)
    while replica.more_parts and len(replica.flights) < MAX_PARTS:
        part, is_last = _next_part(book, hooks, replica)
        if is_last:
            # It stays behind while the laptop is being looked at, or there might be no last one.
            replica.more_parts = not book.all_scanned
            break
        for op in part:
            del replica.pending[op.root, op.path]
        found += _send(book, hooks, replica, part, now_s, is_part=True)
    replica.in_parts = replica.more_parts or bool(replica.flights)
    return found


def _next_part(book: Ledger, hooks: Hooks, replica: Replica) -> tuple[list[ops.Op], bool]:
    """Return what can go before the rest, and whether there is nothing beyond it."""
    part: list[ops.Op] = []
    size_bytes = 0
    for op in _candidates(book, replica):
        if len(part) >= PART_OPS or size_bytes >= PART_BYTES:
            return part, False
        if op.action is ops.Action.PUT and not replica.busy.blocks(op) and not hooks.calls(op):
            part.append(op)
            size_bytes += op.body_bytes
    return part, True


def _send_planned(book: Ledger, hooks: Hooks, replica: Replica, now_s: float) -> list[Command]:
    """Send what the planner lets go of all that is pending."""
    found = _cancel_outdated(book, replica)
    if len(replica.flights) >= MAX_FLIGHTS:
        return found
    plan = planner.make(
        list(_candidates(book, replica)),
        replica.busy,
        managed_files=replica.managed_files,
        # What is held already counts too: it may be the first part of one big deletion.
        recent=replica.recent_deletions(now_s) + len(replica.held),
        approved=replica.approved,
        holding=replica.holding,
    )
    # What is on its way does not count as acked: a path that is back at what was acked before must go there again.
    under_way = replica.busy.among(replica.pending.keys())
    replica.pending = dict.fromkeys(sorted(plan.blocked | under_way))
    for op in plan.held:
        replica.hold(op)
    _note_deletions(replica, plan.flow, now_s)
    return found + _send(book, hooks, replica, plan.flow, now_s)


def _send(
    book: Ledger, hooks: Hooks, replica: Replica, flow: Sequence[ops.Op], now_s: float, *, is_part: bool = False
) -> list[Command]:
    found: list[Command] = []
    first = not replica.started
    for chosen in planner.split(flow, whole=book.git or first):
        changes = [op for op in chosen if op.action in _DISTURBING and (op.root, op.path) not in replica.litter]
        batch = Batch(
            number=replica.next_batch,
            ops=chosen,
            hooks=() if is_part else hooks.choose(changes),
            # Until the first sync is complete the app is not disturbed by what overtakes it; nor is it ever by what
            # only changes hands.
            reload=bool(changes) and not is_part and not (first and replica.flights),
            urgent=sum(op.body_bytes for op in chosen) <= URGENT_BYTES,
            git=book.git,
            began_s=now_s if book.tally.began_s is None else book.tally.began_s,
        )
        replica.next_batch += 1
        replica.flights[batch.number] = batch
        for op in chosen:
            replica.busy.add(op)
            replica.forced.pop((op.root, op.path), None)
            replica.litter.discard((op.root, op.path))
        found.append(commands.Send(replica.name, batch))
    if found:
        replica.synced = False
        book.stir()
    return found


def _note_deletions(replica: Replica, flow: Sequence[ops.Op], now_s: float) -> None:
    keys = [(op.root, op.path) for op in flow if op.action is ops.Action.DELETE]
    unasked = sum(1 for key in keys if key not in replica.approved)
    if unasked:
        replica.deleted.append((now_s, unasked))


def _candidates(book: Ledger, replica: Replica) -> Iterator[ops.Op]:
    for root, path in replica.pending:
        source = book.sources[root]
        if source.stopped:
            continue
        forced = replica.forced.get((root, path))
        if forced is not None and source.wanted.get(path) == forced.entry:
            yield forced
        else:
            yield from planner.changes(root, source.wanted, replica.known[root], (path,), source.hidden)


def _cancel_outdated(book: Ledger, replica: Replica) -> list[Command]:
    """Ask the sender to drop bodies that are outdated already: the path has changed again."""
    found: list[Command] = []
    again = sorted(replica.busy.among(replica.pending.keys()))
    for flight in replica.flights.values() if again else ():
        outdated = tuple(
            index
            for root, path in again
            if (index := flight.body_index(root, path)) is not None
            and index not in flight.cancelled
            and index not in flight.asked
            and book.sources[root].wanted.get(path) != flight.ops[index].entry
        )
        if outdated:
            flight.asked.update(outdated)
            found.append(commands.CancelBodies(replica.name, flight.number, outdated))
    return found
