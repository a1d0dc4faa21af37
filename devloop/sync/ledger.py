"""What the engine knows of one service: what the laptop has, what each agent acked, what is on its way.

Values that change in small steps, and those steps. The engine's event methods write here what they are told; what
follows from it is decided in `dispatch`, `flights`, `reconcile` and `settling`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from devloop.core import ops, problem, tree
from devloop.core.entry import Entry
from devloop.protocol import messages
from devloop.sync import commands, planner
from devloop.sync.commands import Batch

# Deletions of the last so many seconds count together: `rm -rf` of a large tree comes in several bursts.
DELETION_WINDOW_S: Final = 10.0

_Key: TypeAlias = tuple[int, str]


class Source:
    """One sync's laptop side.

    Attributes:
        wanted: The laptop's tree.
        hidden: Paths that left the tree because the rules cover them now.
        begun: Some of the first scan was told, or all.
        scanned: The first scan is done.
        delete_extra: The sync says `extra: delete`.
        pulled: Whether the sync's `pull:` asks for a path: what is to come to the laptop is not deleted as extra.
        stopped: Why the folder cannot be trusted now; empty while it can.
        problems: The laptop's own trouble, by path.
    """

    def __init__(self, *, delete_extra: bool = False, pulled: Callable[[str], bool] = lambda path: False) -> None:
        self.wanted = tree.Tree()
        self.hidden: set[str] = set()
        self.begun = False
        self.scanned = False
        self.stopped = ""
        self.problems: dict[str, problem.Problem] = {}
        self.delete_extra = delete_extra
        self.pulled = pulled


class Replica:
    """One agent of the service, as far as it has acked.

    Attributes:
        name: The pod, or the local target's folder.
        met: Its link was open once. Before that there is nothing to note of it: `opened` finds out what it holds.
        up: Its link is open.
        ready: For each root: `known` is what is really there.
        known: For each root: what the agent holds for us.
        pending: Paths on which `wanted` and `known` may differ and nothing is on its way.
        flights: Batches under way, oldest first.
        held: Deletions that wait for approval, and what can only be put once they are carried out.
        approved: Deletions that the user, or a git operation that was seen, vouches for.
        problems: Ops that the agent could not carry out.
        waiting: Paths that are being looked at again before they are sent again.
        doubts: For each root: the manifests that were asked for since its digest last was what it should be. Not
            forgotten with the link, or an agent that is always wrong would be believed anew with each.
        litter: Extra paths that are to be deleted: nobody is told of it by a reload, because an app that makes them at
            its start would be started again and again.
        drift: Managed paths that somebody else changed in the target, with what is there; None where nothing is.
            They are left alone until the laptop changes them.
        extras: What a manifest found that is not managed, and what git lists, until the first scan can judge it.
        in_parts: Its folders were empty when the link was opened, and the last batch of its first sync was not sent.
        more_parts: Other batches may go before it: all that is to be done is to put what is new.
        synced: Everything is acked.
    """

    def __init__(self, name: str, roots: int) -> None:
        self.name = name
        self.met = False
        self.up = False
        self.ready = [False] * roots
        self.known = [tree.Tree() for _ in range(roots)]
        self.tree_ids = [""] * roots
        self.pending: dict[_Key, None] = {}
        self.flights: dict[int, Batch] = {}
        self.busy = planner.Busy()
        self.held: dict[_Key, ops.Op] = {}
        self.holding = planner.Busy()
        self.approved: set[_Key] = set()
        self.problems: dict[_Key, problem.Problem] = {}
        self.retries: dict[_Key, int] = {}
        self.waiting: dict[_Key, ops.Op] = {}
        self.forced: dict[_Key, ops.Op] = {}
        self.litter: set[_Key] = set()
        self.drift: dict[_Key, Entry | None] = {}
        self.extras: dict[int, tuple[Mapping[str, Entry], frozenset[str]]] = {}
        self.deleted: deque[tuple[float, int]] = deque()
        self.doubts = [0] * roots
        self.next_batch = messages.FIRST_NUMBER
        self.in_parts = False
        self.more_parts = False
        self.synced = False
        self.started = False

    def managed_files(self) -> int:
        """Return how many files the agent holds for us."""
        return sum(known.file_count() for known in self.known)

    def recent_deletions(self, now_s: float) -> int:
        """Return how many files were deleted in the window that ends now."""
        while self.deleted and self.deleted[0][0] < now_s - DELETION_WINDOW_S:
            self.deleted.popleft()
        return sum(count for _, count in self.deleted)

    def touch(self, root: int, path: str) -> None:
        """Take up that the laptop changed a path: all that was noted of it is outdated."""
        key = (root, path)
        self.pending[key] = None
        self.stop_waiting(key)
        self.release(key)
        self.approved.discard(key)
        self.problems.pop(key, None)
        self.forced.pop(key, None)
        self.litter.discard(key)
        self.drift.pop(key, None)

    def force(self, op: ops.Op) -> None:
        """Let an op go that does not follow from the two trees."""
        self.forced[op.root, op.path] = op
        self.pending[op.root, op.path] = None

    def wait(self, op: ops.Op) -> None:
        """Let a path be in the way of what depends on it, as if it were on its way still, until it is sent again."""
        self.waiting[op.root, op.path] = op
        self.busy.add(op)

    def stop_waiting(self, key: _Key) -> bool:
        """Let a path that is being looked at again block others no longer; say whether it was one."""
        op = self.waiting.pop(key, None)
        if op is not None:
            self.busy.remove(op)
        return op is not None

    def hold(self, op: ops.Op) -> None:
        """Let an op wait for approval."""
        self.held[op.root, op.path] = op
        self.holding.add(op)

    def release(self, key: _Key) -> ops.Op | None:
        """Let an op wait no longer, and return it; None where it does not."""
        op = self.held.pop(key, None)
        if op is not None:
            self.holding.remove(op)
        return op

    def forget_link(self) -> list[Batch]:
        """Forget what was on its way over a link that has ended, and what was found out over it.

        Returns:
            The batches that were under way: whether they were applied is to be found out.
        """
        flights = list(self.flights.values())
        self.flights.clear()
        self.busy = planner.Busy()
        self.pending.clear()
        self.problems.clear()
        self.retries.clear()
        self.waiting.clear()
        self.forced.clear()
        self.litter.clear()
        self.extras.clear()
        return flights


class Ledger:
    """One service.

    Attributes:
        sources: One for each sync.
        replicas: Its agents by name.
        paused: The user wants nothing to be sent.
        gate_closed: A build is about to change what there is to send.
        git: What is to be sent is the outcome of a git operation.
        tally: What happened since the service last settled.
        in_sync: Every replica has acked everything, its digest is ours, and no path is held or in trouble.
        settled: Nothing moves any more: in sync, or all that is left needs a person.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        self.replicas: dict[str, Replica] = {}
        self.paused = False
        self.gate_closed = False
        self.git = False
        self.tally = commands.Tally()
        self.in_sync = False
        self.settled = False

    @property
    def is_shut(self) -> bool:
        """Nothing may be sent."""
        return self.paused or self.gate_closed

    @property
    def all_scanned(self) -> bool:
        """Every sync's first scan is done, or will not be."""
        return all(source.scanned or source.stopped for source in self.sources)

    def met(self) -> list[Replica]:
        """Return the agents of which there is anything to note."""
        return [replica for replica in self.replicas.values() if replica.met]

    def stir(self) -> None:
        """Note that something moves, or may."""
        self.in_sync = self.settled = False


def apply(known: tree.Tree, op: ops.Op) -> None:
    """Change what an agent holds as an op does that it carried out."""
    if op.entry is None:
        known.remove(op.path)
    else:
        known.put(op.path, op.entry)
