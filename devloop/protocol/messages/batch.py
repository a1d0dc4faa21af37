"""The messages of a batch, from `Begin` to `Ack`, and the rules by which batches are made.

What the laptop sends of a batch belongs to the stream with its number; the agent answers with `Need` and `Ack`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from devloop.core import problem
from devloop.core.entry import Entry
from devloop.protocol.messages.base import BaseMessage, BulkMessage, Codec, Count, Digest


class Rules(BaseMessage, frozen=True, array_like=True, gc=False, tag=10):
    """The compiled ignore rules of one root, now or anew.

    Attributes:
        root: The root's number.
        digest: The rule set's own digest.
        raw_size: Bytes after decompression.
        data: zstd of the encoded rule set.
    """

    root: Count
    digest: bytes
    raw_size: Count
    data: bytes


class WireOp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.ops.Op` on the wire."""

    action: Count
    root: Count
    path: bytes
    entry: Entry | None = None


class Begin(BaseMessage, frozen=True, array_like=True, gc=False, tag=11):
    """A batch begins: `Ops`, then bodies in any order, then `Commit`.

    Attributes:
        batch: Its number, rising by one within a session.
        ops: How many ops it has.
    """

    batch: Count
    ops: Count

    follows: ClassVar[str] = "batch"


class Ops(BulkMessage, frozen=True, array_like=True, gc=False, tag=12):
    """Some of a batch's ops, in order; numbered from 0 through all `Ops` of the batch.

    Attributes:
        stream: The batch.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: A msgpack list of `WireOp`.
    """

    raw_size: Count
    codec: Codec
    data: bytes


class Pack(BulkMessage, frozen=True, array_like=True, gc=False, tag=13):
    """Whole bodies of several small files, one behind the other.

    Attributes:
        stream: The batch.
        ops: The ops' numbers, in the order of the bodies; each body is as long as its op's entry says.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: The bodies.
    """

    ops: tuple[Count, ...]
    raw_size: Count
    codec: Codec
    data: bytes


class Chunk(BulkMessage, frozen=True, array_like=True, gc=False, tag=14):
    """The next piece of one large body.

    Attributes:
        stream: The batch.
        op: The op's number.
        offset: Where the piece begins; pieces come in order.
        raw_size: Bytes after decompression.
        codec: How `data` is encoded.
        data: The piece.
    """

    op: Count
    offset: Count
    raw_size: Count
    codec: Codec
    data: bytes


class Delta(BulkMessage, frozen=True, array_like=True, gc=False, tag=15):
    """A piece of a body's zstd prefix delta.

    Attributes:
        stream: The batch.
        op: The op's number.
        base: Digest of the content that the delta builds on: what the path holds now.
        last: This is the last piece.
        data: The piece.
    """

    op: Count
    base: Digest
    last: bool
    data: bytes


class Copy(BaseMessage, frozen=True, array_like=True, gc=False, tag=16):
    """A body that the target has already, at another managed path.

    Attributes:
        batch: The batch.
        op: The op's number.
        root: The root of the source.
        path: The source.
    """

    batch: Count
    op: Count
    root: Count
    path: bytes

    follows: ClassVar[str] = "batch"


class Cancel(BaseMessage, frozen=True, array_like=True, gc=False, tag=17):
    """These ops' bodies will not come: leave their paths as they are.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: Count
    ops: tuple[Count, ...]

    follows: ClassVar[str] = "batch"


class HookSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that runs in the target after a batch and before its reload.

    Attributes:
        name: For people.
        argv: The command.
        cwd: Folder in the target, absolute as the configuration says it.
        timeout_s: After this it is ended.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    timeout_s: float = 600.0


class Commit(BaseMessage, frozen=True, array_like=True, gc=False, tag=18):
    """Everything of the batch was sent: apply it.

    Attributes:
        batch: The batch.
        hooks: What runs after it, in order.
        reload: The app takes it up.
    """

    batch: Count
    hooks: tuple[HookSpec, ...] = ()
    reload: bool = True

    follows: ClassVar[str] = "batch"


class Abort(BaseMessage, frozen=True, array_like=True, gc=False, tag=19):
    """Forget the batch: nothing of it is applied."""

    batch: Count

    follows: ClassVar[str] = "batch"


class Need(BaseMessage, frozen=True, array_like=True, gc=False, tag=30):
    """A delta or copy could not be made good: send these bodies whole.

    Attributes:
        batch: The batch.
        ops: The ops' numbers.
    """

    batch: Count
    ops: tuple[Count, ...]


class WireProblem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `devloop.core.problem.Problem` of the pod side."""

    root: Count
    path: bytes
    reason: problem.Reason
    detail: str
    errno: Count = 0


class Problems(BaseMessage, frozen=True, array_like=True, gc=False, tag=32):
    """More of the problems and overwritten paths of the `Ack` that follows, where they do not fit into one frame.

    `AgentSession` splits them off and `LaptopSession` puts them back; nobody else sees this message.

    Attributes:
        batch: The batch.
        problems: As in `Ack`.
        overwritten: As in `Ack`.
    """

    batch: Count
    problems: tuple[WireProblem, ...] = ()
    overwritten: tuple[tuple[Count, bytes], ...] = ()


class Ack(BaseMessage, frozen=True, array_like=True, gc=False, tag=31):
    """A batch was applied and its digests were verified.

    Attributes:
        batch: The batch.
        low_water: Every batch up to this one is acked, aborted or refused.
        digests: Root hash of each root after it.
        problems: Ops that could not be carried out; everything else of the batch was.
        overwritten: Paths that somebody else had changed, as (root, path): the batch won.
        refused: Why nothing of the batch was applied; empty as a rule.
        apply_us: How long applying took, in microseconds.
    """

    batch: Count
    low_water: Count
    digests: tuple[bytes, ...]
    problems: tuple[WireProblem, ...] = ()
    overwritten: tuple[tuple[Count, bytes], ...] = ()
    refused: str = ""
    apply_us: Count = 0
