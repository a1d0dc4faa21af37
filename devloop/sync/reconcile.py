"""What is really in a target, from what its agent says of it, and what follows from that.

An agent tells a digest when its link opens, a manifest when it is asked, drift when a sweep finds some. From these the
ledger gets what the agent holds (`known`), and what is to be looked at (`pending`); what is sent is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from devloop.core import ops, tree
from devloop.core.entry import Entry
from devloop.protocol import messages
from devloop.sync import commands, ledger, planner
from devloop.sync.commands import Batch, Command
from devloop.sync.ledger import Ledger, Replica, Source


def opened(
    book: Ledger,
    replica: Replica,
    roots: Sequence[messages.RootState],
    baselines: Mapping[int, tree.Tree],
    now_s: float,
) -> list[Command]:
    """Take up an open link: find out of each root what it holds, or ask.

    Args:
        book: The service.
        replica: The agent.
        roots: Its roots as its hello tells them.
        baselines: What was last acked for that identity, where it was stored.
        now_s: The time.
    """
    replica.met = replica.up = True
    replica.synced = replica.started = False
    replica.in_parts = replica.more_parts = all(state.fresh and state.empty for state in roots)
    flights = replica.forget_link()
    found: list[Command] = []
    for root, state in enumerate(roots):
        stored = baselines.get(root)
        known = _recognise(book.sources[root], replica, root, state, flights, stored)
        replica.tree_ids[root] = state.tree_id
        if known is None:
            replica.ready[root] = False
            found.append(commands.AskManifest(replica.name, root))
            continue
        if stored is None or stored.digest != known.digest:
            found.append(commands.ResetBaseline(replica.name, root, state.tree_id))
        replica.known[root] = known
        replica.ready[root] = True
        _revalidate(book.sources[root], replica, root)
        pend_differences(book, replica, root, now_s)
    book.stir()
    return found


def take_manifest(
    book: Ledger,
    replica: Replica,
    root: int,
    rows: Iterable[tuple[str, Entry, bool]],
    listed: frozenset[str],
    drifted: Mapping[str, Entry],
    now_s: float,
) -> list[Command]:
    """Take up what is really in a root; see `Engine.manifest`."""
    source = book.sources[root]
    managed: dict[str, Entry] = {}
    extra: dict[str, Entry] = {}
    for path, entry, mine in rows:
        (managed if mine else extra)[path] = entry
    replica.known[root] = tree.Tree(managed)
    replica.ready[root] = True
    _revalidate(source, replica, root)
    _note_drift(source, replica, root, drifted)
    pend_differences(book, replica, root, now_s)
    if source.scanned:
        judge_extras(source, replica, root, extra, listed)
    else:
        # Before the first scan the laptop seems to have nothing, which would make all of it look deleted.
        replica.extras[root] = (extra, listed)
    return [commands.ResetBaseline(replica.name, root, replica.tree_ids[root])]


def take_drift(source: Source, replica: Replica, root: int, rows: Sequence[tuple[str, Entry, Entry | None]]) -> None:
    """Take up all the drift that there is in a root.

    Args:
        source: The sync.
        replica: The agent.
        root: The root.
        rows: Path, what was shipped, and what is there now.
    """
    known, wanted = replica.known[root], source.wanted
    # What is no drift any more is as it was shipped again, and that is what the laptop still has.
    for key in [key for key in replica.drift if key[0] == root and key not in replica.busy]:
        shipped = wanted.get(key[1])
        if shipped is not None:
            known.put(key[1], shipped)
    for path, _, now in rows:
        if (root, path) in replica.busy or (root, path) in replica.pending:
            continue
        if now is None:
            known.remove(path)
        else:
            known.put(path, now)
    _note_drift(source, replica, root, {path: was for path, was, _ in rows})


def take_litter(source: Source, replica: Replica, root: int, found: Iterable[str]) -> None:
    """Let extra paths be deleted; see `Engine.littered`."""
    known = replica.known[root]
    for path in found:
        key = (root, path)
        # What the laptop has by now is on its way there; what the rules hide is still on its disk.
        mine = path in source.wanted or path in known or path in source.hidden or source.pulled(path)
        if not (mine or key in replica.busy or key in replica.held or key in replica.problems):
            replica.force(ops.delete(root, path))
            replica.litter.add(key)


def pend_differences(book: Ledger, replica: Replica, root: int, now_s: float) -> None:
    """Note what differs in a root, unless it waits for a person."""
    delta = tree.diff(replica.known[root], book.sources[root].wanted)
    for path in (*delta.put, *delta.gone):
        if (root, path) not in replica.held and (root, path) not in replica.drift:
            replica.pending[root, path] = None
    if delta:
        book.tally.begin(now_s)


def judge_extras(
    source: Source, replica: Replica, root: int, extra: Mapping[str, Entry], listed: frozenset[str]
) -> None:
    """Decide what becomes of what is in a root although devloop did not ship it; see `planner.reconcile`."""
    # What the rules hide is still on the laptop's disk, whatever git lists.
    judged = {path: there for path, there in extra.items() if path not in source.hidden}
    for op in planner.reconcile(root, source.wanted, judged, listed=listed, delete_extra=source.delete_extra):
        if op.action is ops.Action.DELETE and op.path not in listed and source.pulled(op.path):
            continue
        replica.force(op)


def _recognise(
    source: Source,
    replica: Replica,
    root: int,
    state: messages.RootState,
    flights: Sequence[Batch],
    baseline: tree.Tree | None,
) -> tree.Tree | None:
    """Return the tree that the agent's digest stands for, or None where only its manifest can tell."""
    if state.fresh:
        return tree.Tree() if state.empty else None
    if replica.tree_ids[root] == state.tree_id:
        # The acks of some batches may have been lost with the link: they were applied one after the other.
        known = replica.known[root].copy()
        if known.digest == state.digest:
            return known
        for flight in flights:
            for index, op in enumerate(flight.ops):
                if op.root == root and index not in flight.cancelled:
                    ledger.apply(known, op)
            if known.digest == state.digest:
                return known
    if source.wanted.digest == state.digest:
        return source.wanted.copy()
    if baseline is not None and baseline.digest == state.digest:
        return baseline
    return None


def _revalidate(source: Source, replica: Replica, root: int) -> None:
    """Drop what was noted of a root before it was known what is really there, as far as that has changed."""
    known = replica.known[root]
    for key in [key for key in replica.held if key[0] == root]:
        op = replica.held[key]
        if op.entry is not None or op.path in source.wanted or op.path not in known:
            replica.release(key)
    for noted in (replica.problems, replica.retries, replica.forced):
        for key in [key for key in noted if key[0] == root]:
            del noted[key]


def _note_drift(source: Source, replica: Replica, root: int, shipped: Mapping[str, Entry]) -> None:
    """Keep the drift of a root: what differs from what was shipped, where the laptop still has that."""
    known, wanted = replica.known[root], source.wanted
    for key in [key for key in replica.drift if key[0] == root]:
        del replica.drift[key]
    for path, was in shipped.items():
        if wanted.get(path) == was and known.get(path) != was and (root, path) not in replica.busy:
            replica.drift[root, path] = known.get(path)
