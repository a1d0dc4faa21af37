"""Carries out what the protocol has checked, on the disk, in the agent's one worker thread.

Commands of one link come in, in order; what is to be said about them goes out: credit to give back, bodies that are
needed whole after all, acks. Nothing in here knows the link.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from agent import applier
from devloop.core import paths, problem
from devloop.protocol import commands, messages


class Acked(msgspec.Struct, frozen=True):
    """A batch was applied, or refused.

    Attributes:
        batch: The batch.
        applied: What became of it.
        commit: The command that asked for it: its hooks and reload are next.
        apply_us: How long it took, in microseconds.
    """

    batch: int
    applied: applier.Applied
    commit: commands.CommitBatch
    apply_us: int


class Outcome(msgspec.Struct, frozen=True):
    """What some commands came to.

    Attributes:
        done: How many of them were carried out: a commit ends the round, so that its ack leaves at once.
        credits: Bytes to give back, by batch.
        needs: Ops whose bodies must come whole, by batch.
        acked: The batch that was committed, if one was.
    """

    done: int
    credits: dict[int, int]
    needs: dict[int, list[int]]
    acked: Acked | None = None


class Worker:
    """Carries out one link's commands, until it is retired. Used in the worker thread only.

    Args:
        disk: The agent's applier.
    """

    def __init__(self, disk: applier.Applier) -> None:
        self._disk = disk
        self._needed: dict[int, set[int]] = {}
        self._retired = False

    def carry_out(self, found: Sequence[commands.Command]) -> Outcome:
        """Carry out commands until the first commit, or all.

        Raises:
            RemoteProtocolError: The laptop broke a rule that only the disk side can see.
            AgentError: The agent's own folders are out of order.
        """
        credits: dict[int, int] = {}
        needs: dict[int, list[int]] = {}
        for done, command in enumerate(found, 1):
            if isinstance(command, commands.CommitBatch):
                if not self._needed.get(command.batch):
                    return Outcome(done, credits, needs, self._commit(command))
                continue
            needed = self._carry_out_one(command)
            if needed is not None:
                needs.setdefault(command.batch, []).append(needed)
                self._needed.setdefault(command.batch, set()).add(needed)
            credit = getattr(command, "credit", 0)
            if credit:
                credits[command.batch] = credits.get(command.batch, 0) + credit
        return Outcome(len(found), credits, needs)

    def tidy(self, budget_s: float) -> bool:
        """Give back the space of what was replaced; return True when nothing is left to do."""
        return self._disk.tidy(budget_s)

    def retire(self) -> None:
        """The link is gone: drop what is not committed. Done once, for what is open later is another link's."""
        if not self._retired:
            self._retired = True
            self._needed.clear()
            self._disk.abort_all()

    def _carry_out_one(self, command: commands.Command) -> int | None:
        """Carry out one command; return the op whose body is needed whole, if that is what it came to."""
        disk = self._disk
        match command:
            case commands.BeginBatch():
                disk.begin(command.batch, ())
            case commands.AddOps():
                disk.add_ops(command.batch, command.ops)
            case commands.WriteBody():
                disk.body(command.batch, command.op, command.data)
                self._satisfied(command.batch, (command.op,))
            case commands.WriteChunk():
                disk.chunk(command.batch, command.op, command.offset, command.data, last=command.last)
                if command.last:
                    self._satisfied(command.batch, (command.op,))
            case commands.ApplyDelta():
                if not disk.delta(command.batch, command.op, command.base, command.delta):
                    return command.op
            case commands.CopyBody():
                if not disk.copy(command.batch, command.op, command.root, command.path):
                    return command.op
            case commands.CancelOps():
                disk.cancel(command.batch, command.ops)
                self._satisfied(command.batch, command.ops)
            case commands.AbortBatch():
                disk.abort(command.batch)
                self._needed.pop(command.batch, None)
            case commands.CommitBatch():
                raise AssertionError("commits are carried out by carry_out")
        return None

    def _satisfied(self, batch: int, found: Sequence[int]) -> None:
        needed = self._needed.get(batch)
        if needed is not None:
            needed.difference_update(found)

    def _commit(self, command: commands.CommitBatch) -> Acked:
        began_ns = time.monotonic_ns()
        self._needed.pop(command.batch, None)
        applied = self._disk.commit(command.batch)
        return Acked(command.batch, applied, command, (time.monotonic_ns() - began_ns) // 1000)


def ack_of(acked: Acked, low_water: int) -> messages.Ack:
    """Return the message that tells the laptop of a batch.

    Args:
        acked: What became of it.
        low_water: As in `messages.Ack`.
    """
    applied = acked.applied
    refused = ""
    if not applied.is_applied:
        words = next((trouble.detail for _, trouble in applied.problems), "the disk is full")
        refused = f"nothing of the batch was applied: {words}"
    return messages.Ack(
        batch=acked.batch,
        low_water=low_water,
        digests=applied.digests,
        problems=() if refused else tuple(_wire(root, trouble) for root, trouble in applied.problems),
        overwritten=tuple((root, paths.to_wire(path)) for root, path in applied.overwritten_drift),
        refused=refused,
        apply_us=acked.apply_us,
    )


def _wire(root: int, trouble: problem.Problem) -> messages.WireProblem:
    return messages.WireProblem(root, paths.to_wire(trouble.path), trouble.reason, trouble.detail, trouble.errno)
