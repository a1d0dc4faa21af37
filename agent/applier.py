"""Takes batches from the laptop and makes them true in the roots: staged, verified, journalled, then carried out.

A batch is opened with its ops, gets their bodies, and is committed as one. Until then nothing outside the stage folders
changes, so a link that goes away, or a disk that fills up, leaves the old tree whole. From the moment the journal holds
the batch it will be finished, if not by this process then by the next (`Applier.recover`).

All of it is synchronous and belongs to one worker thread of the agent. What the peer must not do raises
`RemoteProtocolError`; what one path cannot have is a `Problem`; what the whole agent cannot do is an `AgentError`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Self

import msgspec

from agent import intake, journal, placer, staging, store
from agent.roots import Root
from devloop import errors
from devloop.core import delta, entry, ops, order, paths, problem
from devloop.fs import atomic, dirfd

Problems = tuple[tuple[int, problem.Problem], ...]

# A file larger than this is never the base of a delta: the window of its compression is 16 MiB.
MAX_BASE_BYTES: Final = 16 * 1024 * 1024

# What carrying out a batch may need on the disk beyond the staged bodies: a block for each new folder, and the rows in
# journal and manifest. Checked before the journal is written, because a batch is not stopped after that.
_BLOCK_BYTES: Final = 4096
_ROW_BYTES: Final = 512
_SPARE_BYTES: Final = 64 * 1024


# Replaced files that wait to be removed hold no more than about this, if the caller never tidies up.
_GARBAGE_BYTES: Final = 64 * 1024 * 1024


class Applied(msgspec.Struct, frozen=True):
    """What became of a batch.

    Attributes:
        batch_id: The batch.
        problems: Root number and problem of each path that could not be had.
        digests: The digest of each root's managed tree, as it is now.
        changed: How many paths were made, replaced or removed.
        overwritten_drift: Root number and path of managed paths that someone else had changed, and the batch replaced.
        kept: Folders that stay because something in them is not devloop's.
        is_applied: False if nothing at all was done, because the disk is full.
    """

    batch_id: int
    problems: Problems = ()
    digests: tuple[bytes, ...] = ()
    changed: int = 0
    overwritten_drift: tuple[tuple[int, str], ...] = ()
    kept: tuple[placer.Kept, ...] = ()
    is_applied: bool = True


class Recovered(msgspec.Struct, frozen=True):
    """What the start found of an earlier run.

    Attributes:
        finished: The batch that was carried out to its end, or None.
        dropped: How many staged bodies belonged to no batch and were removed.
    """

    finished: Applied | None
    dropped: int


class Applier:
    """The batches of one agent. Used by one thread only.

    Args:
        roots: The open roots; an op's root number counts in them.
        stores: Their opened manifests.
        clock_ns: The wall clock.
    """

    def __init__(
        self, roots: Sequence[Root], stores: Sequence[store.Store], clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._sites = tuple(
            intake.Site(root, shelf, staging.Stage(root)) for root, shelf in zip(roots, stores, strict=True)
        )
        self._clock_ns = clock_ns
        self._batches: dict[int, intake.Batch] = {}
        self._journal = journal.Journal(roots[0].state_file("journal"), tuple(root.tree_id for root in roots))
        self._unfinished = True

    def recover(self) -> Recovered:
        """Finish the batch that an earlier run was carrying out, and drop what was only staged.

        Call it first. It is called again by the first commit after one that failed.

        Raises:
            errors.AgentError: The state folder cannot be read or written.
        """
        try:
            pending = self._journal.open()
            finished = self._resume(pending) if pending is not None else None
            self._unfinished = False
            dropped = 0
            for number, site in enumerate(self._sites):
                keep = {name for batch in self._batches.values() for name in batch.staged_names(number)}
                dropped += site.stage.drop_others(keep)
        except OSError as error:
            raise self._broken(error) from error
        return Recovered(finished, dropped)

    def close(self) -> None:
        """Drop open batches, tidy up and close the journal; roots and stores stay the caller's."""
        self.abort_all()
        self.tidy()
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, batch_id: int, batch_ops: Sequence[ops.Op]) -> None:
        """Open a batch.

        Raises:
            errors.RemoteProtocolError: The batch is open already, or as `add_ops`; no op was taken.
        """
        if batch_id in self._batches:
            raise errors.RemoteProtocolError(f"batch {batch_id} was begun twice")
        batch = intake.Batch(batch_id, self._sites)
        batch.add(batch_ops)
        self._batches[batch_id] = batch

    def add_ops(self, batch_id: int, batch_ops: Sequence[ops.Op]) -> None:
        """Add ops to an open batch; their indexes go on from the last.

        A path that is not safe (`paths.check`), or a link that leads out of its root, is a problem of that op.

        Raises:
            errors.RemoteProtocolError: An op names no root, comes without a valid entry, or names a path twice; none
                of these ops was taken.
        """
        self._batch(batch_id).add(batch_ops)

    def body(self, batch_id: int, index: int, data: bytes | memoryview) -> None:
        """Take the whole body of an op: stage it if its digest is right, else the op fails.

        Raises:
            errors.RemoteProtocolError: No such op, or it needs no body, or has one.
        """
        self._batch(batch_id).body(index, data)

    def chunk(self, batch_id: int, index: int, offset: int, data: bytes | memoryview, *, last: bool) -> None:
        """Take a part of a large body, in order.

        Args:
            batch_id: The batch.
            index: The op.
            offset: Where the part begins: where the one before it ended.
            data: The part.
            last: Nothing follows.

        Raises:
            errors.RemoteProtocolError: As `body`, or the offset is wrong.
        """
        self._batch(batch_id).chunk(index, offset, data, last=last)

    def copy(self, batch_id: int, index: int, source_root: int, source_path: str) -> bool:
        """Take an op's content from a managed file that is here already; from its own path, keep the content there.

        Returns:
            True if that gave the announced content (or the op is to be dropped anyway); False if a body must come.

        Raises:
            errors.RemoteProtocolError: As `body`, or no such root, or an unsafe path.
        """
        return self._batch(batch_id).copy(index, source_root, source_path)

    def delta(self, batch_id: int, index: int, base_digest: bytes, difference: bytes) -> bool:
        """Make an op's content from what its path holds now.

        Returns:
            True if that gave the announced content (or the op is to be dropped anyway); False if a body must come.

        Raises:
            errors.RemoteProtocolError: As `body`.
        """
        batch = self._batch(batch_id)
        op, wanted = batch.awaiting(index)
        if batch.stopped or index in batch.dropped:
            return True
        base = self.base(op.root, op.path, base_digest)
        if base is None:
            return False
        pieces = delta.pieces(base, difference, wanted.size)
        # zstd has a copy of its own, and the two need not be in memory together.
        del base
        try:
            return batch.made(index, pieces)
        except delta.DeltaError:
            return False

    def base(self, root: int, path: str, digest: bytes) -> bytes | None:
        """Return the content of a managed file of at most `MAX_BASE_BYTES`, if it has this digest, for a delta.

        Raises:
            errors.RemoteProtocolError: No such root, or an unsafe path.
        """
        row = intake.managed_file(self._sites, root, path)
        if row is None or row.present is None or row.present.digest != digest or row.present.size > MAX_BASE_BYTES:
            return None
        folder, _, name = path.rpartition("/")
        try:
            with dirfd.Folders(self._sites[root].root.data_fd) as folders:
                fd = atomic.open_regular(folders.get(folder), name)
            try:
                content = atomic.read_upto(fd, row.present.size)
            finally:
                os.close(fd)
        except OSError:
            return None
        return content if hashlib.sha256(content).digest() == digest else None

    def cancel(self, batch_id: int, indexes: Iterable[int]) -> None:
        """Drop ops whose bodies will not come; bodies still under way for them are ignored.

        Raises:
            errors.RemoteProtocolError: No such batch or op.
        """
        self._batch(batch_id).cancel(indexes)

    def abort(self, batch_id: int) -> None:
        """Drop a batch with all that is staged for it; nothing of it was applied."""
        batch = self._batches.pop(batch_id, None)
        if batch is not None:
            batch.discard_all()

    def abort_all(self) -> None:
        """Drop every open batch: the link went away."""
        for batch_id in list(self._batches):
            self.abort(batch_id)

    def commit(self, batch_id: int) -> Applied:
        """Carry out a batch.

        Returns:
            What became of it. With a full disk nothing of it is carried out.

        Raises:
            errors.RemoteProtocolError: No such batch.
            errors.AgentError: The agent's own folders cannot be written, or the root is gone; the batch is dropped,
                or will be finished by the next `recover` or `commit`.
        """
        batch = self._batch(batch_id)
        try:
            if self._unfinished:
                self.recover()
            return self._commit(batch)
        except OSError as error:
            raise self._broken(error) from error
        finally:
            del self._batches[batch_id]
            if not self._unfinished:
                batch.discard_all()

    def tidy(self, budget_s: float = math.inf) -> bool:
        """Give back the space of files that were replaced, deleted or dropped. For after the acknowledgement.

        Args:
            budget_s: How long it may take, about.

        Returns:
            True if nothing is left to do.
        """
        until_s = time.monotonic() + budget_s
        done = True
        for site in self._sites:
            done = site.stage.tidy(lambda: time.monotonic() < until_s) and done
        return done

    def _commit(self, batch: intake.Batch) -> Applied:
        for site in self._sites:
            if site.root.reopen_if_replaced():
                site.shelf.verify()
            if site.stage.garbage_bytes > _GARBAGE_BYTES:
                site.stage.tidy()
        batch.complete()
        self._check_space(batch)
        plans = self._plans(batch)
        if not batch.stopped:
            try:
                self._journal.write(batch.batch_id, (_step(plan, i) for plan in plans for i in plan.turn.flat()))
            except OSError as error:
                if error.errno not in staging.FULL:
                    raise
                batch.stop(0, error)
        if batch.stopped:
            return Applied(batch.batch_id, tuple(batch.problems), self._digests(), is_applied=False)
        self._unfinished = True
        applied = self._carry_out(batch.batch_id, plans, batch.staged, batch.problems)
        self._unfinished = False
        return applied

    def _carry_out(
        self,
        batch_id: int,
        plans: Sequence[placer.Plan],
        staged: dict[int, staging.Staged],
        problems: Sequence[tuple[int, problem.Problem]],
    ) -> Applied:
        """Do what the journal holds, store the outcome, and mark it as done; `staged` keeps what was not used."""
        found = list(problems)
        placed = []
        for plan in plans:
            site = self._sites[plan.number]
            one = placer.Placer(site.root, site.shelf, site.stage, plan, self._clock_ns)
            one.run()
            site.shelf.settle(one.rows)
            for index in one.used:
                del staged[index]
            found += [(plan.number, trouble) for trouble in one.problems]
            placed.append((plan.number, one))
        with contextlib.suppress(OSError):
            # Without this record it would be carried out again at the next start, which does no harm.
            self._journal.done(batch_id)
        return Applied(
            batch_id,
            problems=tuple(found),
            digests=self._digests(),
            changed=sum(one.changed for _, one in placed),
            overwritten_drift=tuple((number, path) for number, one in placed for path in one.overwritten),
            kept=tuple(kept for _, one in placed for kept in one.kept),
        )

    def _plans(self, batch: intake.Batch) -> list[placer.Plan]:
        """Return what is to be done in each root that the batch touches."""
        whole = tuple(batch.ops)
        by_root: dict[int, list[int]] = {}
        for index, op in enumerate(whole):
            if index not in batch.dropped:
                by_root.setdefault(op.root, []).append(index)
        plans = []
        for number, indexes in sorted(by_root.items()):
            site = self._sites[number]
            if not site.root.case_sensitive:
                indexes = _without_collisions(batch, site.shelf, indexes)
            turn = order.arrange(whole, indexes, case_sensitive=site.root.case_sensitive)
            plans.append(placer.Plan(number, whole, turn, batch.staged, frozenset(batch.mode_only)))
        return plans

    def _resume(self, pending: journal.Pending) -> Applied:
        """Carry out a journalled batch again, with what is still staged of it."""
        numbers = {site.root.tree_id: number for number, site in enumerate(self._sites)}
        whole: list[ops.Op] = []
        staged: dict[int, staging.Staged] = {}
        mode_only: set[int] = set()
        by_root: dict[int, list[int]] = {}
        for step in pending.steps:
            op = step.op()
            number = numbers.get(pending.trees[step.root]) if step.root < len(pending.trees) else None
            if number is None or op is None:
                # The root that it was meant for is another volume now, or no longer served.
                continue
            index = len(whole)
            whole.append(msgspec.structs.replace(op, root=number))
            by_root.setdefault(number, []).append(index)
            if step.mode_only:
                mode_only.add(index)
            if step.staged and op.entry is not None:
                again = self._sites[number].stage.recall(step.staged, op.entry)
                if again is not None:
                    staged[index] = again
        plans = []
        for number, indexes in sorted(by_root.items()):
            turn = order.arrange(whole, indexes, case_sensitive=self._sites[number].root.case_sensitive)
            plans.append(placer.Plan(number, tuple(whole), turn, staged, frozenset(mode_only), resumed=True))
        return self._carry_out(pending.batch_id, plans, staged, ())

    def _check_space(self, batch: intake.Batch) -> None:
        """Stop a batch whose carrying out would run into a full disk half way."""
        needs: dict[int, int] = {}
        for op in batch.ops:
            made = _BLOCK_BYTES if op.entry is not None and op.entry.kind is entry.Kind.FOLDER else 0
            needs[op.root] = needs.get(op.root, _SPARE_BYTES) + made + _ROW_BYTES
        for number, need_bytes in needs.items():
            site = self._sites[number]
            if batch.stopped or site.root.free_bytes() >= need_bytes:
                continue
            site.stage.tidy()
            if site.root.free_bytes() < need_bytes:
                index = next(i for i, op in enumerate(batch.ops) if op.root == number)
                batch.stop(index, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _batch(self, batch_id: int) -> intake.Batch:
        batch = self._batches.get(batch_id)
        if batch is None:
            raise errors.RemoteProtocolError(f"batch {batch_id} is not open")
        return batch

    def _digests(self) -> tuple[bytes, ...]:
        return tuple(site.shelf.tree.digest for site in self._sites)

    def _broken(self, error: OSError) -> errors.AgentError:
        state = self._sites[0].root.spec.state
        return errors.AgentError(
            f"the agent cannot keep its state in {state}: {error.strerror or error}"
            f" ({errno.errorcode.get(error.errno or 0, error.errno)}; uid {os.geteuid()}, gid {os.getegid()})",
            hint="free some space on that volume, or make the folder writable; nothing that was synced is lost",
        )


def _without_collisions(batch: intake.Batch, shelf: store.Store, indexes: list[int]) -> list[int]:
    """Fail the ops whose paths a root that ignores case cannot hold, and return the others."""
    puts = {batch.ops[i].path: i for i in indexes if batch.ops[i].action is ops.Action.PUT}
    deleted = {batch.ops[i].path for i in indexes if batch.ops[i].action is ops.Action.DELETE}
    for path, other in order.collisions(puts, shelf.tree, deleted).items():
        batch.fail(puts[path], problem.Reason.COLLISION, f"the target cannot tell it from {other}")
    return [i for i in indexes if i not in batch.dropped]


def _step(plan: placer.Plan, index: int) -> journal.Step:
    op = plan.batch[index]
    staged = plan.staged.get(index)
    name = staged.name if staged is not None else ""
    return journal.Step(op.action, op.root, paths.to_wire(op.path), op.entry, name, index in plan.mode_only)
