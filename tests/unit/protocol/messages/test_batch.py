"""The messages of a batch, on the wire: tags and the order of fields never change."""

import msgspec
import pytest

from devloop.core import entry, problem
from devloop.protocol import messages
from tests.unit.protocol import samples

DIGEST = b"d" * 32
PROBLEM = messages.WireProblem(1, b"x", problem.Reason.IO, "bad", 5)
ON_THE_WIRE = [1, b"x", "io", "bad", 5]


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (messages.Rules(1, b"r", 2, b"zz"), [10, 1, b"r", 2, b"zz"]),
        (messages.Begin(16, 2), [11, 16, 2]),
        (messages.Ops(16, 3, messages.Codec.RAW, b"abc"), [12, 16, 3, 0, b"abc"]),
        (messages.Pack(16, (0, 1), 4, messages.Codec.ZSTD, b"abcd"), [13, 16, [0, 1], 4, 1, b"abcd"]),
        (messages.Chunk(16, 1, 7, 3, messages.Codec.RAW, b"abc"), [14, 16, 1, 7, 3, 0, b"abc"]),
        (messages.Delta(16, 1, DIGEST, True, b"delta"), [15, 16, 1, DIGEST, True, b"delta"]),
        (messages.Copy(16, 1, 2, b"caf\xe9"), [16, 16, 1, 2, b"caf\xe9"]),
        (messages.Cancel(16, (0, 1)), [17, 16, [0, 1]]),
        (
            messages.Commit(16, (messages.HookSpec("pip", ("pip", "install"), "/app", 1.5),), False),
            [18, 16, [["pip", ["pip", "install"], "/app", 1.5]], False],
        ),
        (messages.Abort(16), [19, 16]),
        (messages.Need(16, (1,)), [30, 16, [1]]),
        (
            messages.Ack(16, 15, (DIGEST,), (PROBLEM,), ((0, b"y"),), "full", 9),
            [31, 16, 15, [DIGEST], [ON_THE_WIRE], [[0, b"y"]], "full", 9],
        ),
        (messages.Problems(16, (PROBLEM,), ((0, b"y"),)), [32, 16, [ON_THE_WIRE], [[0, b"y"]]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_message_on_the_wire(message: messages.Message, wire: list[object]) -> None:
    assert samples.wire(message) == wire


def test_an_op_on_the_wire() -> None:
    op = messages.WireOp(1, 2, b"a", entry.file(DIGEST, 5, executable=True))
    raw = msgspec.msgpack.encode(op)
    assert msgspec.msgpack.decode(raw) == [1, 2, b"a", [1, True, 5, DIGEST, b""]]
    assert msgspec.msgpack.decode(raw, type=messages.WireOp) == op
    assert msgspec.msgpack.decode(msgspec.msgpack.encode([1, 2, b"a"]), type=messages.WireOp).entry is None
