"""The agent's side of batches: messages in, checked commands out.

Nothing that the laptop sends reaches the agent's disk code but through here. Each message is checked against its
batch: op numbers exist, paths are safe, a body comes once and has the length that its entry says, chunks follow
each other, and `Commit` comes when every body has come or was cancelled. What a message says it holds is bounded
before it is decompressed. Batches may interleave.

What is kept of a batch is one state and one size per op that has come, so two million ops take 18 MB; bodies are
passed on at once, but for the pieces of one delta per batch, of 1 MiB at most.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Callable
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.core import entry, ops, paths, zstd
from devloop.protocol import commands, messages

MAX_OPS: Final = 2_000_000
"""The most ops of one batch, and of all batches that are under way together: twice the largest repositories."""

MAX_BATCHES: Final = 64
"""Batches under way at once: begun and not acked."""

MAX_OPEN_BODIES: Final = 64
"""Bodies of one batch that have begun and are not complete: each is a file that the shell holds open."""

MAX_DELTA_BYTES: Final = 1024 * 1024
"""The most that one delta may take on the wire, since its pieces are held here. What differs by more is no edit."""

_ops_decoder: Final = msgspec.msgpack.Decoder(list[messages.WireOp])


class _Body(enum.IntEnum):
    """What has come of an op's body."""

    NONE = 0
    """The op has no body."""
    AWAITED = 1
    OPEN = 2
    """Some chunks or pieces of a delta have come."""
    COMPLETE = 3
    CANCELLED = 4
    NEEDED = 5
    """A delta or copy came and was no good; the whole body comes yet."""


class _Batch:
    """What is known of one batch under way."""

    def __init__(self, begin: messages.Begin) -> None:
        self.number = begin.batch
        self.announced = begin.ops
        self.bodies = bytearray()
        self.sizes = array("Q")
        self.offsets: dict[int, int] = {}
        self.delta: _Delta | None = None
        self.incomplete = 0
        """Bodies that are awaited, open or needed."""
        self.needed = 0
        self.commit: messages.Commit | None = None


class _Delta:
    """A delta whose last piece has not come."""

    def __init__(self, op: int, base: bytes) -> None:
        self.op = op
        self.base = base
        self.data = bytearray()
        self.credit = 0


