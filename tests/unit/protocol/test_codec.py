"""Frames: what was encoded comes back, and everything else is the peer's error."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devloop import errors
from devloop.protocol import codec, messages
from tests.unit.protocol import samples


def frame(raw: bytes, number: int = 0) -> bytes:
    return number.to_bytes(4, "big") + raw


def refused(raw: bytes, words: str = "") -> None:
    with pytest.raises(errors.RemoteProtocolError, match=words) as caught:
        codec.FrameReader().message(raw)
    assert caught.value.where == "frame 0"


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)
def test_every_message_comes_back_as_it_was(sample: messages.Message) -> None:
    assert codec.FrameReader().message(codec.FrameWriter().frame(codec.encode(sample))) == sample


@given(st.lists(samples.any_message(), max_size=4))
def test_messages_keep_their_order(sent: list[messages.Message]) -> None:
    writer, reader = codec.FrameWriter(), codec.FrameReader()
    assert [reader.message(writer.frame(codec.encode(message))) for message in sent] == sent
    assert writer.count == reader.count == len(sent)


def test_numbers_wrap_around() -> None:
    writer, reader = codec.FrameWriter(), codec.FrameReader()
    writer.count = reader.count = 2**32 - 1
    for token in range(3):
        assert reader.message(writer.frame(codec.encode(messages.Ping(token)))) == messages.Ping(token)


@pytest.mark.parametrize("number", [1, 2**32 - 1])
def test_a_frame_out_of_order_is_refused(number: int) -> None:
    refused(frame(codec.encode(messages.Ping(1)), number), f"frame {number} came instead of 0")


def test_a_repeated_frame_is_refused() -> None:
    reader = codec.FrameReader()
    once = frame(codec.encode(messages.Ping(1)))
    reader.message(once)
    with pytest.raises(errors.RemoteProtocolError, match="frame 0 came instead of 1"):
        reader.message(once)


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\0\0\0"])
def test_a_frame_without_a_message_is_refused(raw: bytes) -> None:
    refused(raw, "only")


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    refused(bytes(codec.MAX_FRAME_BYTES + 1), "allowed are 262144")
    with pytest.raises(errors.RemoteProtocolError, match="allowed are 10"):
        codec.FrameReader().message(bytes(11), 10)


def test_a_message_that_does_not_fit_is_this_sides_error() -> None:
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        codec.encode(messages.Output(1, "app", False, 0, bytes(codec.MAX_FRAME_BYTES)))


def test_the_largest_data_fits_with_the_most_numbers() -> None:
    ops = tuple(range(2_000_000 - 2048, 2_000_000))
    pack = messages.Pack(2**62, ops, 2**62, messages.Codec.RAW, bytes(messages.MAX_DATA_BYTES))
    largest = codec.FrameWriter().frame(codec.encode(pack))
    assert messages.MAX_DATA_BYTES < len(largest) <= codec.MAX_FRAME_BYTES
    assert codec.FrameReader().message(largest) == pack


BAD = {
    "unknown tag": msgspec.msgpack.encode([99, 1]),
    "no tag": msgspec.msgpack.encode([]),
    "not an array": msgspec.msgpack.encode({"a": 1}),
    "a bool for a tag": msgspec.msgpack.encode([True, 1]),
    "a float for an int": msgspec.msgpack.encode([7, 1.5]),
    "a negative number": msgspec.msgpack.encode([7, -1]),
    "a number too large": msgspec.msgpack.encode([7, 2**63]),
    "a field too few": msgspec.msgpack.encode([12, 16]),
    "an unknown codec": msgspec.msgpack.encode([41, 16, 1, 9, b""]),
    "an unknown question": msgspec.msgpack.encode([40, 16, "weather"]),
    "a short digest": msgspec.msgpack.encode([2, b"x"]),
    "trailing bytes": codec.encode(messages.Ping(1)) + b"\0",
    "two messages": codec.encode(messages.Ping(1)) * 2,
    "a string that is not UTF-8": b"\x95\x03\xa4\xff\xfe\xfd\xfc\xa0\xa0\xa0",
    "a list of four billion": b"\x93\x11\x10\xdd\xff\xff\xff\xff",
    "an array of four billion": b"\xdd\xff\xff\xff\xff\x11\x10",
    "bytes of four billion": b"\x92\x02\xc6\xff\xff\xff\xff",
    "deep nesting": b"\x94\x11\x10\x90" + b"\x91" * 100_000,
    "a reserved byte": b"\xc1",
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_what_is_not_a_message_is_refused(raw: bytes) -> None:
    refused(frame(raw), "not a message")


GOOD = [codec.encode(sample) for sample in samples.SAMPLES]


@given(st.one_of(st.binary(max_size=200), st.builds(lambda good, at: good[:at], st.sampled_from(GOOD), st.integers(0))))
@example(GOOD[0])
@example(b"")
def test_any_bytes_give_a_message_or_the_peers_error(raw: bytes) -> None:
    reader = codec.FrameReader()
    try:
        message = reader.message(frame(raw))
    except errors.RemoteProtocolError as error:
        assert error.where == "frame 0"
    else:
        assert isinstance(message, messages.Message)
        assert codec.FrameReader().message(frame(codec.encode(message))) == message


def test_fields_that_a_newer_peer_appends_are_passed_over() -> None:
    raw = msgspec.msgpack.encode([7, 5, "new", {"a": [1]}])
    assert codec.FrameReader().message(frame(raw)) == messages.Ping(5)
