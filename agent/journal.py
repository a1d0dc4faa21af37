"""The intent of the batch that is being applied, on disk before anything in the root changes.

A batch is written whole, then carried out, then marked as done. A start that finds a whole batch which is not done
carries it out again from here; one that was cut off while it was written never began. There is one journal for all
roots of an agent, in the state folder of the first, because a batch is one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from devloop.core import ops, paths
from devloop.core.entry import Entry
from devloop.fs import recordlog

# Ops per record: keeps a record far below recordlog.MAX_RECORD_BYTES, and what is in memory of the steps small.
_PART: Final = 1000

# The file is emptied when it has grown beyond this.
_KEEP_BYTES: Final = 256 * 1024


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One op as it was about to be carried out.

    Attributes:
        action: As in `ops.Op`.
        root: As in `ops.Op`.
        path: The path's bytes.
        entry: As in `ops.Op`.
        staged: The staged file's or link's name, where there is one.
        mode_only: Only the executable bit is to change.
    """

    action: ops.Action
    root: int
    path: bytes
    entry: Entry | None = None
    staged: str = ""
    mode_only: bool = False

    def op(self) -> ops.Op | None:
        """Return the op; None if its path is one that this agent refuses."""
        try:
            return ops.Op(self.action, self.root, paths.from_wire(self.path), self.entry)
        except paths.UnsafePathError:
            return None


class _Part(msgspec.Struct, frozen=True, array_like=True, tag="part"):
    batch_id: int
    trees: tuple[str, ...]
    number: int
    steps: Sequence[Step]
    last: bool


class _Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    batch_id: int


class Pending(msgspec.Struct, frozen=True):
    """A batch that was begun and not marked as done.

    Attributes:
        batch_id: Its number in the session that sent it.
        trees: The tree ids of the roots that its steps count, in order.
        steps: What it does.
    """

    batch_id: int
    trees: tuple[str, ...]
    steps: tuple[Step, ...]


class Journal:
    """The journal of one agent. Not safe for use from several threads.

    Args:
        path: The file.
        trees: The tree ids of the agent's roots, in order.
    """

    def __init__(self, path: str, trees: tuple[str, ...]) -> None:
        self._log = recordlog.RecordLog(path)
        self._trees = trees
        self._decoder = msgspec.msgpack.Decoder(_Part | _Done)
        self._encoder = msgspec.msgpack.Encoder()

    def open(self) -> Pending | None:
        """Read the journal, and return the batch that has to be finished, if there is one. May be called again.

        Raises:
            OSError: The file cannot be opened.
        """
        self._log.close()
        parts: list[_Part] = []
        whole: list[_Part] = []
        for raw in self._log.open():
            try:
                record = self._decoder.decode(raw)
            except msgspec.DecodeError:
                # Written by another version of the agent, whose staged names and rules are not ours.
                parts, whole = [], []
                continue
            if isinstance(record, _Done):
                parts, whole = [], []
                continue
            # A part that does not continue the ones before it is the first of another batch.
            parts = [*parts, record] if record.number == len(parts) else [record]
            if record.last and parts[0].number == 0:
                parts, whole = [], parts
        if not whole:
            return None
        steps = tuple(step for part in whole for step in part.steps)
        return Pending(whole[0].batch_id, whole[0].trees, steps)

    def write(self, batch_id: int, steps: Iterable[Step]) -> None:
        """Write down what is about to be carried out.

        Args:
            batch_id: The batch.
            steps: What it does; taken as they are written.

        Raises:
            OSError: The disk refused; the batch must not be carried out, and will not be.
        """
        rest = iter(steps)
        chunk = tuple(itertools.islice(rest, _PART))
        for number in itertools.count():
            following = tuple(itertools.islice(rest, _PART))
            part = _Part(batch_id, self._trees, number, chunk, last=not following)
            self._log.append(self._encoder.encode(part))
            if part.last:
                return
            chunk = following

    def done(self, batch_id: int) -> None:
        """Write down that the batch was carried out and its rows are stored.

        Raises:
            OSError: The disk refused: the batch will be carried out again at the next start, which does no harm.
        """
        if self._log.size_bytes > _KEEP_BYTES:
            self._log.rewrite(())
        else:
            self._log.append(self._encoder.encode(_Done(batch_id)))

    def close(self) -> None:
        """Close the file."""
        self._log.close()
