"""The sync engine of one service: events in, commands out.

It holds what the laptop has (`wanted`, one tree per sync), what each agent has acked (`known`, per replica), and
what is on its way; from these it decides which batch goes when, what is held, and when the service is in sync. It
does no I/O and knows no time but what it is told: the daemon feeds it scans, acks and link changes, and carries out
the commands that it returns.

Rules that are kept here: "in sync" is said only when every replica acked everything and its digest is ours (rule
3); deletions beyond the bound are held while edits flow on (rule 5); a new identity or an unexpected digest means
reconciling from the manifest that is really there (rule 6); one broken path never stops the rest (rule 8).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from devloop.core import ops, problem, tree
from devloop.core.entry import Entry
from devloop.protocol import messages
from devloop.sync import commands, planner
from devloop.sync.commands import Batch, Command

# Batches that may be under way to one replica; what comes beyond that is gathered into the next one.
MAX_FLIGHTS: Final = 8

# A first sync into an empty target goes in parts, so that reading, sending and applying overlap. Three may be under
# way: one is applied, one is on the wire, one is read.
MAX_PARTS: Final = 3
PART_OPS: Final = 512
PART_BYTES: Final = 8 * 1024 * 1024

# Deletions of the last so many seconds count together: `rm -rf` of a large tree comes in several bursts.
DELETION_WINDOW_S: Final = 10.0

# From so many ops on, copying a whole tree is cheaper than hashing their entries one by one.
LARGE_OPS: Final = 1000

# How often a path is sent again after it changed while it was read, before it becomes a problem.
MAX_RETRIES: Final = 5

# How many manifests of a root are asked for in a row because an ack's digest was wrong; one sets an honest agent right.
MAX_DOUBTS: Final = 3

# A batch whose bodies are not more than this may use the reserve that bulk transfers leave free.
URGENT_BYTES: Final = 64 * 1024

# Trouble that is no failure: devloop says that it does not ship these, and the rest is in sync all the same.
_BY_POLICY: Final = frozenset({problem.Reason.SPECIAL, problem.Reason.LINK_ESCAPES})


# Trouble that goes away when the path is looked at and sent again.
_PASSING: Final = frozenset({problem.Reason.CHANGED_IN_TRANSIT, problem.Reason.UNSTABLE})

# Ops that change what the app sees.
_DISTURBING: Final = frozenset({ops.Action.PUT, ops.Action.DELETE})


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
        self.up = False
        self.ready = [False] * roots
        self.known = [tree.Tree() for _ in range(roots)]
        self.tree_ids = [""] * roots
        self.pending: dict[tuple[int, str], None] = {}
        self.flights: dict[int, Batch] = {}
        self.busy = planner.Busy()
        self.held: dict[tuple[int, str], ops.Op] = {}
        self.holding = planner.Busy()
        self.approved: set[tuple[int, str]] = set()
        self.problems: dict[tuple[int, str], problem.Problem] = {}
        self.retries: dict[tuple[int, str], int] = {}
        self.waiting: dict[tuple[int, str], ops.Op] = {}
        self.forced: dict[tuple[int, str], ops.Op] = {}
        self.litter: set[tuple[int, str]] = set()
        self.drift: dict[tuple[int, str], Entry | None] = {}
        self.extras: dict[int, tuple[dict[str, Entry], frozenset[str]]] = {}
        self.deleted: deque[tuple[float, int]] = deque()
        self.findings: dict[int, messages.Findings] = {}
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

    def stop_waiting(self, key: tuple[int, str]) -> bool:
        """Let a path that is being looked at again block others no longer; say whether it was one."""
        op = self.waiting.pop(key, None)
        if op is not None:
            self.busy.remove(op)
        return op is not None

    def hold(self, op: ops.Op) -> None:
        """Let an op wait for approval."""
        self.held[op.root, op.path] = op
        self.holding.add(op)

    def release(self, key: tuple[int, str]) -> ops.Op | None:
        """Let an op wait no longer, and return it; None where it does not."""
        op = self.held.pop(key, None)
        if op is not None:
            self.holding.remove(op)
        return op


class Engine:
    """The state of one service. Every method returns the commands that follow from it.

    Args:
        sources: One for each sync, in the order of the configuration.
        choose_hooks: Which hooks a batch's ops call for.
        calls_hooks: Whether an op calls for any, on either side.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        choose_hooks: Callable[[Sequence[ops.Op]], tuple[messages.HookSpec, ...]],
        calls_hooks: Callable[[ops.Op], bool] = lambda _: False,
    ) -> None:
        self.sources = list(sources)
        self.replicas: dict[str, Replica] = {}
        self.paused = False
        self._gate_closed = False
        self._choose_hooks = choose_hooks
        self._calls_hooks = calls_hooks
        self._git = False
        self._tally = commands.Tally()
        self._in_sync = False
        self._settled = False
        self._ever_settled = False
        self._told_troubles = (0, 0, 0)
        self._told_drift = 0
        self._told_held = 0

    # ---- the laptop's side ----------------------------------------------------------------------------------

    def scanned(
        self,
        root: int,
        delta: tree.TreeDelta,
        now_s: float,
        *,
        hidden: Iterable[str] = (),
        approved: Iterable[str] = (),
        git: bool = False,
        began_s: float | None = None,
    ) -> list[Command]:
        """Take up what a scan found.

        Args:
            root: The sync's number.
            delta: How its tree changed.
            now_s: The time.
            hidden: Those of `delta.gone` that are still on the disk, covered by the rules now. At the first scan,
                those of the paths that a baseline or an agent knows: the rules may have changed while nobody watched.
            approved: Paths whose deletion a git operation vouches for.
            git: The changes are the outcome of a git operation: one batch, one reload.
            began_s: When the first of the changes was seen.
        """
        source, hidden = self.sources[root], tuple(hidden)
        source.wanted.apply(delta)
        source.hidden.update(hidden)
        source.hidden.difference_update(delta.put)
        first, source.scanned = not source.scanned, True
        source.begun = True
        vouched = [(root, path) for path in approved]
        self._git = self._git or git
        touched = [*delta.put, *delta.gone]
        if touched:
            self._tally.begin(began_s if began_s is not None else now_s)
        for replica in self.replicas.values():
            # A path that was deleted and is back, but hidden, is touched too: its deletion may be held.
            for path in (*touched, *hidden):
                self._touch(replica, root, path)
            replica.approved.update(vouched)
            if delta.gone:
                # What takes the place of something must go with the deletions that make room for it.
                replica.more_parts = False
            if first and root in replica.extras:
                self._reconcile(replica, root, *replica.extras.pop(root))
        return self.advance(now_s)

    def growing(self, root: int, delta: tree.TreeDelta, now_s: float, *, began_s: float) -> list[Command]:
        """Take up a part of what the first scan finds; the rest comes with `scanned`.

        What it puts may go to a replica whose folder was empty when its link was opened. Nothing can be missing there,
        so nothing is deleted before the whole is known.

        Args:
            root: The sync's number.
            delta: What was found; nothing is gone.
            now_s: The time.
            began_s: When the scan began.
        """
        source = self.sources[root]
        source.wanted.apply(delta)
        source.begun = True
        self._tally.begin(began_s)
        for replica in self.replicas.values():
            for path in delta.put:
                self._touch(replica, root, path)
        return self.advance(now_s)

    def stopped(self, root: int, reason: str) -> list[Command]:
        """Stop a sync whose folder cannot be trusted: nothing of it is sent until `trusted`."""
        self.sources[root].stopped = reason
        self._in_sync = self._settled = False
        return []

    def trusted(self, root: int, now_s: float) -> list[Command]:
        """Let a stopped sync go on."""
        self.sources[root].stopped = ""
        for replica in self.replicas.values():
            if replica.ready[root]:
                self._pend_differences(replica, root, now_s)
                replica.pending.update(dict.fromkeys(key for key in replica.forced if key[0] == root))
        return self.advance(now_s)

    def body_changed(self, name: str, number: int, indexes: Iterable[int], now_s: float) -> list[Command]:
        """Take up that ops' bodies will not come: the file changed, vanished, or is wanted no more.

        Args:
            name: The replica.
            number: The batch.
            indexes: The ops' numbers within it.
            now_s: The time.
        """
        replica = self.replicas.get(name)
        flight = replica.flights.get(number) if replica is not None else None
        if replica is None or flight is None:
            return []
        again: dict[int, list[str]] = {}
        # What is told twice counts once: by then the path may be on its way again, in a later batch.
        for index in {*indexes} - flight.cancelled:
            op = flight.ops[index]
            flight.cancelled.add(index)
            replica.busy.remove(op)
            if self.sources[op.root].wanted.get(op.path) == op.entry:
                # The disk has moved on and the tree has not: look before sending again.
                trouble = problem.Problem(op.path, problem.Reason.UNSTABLE, "changed each time it was read")
                self._failed(replica, op, trouble, again)
            else:
                replica.pending[op.root, op.path] = None
        return [*_rescans(again), *self.advance(now_s)]

    def rescanned(self, root: int, paths: Iterable[str], now_s: float) -> list[Command]:
        """Take up that a `Rescan` was carried out, and what it found was told by `scanned`."""
        seen = [(root, path) for path in paths]
        for replica in self.replicas.values():
            for key in seen:
                if replica.stop_waiting(key):
                    replica.pending[key] = None
        return self.advance(now_s)

    # ---- the agents' side -----------------------------------------------------------------------------------

    def expected(self, name: str) -> list[Command]:
        """Take up that there is such a replica, although no link to it is open yet: without it nothing is in sync."""
        if name not in self.replicas:
            self.replicas[name] = Replica(name, len(self.sources))
            self._in_sync = self._settled = False
        return []

    def opened(
        self, name: str, roots: Sequence[messages.RootState], baselines: Mapping[int, tree.Tree], now_s: float
    ) -> list[Command]:
        """Take up an open link.

        Args:
            name: The replica.
            roots: The agent's roots as its hello tells them.
            baselines: What was last acked for that identity, where it was stored.
            now_s: The time.
        """
        replica = self.replicas.setdefault(name, Replica(name, len(self.sources)))
        replica.up, replica.synced, replica.started = True, False, False
        replica.in_parts = replica.more_parts = all(state.fresh and state.empty for state in roots)
        flights = list(replica.flights.values())
        replica.flights.clear()
        replica.busy = planner.Busy()
        replica.pending.clear()
        replica.problems.clear()
        replica.retries.clear()
        replica.waiting.clear()
        replica.forced.clear()
        replica.litter.clear()
        replica.extras.clear()
        found: list[Command] = []
        for root, state in enumerate(roots):
            stored = baselines.get(root)
            known = self._recognise(replica, root, state, flights, stored)
            replica.tree_ids[root] = state.tree_id
            if known is None:
                replica.ready[root] = False
                found.append(commands.AskManifest(name, root))
                continue
            if stored is None or stored.digest != known.digest:
                found.append(commands.ResetBaseline(name, root, state.tree_id))
            replica.known[root] = known
            replica.ready[root] = True
            self._revalidate(replica, root)
            self._pend_differences(replica, root, now_s)
        self._in_sync = self._settled = False
        return found + self.advance(now_s)

    def closed(self, name: str) -> list[Command]:
        """Take up that a link ended. What was under way may or may not have been applied: `opened` finds out."""
        replica = self.replicas.get(name)
        if replica is None:
            return []
        replica.up = replica.synced = False
        self._in_sync = self._settled = False
        return []

    def removed(self, name: str, now_s: float) -> list[Command]:
        """Forget a replica that is gone for good."""
        self.replicas.pop(name, None)
        return self.advance(now_s)

    def manifest(
        self,
        name: str,
        root: int,
        rows: Iterable[tuple[str, Entry, bool]],
        listed: frozenset[str],
        now_s: float,
        *,
        drifted: Mapping[str, Entry] | None = None,
    ) -> list[Command]:
        """Take up what is really in the target.

        Args:
            name: The replica.
            root: The root.
            rows: Path, entry, and whether devloop manages it.
            listed: Paths that git's HEAD or index lists.
            now_s: The time.
            drifted: What was shipped, for each managed path that somebody else changed or removed since.
        """
        replica = self.replicas.get(name)
        if replica is None:
            return []
        managed: dict[str, Entry] = {}
        extra: dict[str, Entry] = {}
        for path, entry, mine in rows:
            (managed if mine else extra)[path] = entry
        replica.known[root] = tree.Tree(managed)
        replica.ready[root] = True
        self._revalidate(replica, root)
        self._note_drift(replica, root, drifted or {})
        self._pend_differences(replica, root, now_s)
        if self.sources[root].scanned:
            self._reconcile(replica, root, extra, listed)
        else:
            # Before the first scan the laptop seems to have nothing, which would make all of it look deleted.
            replica.extras[root] = (extra, listed)
        found: list[Command] = [commands.ResetBaseline(name, root, replica.tree_ids[root])]
        return found + self.advance(now_s)

    def drifted(
        self, name: str, root: int, rows: Sequence[tuple[str, Entry, Entry | None]], now_s: float, *, whole: bool
    ) -> list[Command]:
        """Take up what a sweep found: managed paths that somebody else changed.

        Args:
            name: The replica.
            root: The root.
            rows: Path, what was shipped, and what is there now.
            now_s: The time.
            whole: The rows are all there are; else only the manifest can tell.
        """
        replica = self.replicas.get(name)
        if replica is None or not (replica.up and replica.ready[root]):
            return []
        if not whole:
            replica.ready[root] = False
            return [commands.AskManifest(name, root)] if not replica.flights else []
        known, wanted = replica.known[root], self.sources[root].wanted
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
        self._note_drift(replica, root, {path: was for path, was, _ in rows})
        return self.advance(now_s)

    def littered(self, name: str, root: int, found: Iterable[str], now_s: float) -> list[Command]:
        """Take up what a sweep found that devloop never shipped: it is deleted where the sync says `extra: delete`.

        Args:
            name: The replica.
            root: The root.
            found: Paths that are neither managed nor protected.
            now_s: The time.
        """
        replica, source = self.replicas.get(name), self.sources[root]
        if replica is None or not (source.delete_extra and source.scanned and replica.up and replica.ready[root]):
            return []
        known = replica.known[root]
        for path in found:
            key = (root, path)
            # What the laptop has by now is on its way there; what the rules hide is still on its disk.
            mine = path in source.wanted or path in known or path in source.hidden or source.pulled(path)
            if not (mine or key in replica.busy or key in replica.held or key in replica.problems):
                replica.forced[key] = ops.delete(root, path)
                replica.pending[key] = None
                replica.litter.add(key)
        return self.advance(now_s)

    def acked(
        self, name: str, ack: messages.Ack, troubles: Mapping[tuple[int, str], problem.Problem], now_s: float
    ) -> list[Command]:
        """Take up that a batch was applied.

        Args:
            name: The replica.
            ack: The agent's word.
            troubles: The ack's problems, by root and path.
            now_s: The time.
        """
        replica = self.replicas.get(name)
        flight = replica.flights.pop(ack.batch, None) if replica is not None else None
        if replica is None or flight is None:
            return []
        deltas = _Deltas()
        again: dict[int, list[str]] = {}
        equal = self._take_equal(replica, flight, ack)
        for index, op in enumerate(flight.ops):
            if index in flight.cancelled:
                continue
            replica.busy.remove(op)
            trouble = troubles.get((op.root, op.path))
            if ack.refused:
                # An agent refuses a whole batch only for want of space.
                trouble = problem.Problem(op.path, problem.Reason.NO_SPACE, ack.refused, problem.Side.POD)
            if trouble is not None:
                self._failed(replica, op, trouble, again)
                continue
            replica.problems.pop((op.root, op.path), None)
            replica.retries.pop((op.root, op.path), None)
            if op.root not in equal:
                _apply(replica.known[op.root], op)
            deltas.add(op)
            self._tally.acked(op)
        found = deltas.commands(name)
        found += _rescans(again)
        for root, digest in enumerate(ack.digests):
            if digest != replica.known[root].digest:
                replica.ready[root] = False
            else:
                replica.doubts[root] = 0
        if not replica.flights:
            # Only now: an ack that came between the question and its answer would make the answer outdated.
            found += [_doubt(replica, root) for root, ready in enumerate(replica.ready) if not ready]
        return found + self.advance(now_s)

    # ---- the user's side ------------------------------------------------------------------------------------

    def pause(self) -> list[Command]:
        """Send nothing until `resume`; what is under way is finished."""
        self.paused = True
        self._in_sync = self._settled = False
        return []

    def resume(self, now_s: float) -> list[Command]:
        """Go on sending."""
        self.paused = False
        return self.advance(now_s)

    def close_gate(self) -> None:
        """Send nothing until `open_gate`: a build is about to change what there is to send."""
        self._gate_closed = True
        self._in_sync = self._settled = False

    def open_gate(self, now_s: float) -> list[Command]:
        """Send what was found meanwhile, as one batch."""
        self._gate_closed = False
        return self.advance(now_s)

    def pulled(self, name: str, root: int, path: str, entry: Entry, now_s: float) -> list[Command]:
        """Take up that the laptop now has a replica's own version of a path: it is managed there as it is."""
        replica = self.replicas[name]
        self.sources[root].wanted.put(path, entry)
        for other in self.replicas.values():
            self._touch(other, root, path)
        replica.forced[root, path] = ops.adopt(root, path, entry)
        return self.advance(now_s)

    def approve(self, now_s: float) -> list[Command]:
        """Let the held deletions go."""
        for replica in self.replicas.values():
            for key in list(replica.held):
                op = replica.release(key)
                assert op is not None
                replica.approved.add(key)
                replica.forced[key] = op
                replica.pending[key] = None
        return self.advance(now_s)

    def retry(self, now_s: float) -> list[Command]:
        """Try again what the agents could not carry out: there may be space or the right to write by now."""
        for replica in self.replicas.values():
            replica.pending.update(dict.fromkeys(replica.problems))
            replica.problems.clear()
            replica.retries.clear()
        return self.advance(now_s)

    # ---- deciding -------------------------------------------------------------------------------------------

    @property
    def in_sync(self) -> bool:
        """Every replica has acked everything, its digest is ours, and no path is held or in trouble."""
        return self._in_sync

    @property
    def settled(self) -> bool:
        """Nothing moves any more: in sync, or all that is left needs a person."""
        return self._settled

    def advance(self, now_s: float) -> list[Command]:
        """Send what can be sent, and say what can be said."""
        found = self._dispatch_all(now_s) + self._settle(now_s)
        # Settling may find a difference that nobody noted; it is sent at once.
        return found + self._dispatch_all(now_s) + self._tell_held()

    def _dispatch_all(self, now_s: float) -> list[Command]:
        if self.paused or self._gate_closed:
            return []
        found: list[Command] = []
        for replica in self.replicas.values():
            if not (replica.up and replica.pending and all(replica.ready)):
                continue
            if replica.in_parts:
                found += self._dispatch_parts(replica, now_s)
            if not replica.in_parts and self._all_scanned:
                found += self._dispatch(replica, now_s)
        if all(not replica.pending or not replica.up for replica in self.replicas.values()):
            self._git = False
        return found

    @property
    def _all_scanned(self) -> bool:
        return all(source.scanned or source.stopped for source in self.sources)

    def _dispatch_parts(self, replica: Replica, now_s: float) -> list[Command]:
        """Send parts of a first sync into an empty target, until what is left is the last one.

        Parts bring neither hooks nor a reload: the last batch does, when all others are acked. What calls for a hook
        waits for it, so that an interruption never leaves everything in its place and nothing run.
        """
        found = self._cancel_outdated(replica)
        while replica.more_parts and len(replica.flights) < MAX_PARTS:
            part, is_last = self._next_part(replica)
            if is_last:
                # It stays behind while the laptop is being looked at, or there might be no last one.
                replica.more_parts = not self._all_scanned
                break
            for op in part:
                del replica.pending[op.root, op.path]
            found += self._send(replica, part, now_s, is_part=True)
        replica.in_parts = replica.more_parts or bool(replica.flights)
        return found

    def _next_part(self, replica: Replica) -> tuple[list[ops.Op], bool]:
        """Return what can go before the rest, and whether there is nothing beyond it."""
        part: list[ops.Op] = []
        size_bytes = 0
        for op in self._candidates(replica):
            if len(part) >= PART_OPS or size_bytes >= PART_BYTES:
                return part, False
            if op.action is ops.Action.PUT and not replica.busy.blocks(op) and not self._calls_hooks(op):
                part.append(op)
                size_bytes += op.body_bytes
        return part, True

    def _dispatch(self, replica: Replica, now_s: float) -> list[Command]:
        found = self._cancel_outdated(replica)
        if len(replica.flights) >= MAX_FLIGHTS:
            return found
        plan = planner.make(
            list(self._candidates(replica)),
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
        self._note_deletions(replica, plan.flow, now_s)
        return found + self._send(replica, plan.flow, now_s)

    def _send(self, replica: Replica, flow: Sequence[ops.Op], now_s: float, *, is_part: bool = False) -> list[Command]:
        found: list[Command] = []
        first = not replica.started
        for chosen in planner.split(flow, whole=self._git or first):
            changes = [op for op in chosen if op.action in _DISTURBING and (op.root, op.path) not in replica.litter]
            batch = Batch(
                number=replica.next_batch,
                ops=chosen,
                hooks=() if is_part else self._choose_hooks(changes),
                # Until the first sync is complete the app is not disturbed by what overtakes it; nor is it ever by
                # what only changes hands.
                reload=bool(changes) and not is_part and not (first and replica.flights),
                urgent=sum(op.body_bytes for op in chosen) <= URGENT_BYTES,
                git=self._git,
                began_s=now_s if self._tally.began_s is None else self._tally.began_s,
            )
            replica.next_batch += 1
            replica.flights[batch.number] = batch
            for op in chosen:
                replica.busy.add(op)
                replica.forced.pop((op.root, op.path), None)
                replica.litter.discard((op.root, op.path))
            found.append(commands.Send(replica.name, batch))
        if found:
            replica.synced = self._in_sync = self._settled = False
        return found

    def _note_deletions(self, replica: Replica, flow: Sequence[ops.Op], now_s: float) -> None:
        keys = [(op.root, op.path) for op in flow if op.action is ops.Action.DELETE]
        unasked = sum(1 for key in keys if key not in replica.approved)
        if unasked:
            replica.deleted.append((now_s, unasked))

    def _candidates(self, replica: Replica) -> Iterator[ops.Op]:
        for root, path in replica.pending:
            source = self.sources[root]
            if source.stopped:
                continue
            forced = replica.forced.get((root, path))
            if forced is not None and source.wanted.get(path) == forced.entry:
                yield forced
            else:
                yield from planner.changes(root, source.wanted, replica.known[root], (path,), source.hidden)

    def _cancel_outdated(self, replica: Replica) -> list[Command]:
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
                and self.sources[root].wanted.get(path) != flight.ops[index].entry
            )
            if outdated:
                flight.asked.update(outdated)
                found.append(commands.CancelBodies(replica.name, flight.number, outdated))
        return found

    def _settle(self, now_s: float) -> list[Command]:
        found: list[Command] = []
        for replica in self.replicas.values():
            replica.synced = self._is_done(replica)
            if replica.synced:
                replica.approved.clear()
            if replica.synced and not replica.started and not any(source.stopped for source in self.sources):
                replica.started, replica.in_parts = True, False
                found.append(commands.StartApp(replica.name))
        done = bool(self.replicas) and all(replica.synced for replica in self.replicas.values())
        troubles = self.troubles() if done else self._told_troubles
        drift = self.drift_count() if done else self._told_drift
        news = troubles != self._told_troubles or drift != self._told_drift
        if not done:
            self._settled = self._in_sync = False
        elif not (self.paused or self._gate_closed) and (not self._settled or news):
            failed, skipped, held = self._told_troubles = troubles
            self._told_drift = drift
            self._settled = True
            self._in_sync = not (failed or held or drift)
            found.append(
                self._tally.settle(
                    now_s,
                    first=not self._ever_settled,
                    failed=failed,
                    skipped=skipped,
                    held=held,
                    drifted=drift,
                )
            )
            self._ever_settled = True
            self._tally = commands.Tally()
        return found

    def _is_done(self, replica: Replica) -> bool:
        if not (replica.up and all(replica.ready)) or replica.pending or replica.flights or replica.waiting:
            return False
        if not self._all_scanned:
            return False
        for root, source in enumerate(self.sources):
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

    def troubles(self) -> tuple[int, int, int]:
        """Return how many paths failed, are skipped by policy, and are held. A stopped sync is one that failed."""
        failed = {key for replica in self.replicas.values() for key in replica.problems}
        skipped = 0
        for root, source in enumerate(self.sources):
            if source.stopped:
                failed.add((root, ""))
            for path, trouble in source.problems.items():
                if trouble.reason in _BY_POLICY:
                    skipped += 1
                else:
                    failed.add((root, path))
        held = {key for replica in self.replicas.values() for key in replica.held}
        return len(failed), skipped, len(held)

    def drift_count(self) -> int:
        """Return how many managed paths somebody else changed in some target."""
        return len({key for replica in self.replicas.values() for key in replica.drift})

    # ---- small steps ----------------------------------------------------------------------------------------

    def _touch(self, replica: Replica, root: int, path: str) -> None:
        key = (root, path)
        replica.pending[key] = None
        replica.stop_waiting(key)
        replica.release(key)
        replica.approved.discard(key)
        replica.problems.pop(key, None)
        replica.forced.pop(key, None)
        replica.litter.discard(key)
        replica.drift.pop(key, None)

    def _note_drift(self, replica: Replica, root: int, shipped: Mapping[str, Entry]) -> None:
        """Keep the drift of a root: what differs from what was shipped, where the laptop still has that."""
        known, wanted = replica.known[root], self.sources[root].wanted
        for key in [key for key in replica.drift if key[0] == root]:
            del replica.drift[key]
        for path, was in shipped.items():
            if wanted.get(path) == was and known.get(path) != was and (root, path) not in replica.busy:
                replica.drift[root, path] = known.get(path)

    def _revalidate(self, replica: Replica, root: int) -> None:
        """Drop what was noted of a root before it was known what is really there, as far as that has changed."""
        known, wanted = replica.known[root], self.sources[root].wanted
        for key in [key for key in replica.held if key[0] == root]:
            op = replica.held[key]
            if op.entry is not None or op.path in wanted or op.path not in known:
                replica.release(key)
        for noted in (replica.problems, replica.retries, replica.forced):
            for key in [key for key in noted if key[0] == root]:
                del noted[key]

    def _reconcile(self, replica: Replica, root: int, extra: Mapping[str, Entry], listed: frozenset[str]) -> None:
        source = self.sources[root]
        # What the rules hide is still on the laptop's disk, whatever git lists.
        judged = {path: there for path, there in extra.items() if path not in source.hidden}
        for op in planner.reconcile(root, source.wanted, judged, listed=listed, delete_extra=source.delete_extra):
            if op.action is ops.Action.DELETE and op.path not in listed and source.pulled(op.path):
                continue
            replica.forced[op.root, op.path] = op
            replica.pending[op.root, op.path] = None

    def _tell_held(self) -> list[Command]:
        """Say how many deletions wait, where that has changed."""
        replica = max(self.replicas.values(), key=lambda one: len(one.held), default=None)
        count = len(replica.held) if replica is not None else 0
        if count == self._told_held:
            return []
        self._told_held = count
        if replica is None or not count:
            return [commands.HoldChanged(0, 0, ())]
        names = tuple(path for _, path in itertools.islice(replica.held, 20))
        return [commands.HoldChanged(count, replica.managed_files(), names)]

    def _pend_differences(self, replica: Replica, root: int, now_s: float) -> None:
        delta = tree.diff(replica.known[root], self.sources[root].wanted)
        for path in (*delta.put, *delta.gone):
            if (root, path) not in replica.held and (root, path) not in replica.drift:
                replica.pending[root, path] = None
        if delta:
            self._tally.begin(now_s)

    def _take_equal(self, replica: Replica, flight: Batch, ack: messages.Ack) -> set[int]:
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
            if digest == self.sources[root].wanted.digest != replica.known[root].digest
        }
        for root in equal:
            replica.known[root] = self.sources[root].wanted.copy()
        return equal

    def _failed(self, replica: Replica, op: ops.Op, trouble: problem.Problem, again: dict[int, list[str]]) -> None:
        key = (op.root, op.path)
        tries = replica.retries.get(key, 0) + 1
        replica.retries[key] = tries
        if trouble.reason in _PASSING and tries <= MAX_RETRIES:
            again.setdefault(op.root, []).append(op.path)
            # Until it was sent again it is in the way of what depends on it, as if it were on its way still.
            replica.waiting[key] = op
            replica.busy.add(op)
        else:
            replica.problems[key] = trouble

    def _recognise(
        self,
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
                        _apply(known, op)
                if known.digest == state.digest:
                    return known
        wanted = self.sources[root].wanted
        if wanted.digest == state.digest:
            return wanted.copy()
        if baseline is not None and baseline.digest == state.digest:
            return baseline
        return None


def _apply(known: tree.Tree, op: ops.Op) -> None:
    if op.entry is None:
        known.remove(op.path)
    else:
        known.put(op.path, op.entry)


def _doubt(replica: Replica, root: int) -> Command:
    """Return what follows from a digest that is not what it should be."""
    replica.doubts[root] += 1
    if replica.doubts[root] > MAX_DOUBTS:
        return commands.Distrust(replica.name, root)
    return commands.AskManifest(replica.name, root)


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
