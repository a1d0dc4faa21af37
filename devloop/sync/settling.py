"""When a service is settled or in sync, and what is said of it.

"In sync" is said only when every replica acked everything and its digest is ours. What is held, in trouble or drifted
is settled and not in sync: it needs a person.
"""

from __future__ import annotations

import itertools
from typing import Final

from devloop.core import problem, tree
from devloop.sync import commands
from devloop.sync.commands import Command
from devloop.sync.ledger import Ledger, Replica

# Trouble that is no failure: devloop says that it does not ship these, and the rest is in sync all the same.
_BY_POLICY: Final = frozenset({problem.Reason.SPECIAL, problem.Reason.LINK_ESCAPES})


class Told:
    """What was said last, so that it is said again only where it has changed.

    Attributes:
        ever_settled: The service has settled before.
        troubles: How many paths failed, are skipped and are held.
        drift: How many paths had drifted.
        held: How many deletions wait for approval.
    """

    def __init__(self) -> None:
        self.ever_settled = False
        self.troubles = (0, 0, 0)
        self.drift = 0
        self.held = 0


def settle(book: Ledger, told: Told, now_s: float) -> list[Command]:
    """Say what can be said: that an app may start, how the service stands.

    Args:
        book: The service.
        told: What was said of it.
        now_s: The time.
    """
    found = _settle_replicas(book)
    done = bool(book.replicas) and all(replica.synced for replica in book.replicas.values())
    if not done:
        book.stir()
        return found
    counts, drift = troubles(book), drift_count(book)
    news = counts != told.troubles or drift != told.drift
    if not book.is_shut and (not book.settled or news):
        found.append(_tell_settled(book, told, counts, drift, now_s))
    return found


def _settle_replicas(book: Ledger) -> list[Command]:
    found: list[Command] = []
    for replica in book.replicas.values():
        replica.synced = _is_done(book, replica)
        if replica.synced:
            replica.approved.clear()
        if replica.synced and not replica.started and not any(source.stopped for source in book.sources):
            replica.started, replica.in_parts = True, False
            found.append(commands.StartApp(replica.name))
    return found


def _tell_settled(book: Ledger, told: Told, counts: tuple[int, int, int], drift: int, now_s: float) -> commands.Settled:
    failed, skipped, held = told.troubles = counts
    told.drift = drift
    book.settled = True
    book.in_sync = not (failed or held or drift)
    first, told.ever_settled = not told.ever_settled, True
    tally, book.tally = book.tally, commands.Tally()
    return tally.settle(now_s, first=first, failed=failed, skipped=skipped, held=held, drifted=drift)


def _is_done(book: Ledger, replica: Replica) -> bool:
    if not (replica.up and all(replica.ready)) or replica.pending or replica.flights or replica.waiting:
        return False
    if not book.all_scanned:
        return False
    for root, source in enumerate(book.sources):
        if source.stopped or replica.known[root].digest == source.wanted.digest:
            continue
        # Only what is held, in trouble or drifted may differ; all else is planned again, not glossed over.
        excused = {path for at, path in (*replica.held, *replica.problems, *replica.drift) if at == root}
        if tree.equal_but_for(replica.known[root], source.wanted, excused):
            continue
        delta = tree.diff(replica.known[root], source.wanted)
        rest = [path for path in (*delta.put, *delta.gone) if path not in excused]
        if rest:
            replica.pending.update(dict.fromkeys((root, path) for path in rest))
            return False
    return True


def troubles(book: Ledger) -> tuple[int, int, int]:
    """Return how many paths failed, are skipped by policy, and are held. A stopped sync is one that failed."""
    failed = {key for replica in book.replicas.values() for key in replica.problems}
    skipped = 0
    for root, source in enumerate(book.sources):
        if source.stopped:
            failed.add((root, ""))
        for path, trouble in source.problems.items():
            if trouble.reason in _BY_POLICY:
                skipped += 1
            else:
                failed.add((root, path))
    held = {key for replica in book.replicas.values() for key in replica.held}
    return len(failed), skipped, len(held)


def drift_count(book: Ledger) -> int:
    """Return how many managed paths somebody else changed in some target."""
    return len({key for replica in book.replicas.values() for key in replica.drift})


def tell_held(book: Ledger, told: Told) -> list[Command]:
    """Say how many deletions wait, where that has changed."""
    replica = max(book.replicas.values(), key=lambda one: len(one.held), default=None)
    count = len(replica.held) if replica is not None else 0
    if count == told.held:
        return []
    told.held = count
    if replica is None or not count:
        return [commands.HoldChanged(0, 0, ())]
    names = tuple(path for _, path in itertools.islice(replica.held, 20))
    return [commands.HoldChanged(count, replica.managed_files(), names)]
