"""The types that fields are made of, and what follows from a message's base."""

import msgspec
import pytest

from devloop.protocol import messages
from devloop.protocol.messages import base


@pytest.mark.parametrize("number", [0, 1, 2**62])
def test_a_count_is_a_number_that_can_be_reckoned_with(number: int) -> None:
    assert msgspec.convert(number, base.Count) == number


@pytest.mark.parametrize("number", [-1, 2**62 + 1])
def test_another_count_is_refused(number: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(number, base.Count)


def test_a_digest_has_the_length_of_a_sha256() -> None:
    assert msgspec.convert(bytes(32), base.Digest) == bytes(32)
    for size in (0, 31, 33):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bytes(size), base.Digest)


def test_the_encodings_of_data_never_change() -> None:
    assert {each.name: each.value for each in base.Codec} == {"RAW": 0, "ZSTD": 1}


def test_a_message_follows_its_stream_by_its_base() -> None:
    assert issubclass(messages.Ops, base.BulkMessage)
    assert messages.Ops.follows == "stream"
    assert not issubclass(messages.Ping, base.BulkMessage)
    assert messages.Ping.follows == ""


def test_fixed_streams_and_numbers_do_not_meet() -> None:
    assert 0 < base.OUTPUT_STREAM < base.FIRST_NUMBER
