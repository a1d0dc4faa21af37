"""The messages of byte streams, on the wire: tags and the order of fields never change."""

from typing import Any

import msgspec
import pytest

from devloop import errors
from devloop.protocol import codec, messages
from tests.unit.protocol import samples

N = messages.FIRST_STREAM


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (messages.Dial(N, "db", 5432), [50, N, "db", 5432]),
        (messages.Dialled(N, "rule", "no", "ask", "10.0.0.1:5"), [51, N, "rule", "no", "ask", "10.0.0.1:5"]),
        (messages.Listen(3, 9003), [52, 3, 9003]),
        (messages.Listening(3, "taken", "another"), [53, 3, "taken", "another"]),
        (messages.Unlisten(3), [54, 3]),
        (messages.Accepted(N + 1, 3, "127.0.0.1:4"), [55, N + 1, 3, "127.0.0.1:4"]),
        (messages.Data(N, b"abc"), [56, N, b"abc"]),
        (messages.Eof(N), [57, N]),
        (messages.Reset(N, "gone"), [58, N, "gone"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_message_on_the_wire(message: messages.Message, wire: list[object]) -> None:
    assert samples.wire(message) == wire


@pytest.mark.parametrize(
    "wire",
    [
        [50, N, "", 80],
        [50, N, "x" * 256, 80],
        [50, N, "db", 0],
        [50, N, "db", 65536],
        [50, N - 1, "db", 80],
        [50, 16, "db", 80],
        [50, 2**62 + 1, "db", 80],
        [51, N, "x" * 2001],
        [51, N, "", "x" * 2001],
        [52, -1, 80],
        [52, 0, 0],
        [53, 0, "x" * 2001],
        [55, N, 0, "x" * 2001],
        [55, 16, 0, "peer"],
        [57, 16],
        [58, 16, ""],
        [58, N, "x" * 2001],
    ],
)
def test_what_no_stream_can_mean_is_no_message(wire: list[Any]) -> None:
    with pytest.raises(errors.RemoteProtocolError, match="not a message"):
        codec.FrameReader().message(bytes(4) + msgspec.msgpack.encode(wire))


def test_data_is_encoded_from_any_buffer() -> None:
    view: Any = memoryview(bytearray(b"abcdef"))[2:4]
    assert codec.encode(messages.Data(N, view)) == codec.encode(messages.Data(N, b"cd"))
    assert messages.cost(messages.Data(N, view)) == 2 + messages.FRAME_COST_BYTES