class BatchAssembly:
    """Checks the laptop's batches and turns them into commands.

    Args:
        roots: How many roots the agent has.
        max_delta_bytes: Largest file that is taken as a delta.
    """

    def __init__(self, roots: int, max_delta_bytes: int) -> None:
        self._roots = roots
        self._max_delta_bytes = max_delta_bytes
        self._batches: dict[int, _Batch] = {}
        self._newest = messages.FIRST_NUMBER - 1
        # all kinds of `Any`: each handler takes the message that its key names
        self._handlers: dict[type, Callable[[Any], list[commands.Command]]] = {
            messages.Begin: self._begin,
            messages.Ops: self._ops,
            messages.Pack: self._pack,
            messages.Chunk: self._chunk,
            messages.Delta: self._delta,
            messages.Copy: self._copy,
            messages.Cancel: self._cancel,
            messages.Commit: self._commit,
            messages.Abort: self._abort,
        }

    def feed(self, message: messages.Message) -> list[commands.Command]:
        """Return what a message of a batch tells the agent to do; the state table lets no other come here.

        Raises:
            RemoteProtocolError: It does not fit its batch. The session must end.
        """
        return self._handlers[type(message)](message)

    def need(self, message: messages.Need) -> bool:
        """Await the whole bodies of ops whose delta or copy was no good.

        Returns:
            False where the batch was aborted meanwhile, and nothing is needed.

        Raises:
            LocalProtocolError: There was no such batch, or the body of an op is not complete.
        """
        batch = self._batches.get(message.batch)
        if batch is None and message.batch <= self._newest:
            return False
        if batch is None or any(
            op >= len(batch.bodies) or batch.bodies[op] not in (_Body.COMPLETE, _Body.CANCELLED) for op in message.ops
        ):
            raise errors.LocalProtocolError(f"batch {message.batch} has no such bodies to need", where="Need")
        for op in message.ops:
            # one that was cancelled meanwhile is needed no more, and the laptop knows
            if batch.bodies[op] == _Body.COMPLETE:
                batch.bodies[op] = _Body.NEEDED
                batch.needed += 1
                batch.incomplete += 1
        return True

    def acked(self, number: int) -> None:
        """Forget a batch that is acked.

        Raises:
            LocalProtocolError: It is not under way, not committed, or a needed body has not come.
        """
        batch = self._batches.get(number)
        if batch is None or batch.commit is None or batch.incomplete:
            raise errors.LocalProtocolError(f"batch {number} cannot be acked", where="Ack")
        del self._batches[number]

    @property
    def low_water(self) -> int:
        """Every batch up to this one has been acked or aborted."""
        return min(self._batches, default=self._newest + 1) - 1

    def low_water_with(self, number: int) -> int:
        """Return what `low_water` will be once this batch is acked."""
        others = [each for each in self._batches if each != number]
        return min(others, default=self._newest + 1) - 1

    # ---- one handler for each message ------------------------------------------------------------------------

    def _begin(self, message: messages.Begin) -> list[commands.Command]:
        number = message.batch
        if not self._newest < number < messages.FIRST_STREAM:
            raise _broken(f"batch {number} after batch {self._newest}", "Begin.batch")
        if len(self._batches) >= MAX_BATCHES:
            raise _broken(f"more than {MAX_BATCHES} batches under way", "Begin")
        if message.ops > MAX_OPS - sum(batch.announced for batch in self._batches.values()):
            raise _broken(f"{message.ops} ops announced, {MAX_OPS} may be under way", "Begin.ops")
        self._newest = number
        self._batches[number] = _Batch(message)
        return [commands.BeginBatch(number, message.ops)]

    def _ops(self, message: messages.Ops) -> list[commands.Command]:
        batch = self._open(message.stream, "Ops")
        raw = unpack(message.codec, message.data, message.raw_size, "Ops")
        try:
            wire = _ops_decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _broken(f"not a list of ops: {error}", "Ops.data") from error
        first = len(batch.bodies)
        if not wire or first + len(wire) > batch.announced:
            raise _broken(f"{first} + {len(wire)} ops came, {batch.announced} were announced", "Ops")
        checked = tuple(self._op(each) for each in wire)
        for op in checked:
            size = op.body_bytes
            batch.sizes.append(size)
            batch.bodies.append(_Body.AWAITED if size else _Body.NONE)
            batch.incomplete += 1 if size else 0
        return [commands.AddOps(batch.number, first, checked, messages.cost(message))]

    def _pack(self, message: messages.Pack) -> list[commands.Command]:
        batch = self._with_bodies(message.stream, "Pack")
        for op in message.ops:
            self._expect(batch, op, "Pack.ops")
        sizes = [batch.sizes[op] for op in message.ops]
        if not sizes or sum(sizes) != message.raw_size or len(set(message.ops)) != len(sizes):
            raise _broken(f"a pack of {message.raw_size} bytes for bodies of {sum(sizes)}", "Pack")
        raw = unpack(message.codec, message.data, message.raw_size, "Pack")
        result: list[commands.Command] = []
        start = 0
        for op, size in zip(message.ops, sizes, strict=True):
            self._complete(batch, op)
            result.append(commands.WriteBody(batch.number, op, raw[start : start + size], 0))
            start += size
        result[-1] = msgspec.structs.replace(result[-1], credit=messages.cost(message))
        return result + self._again(batch)

    def _chunk(self, message: messages.Chunk) -> list[commands.Command]:
        batch = self._with_bodies(message.stream, "Chunk")
        op = message.op
        self._expect(batch, op, "Chunk.op", _Body.OPEN)
        begun = batch.offsets.get(op)
        end = message.offset + message.raw_size
        if message.offset != (begun or 0) or not message.raw_size or end > batch.sizes[op]:
            raise _broken(
                f"a chunk of bytes {message.offset} to {end} after {begun or 0} of {batch.sizes[op]}", "Chunk.offset"
            )
        raw = unpack(message.codec, message.data, message.raw_size, "Chunk")
        last = end == batch.sizes[op]
        if last:
            self._complete(batch, op)
        elif begun is None and len(batch.offsets) >= MAX_OPEN_BODIES:
            raise _broken(f"more than {MAX_OPEN_BODIES} bodies begun", "Chunk")
        else:
            self._mark_open(batch, op)
            batch.offsets[op] = end
        command = commands.WriteChunk(batch.number, op, message.offset, raw, last, messages.cost(message))
        return [command, *self._again(batch)]

    def _delta(self, message: messages.Delta) -> list[commands.Command]:
        batch = self._with_bodies(message.stream, "Delta")
        delta = batch.delta
        if delta is None:
            self._expect(batch, message.op, "Delta.op")
            if batch.bodies[message.op] == _Body.NEEDED:
                raise _broken(f"a delta of op {message.op}, whose whole body is needed", "Delta.op")
            if batch.sizes[message.op] > self._max_delta_bytes:
                raise _broken(f"a delta of a file of {batch.sizes[message.op]} bytes", "Delta.op")
            delta = _Delta(message.op, message.base)
        if delta.op != message.op or delta.base != message.base:
            raise _broken(f"a delta of op {message.op} among the pieces of op {delta.op}'s", "Delta.op")
        delta.data += message.data
        delta.credit += messages.cost(message)
        # the second bound is against empty pieces
        if len(delta.data) > MAX_DELTA_BYTES or delta.credit > MAX_DELTA_BYTES + 64 * messages.FRAME_COST_BYTES:
            raise _broken(f"a delta of more than {MAX_DELTA_BYTES} bytes", "Delta")
        if not message.last:
            self._mark_open(batch, message.op)
            batch.delta = delta
            return []
        batch.delta = None
        self._complete(batch, message.op)
        return [commands.ApplyDelta(batch.number, delta.op, delta.base, bytes(delta.data), delta.credit)]

    def _copy(self, message: messages.Copy) -> list[commands.Command]:
        batch = self._with_bodies(message.batch, "Copy")
        self._expect(batch, message.op, "Copy.op")
        if batch.bodies[message.op] == _Body.NEEDED:
            raise _broken(f"a copy for op {message.op}, whose whole body is needed", "Copy.op")
        path = self._path(message.root, message.path, "Copy.path")
        self._complete(batch, message.op)
        return [commands.CopyBody(batch.number, message.op, message.root, path)]

    def _cancel(self, message: messages.Cancel) -> list[commands.Command]:
        batch = self._get(message.batch, "Cancel")
        fresh = []
        for op in message.ops:
            if op >= len(batch.bodies):
                raise _broken(f"op {op} of {len(batch.bodies)}", "Cancel.ops")
            was = batch.bodies[op]
            if batch.commit is not None and was not in (_Body.NEEDED, _Body.OPEN, _Body.CANCELLED):
                raise _broken(f"op {op} is cancelled after the commit", "Cancel.ops")
            if was == _Body.CANCELLED:
                continue
            if batch.delta is not None and batch.delta.op == op:
                raise _broken(f"op {op} is cancelled in the middle of its delta", "Cancel.ops")
            if was in (_Body.AWAITED, _Body.OPEN, _Body.NEEDED):
                self._complete(batch, op)
            batch.bodies[op] = _Body.CANCELLED
            fresh.append(op)
        result: list[commands.Command] = [commands.CancelOps(batch.number, tuple(fresh))] if fresh else []
        return result + (self._again(batch) if fresh else [])

    def _commit(self, message: messages.Commit) -> list[commands.Command]:
        batch = self._open(message.batch, "Commit")
        if len(batch.bodies) != batch.announced:
            raise _broken(f"{len(batch.bodies)} of {batch.announced} ops have come", "Commit")
        # what this side has asked for again may have crossed with the commit
        if batch.incomplete > batch.needed:
            raise _broken(f"{batch.incomplete - batch.needed} bodies have not come", "Commit")
        batch.commit = message
        return self._again(batch)

    def _abort(self, message: messages.Abort) -> list[commands.Command]:
        batch = self._open(message.batch, "Abort")
        del self._batches[batch.number]
        return [commands.AbortBatch(batch.number)]

    # ---- checks ----------------------------------------------------------------------------------------------

    def _get(self, number: int, where: str) -> _Batch:
        batch = self._batches.get(number)
        if batch is None:
            raise _broken(f"batch {number} is not under way", where)
        return batch

    def _open(self, number: int, where: str) -> _Batch:
        """Return a batch that has no commit yet."""
        batch = self._get(number, where)
        if batch.commit is not None:
            raise _broken(f"batch {number} is committed", where)
        return batch

    def _with_bodies(self, number: int, where: str) -> _Batch:
        """Return a batch that takes bodies: one without a commit, or with bodies that are needed."""
        batch = self._get(number, where)
        if batch.commit is not None and not batch.incomplete:
            raise _broken(f"batch {number} is committed", where)
        if batch.delta is not None and where != "Delta":
            raise _broken(f"{where} among the pieces of a delta", where)
        return batch

    def _expect(self, batch: _Batch, op: int, where: str, *also: _Body) -> None:
        if op >= len(batch.bodies):
            raise _broken(f"op {op} of {len(batch.bodies)}", where)
        begun = op in batch.offsets and _Body.OPEN not in also
        if begun or batch.bodies[op] not in (_Body.AWAITED, _Body.NEEDED, *also):
            raise _broken(f"the body of op {op} is not awaited", where)

    def _mark_open(self, batch: _Batch, op: int) -> None:
        if batch.bodies[op] == _Body.NEEDED:
            # it stays one of the needed, which are what may come after a commit
            return
        batch.bodies[op] = _Body.OPEN

    def _complete(self, batch: _Batch, op: int) -> None:
        if batch.bodies[op] == _Body.NEEDED:
            batch.needed -= 1
        batch.incomplete -= 1
        batch.bodies[op] = _Body.COMPLETE
        batch.offsets.pop(op, None)

    def _again(self, batch: _Batch) -> list[commands.Command]:
        """Return the commit of a batch that is complete, else nothing."""
        if batch.commit is None or batch.incomplete:
            return []
        return [commands.CommitBatch(batch.number, batch.commit.hooks, batch.commit.reload)]

    def _op(self, wire: messages.WireOp) -> ops.Op:
        try:
            action = ops.Action(wire.action)
        except ValueError:
            raise _broken(f"no action {wire.action}", "WireOp.action") from None
        path = self._path(wire.root, wire.path, "WireOp.path")
        if action in (ops.Action.PUT, ops.Action.ADOPT):
            if wire.entry is None or not entry.is_valid(wire.entry) or wire.entry.size > _MAX_FILE_BYTES:
                raise _broken(f"not an entry: {wire.entry}", "WireOp.entry")
        elif wire.entry is not None:
            raise _broken(f"{action.name} with an entry", "WireOp.entry")
        return ops.Op(action, wire.root, path, wire.entry)

    def _path(self, root: int, raw: bytes, where: str) -> str:
        if root >= self._roots:
            raise _broken(f"root {root} of {self._roots}", where)
        try:
            return paths.from_wire(raw)
        except paths.UnsafePathError as error:
            raise _broken(str(error), where) from error


# the largest that a file can be on the systems devloop runs on (off_t)
_MAX_FILE_BYTES: Final = 2**62


def unpack(encoding: messages.Codec, data: bytes, raw_size: int, where: str) -> bytes:
    """Return what `data` holds, which must be exactly `raw_size` bytes and no more than one frame may hold.

    Raises:
        RemoteProtocolError: It is not.
    """
    if raw_size > messages.MAX_DATA_BYTES or len(data) > messages.MAX_DATA_BYTES:
        raise _broken(f"{max(raw_size, len(data))} bytes declared, allowed are {messages.MAX_DATA_BYTES}", where)
    if encoding is messages.Codec.RAW:
        if len(data) != raw_size:
            raise _broken(f"{len(data)} instead of {raw_size} bytes", where)
        return data
    try:
        return zstd.decompress(data, raw_size)
    except zstd.ZstdError as error:
        raise _broken(str(error), where) from error


def _broken(message: str, where: str) -> errors.RemoteProtocolError:
    return errors.RemoteProtocolError(message, where=where)
