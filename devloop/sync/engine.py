"""The sync engine of one service: events in, commands out.

The one object that the daemon calls. It does no I/O and knows no time but what it is told: the daemon feeds it scans,
acks and link changes, and carries out the commands that it returns. What it knows is in a `ledger.Ledger`; each method
writes there what it is told, then everything that follows is decided anew (`advance`): `dispatch` sends what can be
sent, `settling` says what can be said.

Rules that are kept here: "in sync" is said only when every replica acked everything and its digest is ours (rule
3); deletions beyond the bound are held while edits flow on (rule 5); a new identity or an unexpected digest means
reconciling from the manifest that is really there (rule 6); one broken path never stops the rest (rule 8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from devloop.core import ops, problem, tree
from devloop.core.entry import Entry
from devloop.protocol import messages
from devloop.sync import commands, dispatch, flights, reconcile, settling
from devloop.sync.commands import Command
from devloop.sync.ledger import Ledger, Replica, Source


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
        self._book = Ledger(sources)
        self._hooks = dispatch.Hooks(choose_hooks, calls_hooks)
        self._told = settling.Told()
        self.sources = self._book.sources
        self.replicas = self._book.replicas

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
        self._book.git = self._book.git or git
        touched = [*delta.put, *delta.gone]
        if touched:
            self._book.tally.begin(began_s if began_s is not None else now_s)
        for replica in self._book.met():
            # A path that was deleted and is back, but hidden, is touched too: its deletion may be held.
            for path in (*touched, *hidden):
                replica.touch(root, path)
            replica.approved.update(vouched)
            if delta.gone:
                # What takes the place of something must go with the deletions that make room for it.
                replica.more_parts = False
            if first and root in replica.extras:
                reconcile.judge_extras(source, replica, root, *replica.extras.pop(root))
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
        self._book.tally.begin(began_s)
        for replica in self._book.met():
            for path in delta.put:
                replica.touch(root, path)
        return self.advance(now_s)

    def stopped(self, root: int, reason: str) -> list[Command]:
        """Stop a sync whose folder cannot be trusted: nothing of it is sent until `trusted`."""
        self.sources[root].stopped = reason
        self._book.stir()
        return []

    def trusted(self, root: int, now_s: float) -> list[Command]:
        """Let a stopped sync go on."""
        self.sources[root].stopped = ""
        for replica in self.replicas.values():
            if replica.ready[root]:
                reconcile.pend_differences(self._book, replica, root, now_s)
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
        found = flights.drop_bodies(self.sources, replica, flight, indexes)
        return found + self.advance(now_s)

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
            self._book.stir()
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
        found = reconcile.opened(self._book, replica, roots, baselines, now_s)
        return found + self.advance(now_s)

    def closed(self, name: str) -> list[Command]:
        """Take up that a link ended. What was under way may or may not have been applied: `opened` finds out."""
        replica = self.replicas.get(name)
        if replica is None:
            return []
        replica.up = replica.synced = False
        self._book.stir()
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
        found = reconcile.take_manifest(self._book, replica, root, rows, listed, drifted or {}, now_s)
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
        reconcile.take_drift(self.sources[root], replica, root, rows)
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
        reconcile.take_litter(source, replica, root, found)
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
        found = flights.land(self._book, replica, flight, ack, troubles)
        return found + self.advance(now_s)

    # ---- the user's side ------------------------------------------------------------------------------------

    def pause(self) -> list[Command]:
        """Send nothing until `resume`; what is under way is finished."""
        self._book.paused = True
        self._book.stir()
        return []

    def resume(self, now_s: float) -> list[Command]:
        """Go on sending."""
        self._book.paused = False
        return self.advance(now_s)

    def close_gate(self) -> None:
        """Send nothing until `open_gate`: a build is about to change what there is to send."""
        self._book.gate_closed = True
        self._book.stir()

    def open_gate(self, now_s: float) -> list[Command]:
        """Send what was found meanwhile, as one batch."""
        self._book.gate_closed = False
        return self.advance(now_s)

    def pulled(self, name: str, root: int, path: str, entry: Entry, now_s: float) -> list[Command]:
        """Take up that the laptop now has a replica's own version of a path: it is managed there as it is."""
        replica = self.replicas[name]
        self.sources[root].wanted.put(path, entry)
        for other in self.replicas.values():
            other.touch(root, path)
        replica.force(ops.adopt(root, path, entry))
        return self.advance(now_s)

    def approve(self, now_s: float) -> list[Command]:
        """Let the held deletions go."""
        for replica in self.replicas.values():
            for key in list(replica.held):
                op = replica.release(key)
                assert op is not None
                replica.approved.add(key)
                replica.force(op)
        return self.advance(now_s)

    def retry(self, now_s: float) -> list[Command]:
        """Try again what the agents could not carry out: there may be space or the right to write by now."""
        for replica in self.replicas.values():
            replica.pending.update(dict.fromkeys(replica.problems))
            replica.problems.clear()
            replica.retries.clear()
        return self.advance(now_s)

    # ---- what follows ---------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """The user wants nothing to be sent."""
        return self._book.paused

    @property
    def in_sync(self) -> bool:
        """Every replica has acked everything, its digest is ours, and no path is held or in trouble."""
        return self._book.in_sync

    @property
    def settled(self) -> bool:
        """Nothing moves any more: in sync, or all that is left needs a person."""
        return self._book.settled

    def advance(self, now_s: float) -> list[Command]:
        """Send what can be sent, and say what can be said."""
        found = dispatch.send_all(self._book, self._hooks, now_s) + settling.settle(self._book, self._told, now_s)
        # Settling may find a difference that nobody noted; it is sent at once.
        found += dispatch.send_all(self._book, self._hooks, now_s)
        return found + settling.tell_held(self._book, self._told)

    def troubles(self) -> tuple[int, int, int]:
        """Return how many paths failed, are skipped by policy, and are held. A stopped sync is one that failed."""
        return settling.troubles(self._book)

    def drift_count(self) -> int:
        """Return how many managed paths somebody else changed in some target."""
        return settling.drift_count(self._book)
