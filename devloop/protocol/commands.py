"""What the laptop's batch messages tell the agent's shell to do, as checked values.

`devloop.protocol.inbound` makes them: paths are safe, op numbers exist, sizes are what was declared. The shell
carries them out in order, for each batch at least, and gives `credit` back by `Session.consumed(batch, credit)` when
it no longer holds the data.
"""

from __future__ import annotations

import msgspec

from devloop.core import ops
from devloop.protocol import messages


class BeginBatch(msgspec.Struct, frozen=True, gc=False):
    """A batch begins.

    Attributes:
        batch: Its number.
        count: How many ops it will have.
    """

    batch: int
    count: int


class AddOps(msgspec.Struct, frozen=True, gc=False):
    """The batch's next ops.

    Attributes:
        batch: The batch.
        first: The number of the first of them.
        ops: The ops, in order.
        credit: What to give back.
    """

    batch: int
    first: int
    ops: tuple[ops.Op, ...]
    credit: int


class WriteBody(msgspec.Struct, frozen=True, gc=False):
    """A whole body.

    Attributes:
        batch: The batch.
        op: The op's number.
        data: As long as the op's entry says; its digest is not checked yet.
        credit: What to give back; the last body of a pack carries it for all of them.
    """

    batch: int
    op: int
    data: bytes
    credit: int


class WriteChunk(msgspec.Struct, frozen=True, gc=False):
    """The next piece of a body.

    Attributes:
        batch: The batch.
        op: The op's number.
        offset: Where it begins: where the one before ended.
        data: The piece.
        last: The body is complete with it; its digest is not checked yet.
        credit: What to give back.
    """

    batch: int
    op: int
    offset: int
    data: bytes
    last: bool
    credit: int


class ApplyDelta(msgspec.Struct, frozen=True, gc=False):
    """A body as a delta to what the path holds now; where it does not fit, the shell sends `Need`.

    Attributes:
        batch: The batch.
        op: The op's number.
        base: Digest that the path's content must have.
        delta: For `devloop.core.delta`.
        credit: What to give back.
    """

    batch: int
    op: int
    base: bytes
    delta: bytes
    credit: int


class CopyBody(msgspec.Struct, frozen=True, gc=False):
    """A body that another path has; where it has not, the shell sends `Need`.

    Attributes:
        batch: The batch.
        op: The op's number.
        root: The source's root.
        path: The source.
    """

    batch: int
    op: int
    root: int
    path: str


class CancelOps(msgspec.Struct, frozen=True, gc=False):
    """Leave these ops' paths as they are.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: int
    ops: tuple[int, ...]


class CommitBatch(msgspec.Struct, frozen=True, gc=False):
    """Everything has come: apply the batch, run the hooks, and answer with `Ack`.

    A shell that has sent `Need` for the batch meanwhile passes over this one: it comes again
    when the needed bodies have.

    Attributes:
        batch: The batch.
        hooks: What runs after it, in order.
        reload: The app takes it up.
    """

    batch: int
    hooks: tuple[messages.HookSpec, ...]
    reload: bool


class AbortBatch(msgspec.Struct, frozen=True, gc=False):
    """Forget the batch. It is not acked; commands of it that wait still give their credit back.

    Attributes:
        batch: The batch.
    """

    batch: int


Command = BeginBatch | AddOps | WriteBody | WriteChunk | ApplyDelta | CopyBody | CancelOps | CommitBatch | AbortBatch
