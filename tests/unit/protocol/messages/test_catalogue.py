"""The catalogue's own order: tags, streams and costs."""

import typing

import pytest

from devloop.protocol import messages
from tests.unit.protocol import samples

KINDS = typing.get_args(messages.Message)


def test_there_is_a_sample_of_every_message() -> None:
    assert {type(sample) for sample in samples.SAMPLES} == set(KINDS)


def test_tags_are_unique_and_never_change() -> None:
    """The wire format: a tag that changes its meaning needs another major version."""
    tags = {kind.__name__: kind.__struct_config__.tag for kind in KINDS}
    assert len(set(tags.values())) == len(KINDS)
    assert tags == {
        "Nonce": 1, "Proof": 2, "Bye": 3, "AgentHello": 4, "LaptopHello": 5, "Welcome": 6, "Ping": 7, "Pong": 8,
        "Credit": 9, "Rules": 10, "Begin": 11, "Ops": 12, "Pack": 13, "Chunk": 14, "Delta": 15, "Copy": 16,
        "Cancel": 17, "Commit": 18, "Abort": 19, "Need": 30, "Ack": 31, "Problems": 32, "Request": 40, "Part": 41,
        "Done": 42, "Findings": 43, "Output": 44, "AppChanged": 45, "HookStarted": 46, "HookDone": 47,
        "Dial": 50, "Dialled": 51, "Listen": 52, "Listening": 53, "Unlisten": 54, "Accepted": 55, "Data": 56,
        "Eof": 57, "Reset": 58,
    }  # fmt: skip


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)
def test_what_belongs_to_a_stream_names_it(sample: messages.Message) -> None:
    stream = messages.stream_of(sample)
    if isinstance(sample, messages.Output | messages.AppChanged | messages.HookStarted | messages.HookDone):
        assert stream == messages.OUTPUT_STREAM
    elif isinstance(sample, messages.Data | messages.Eof):
        assert stream == samples.STREAM
    elif isinstance(sample, messages.Bulk) or sample.follows:
        assert stream == 16
    else:
        assert stream is None


def test_an_empty_bulk_message_is_not_free() -> None:
    assert messages.cost(messages.Output(1, "app", False, 0, b"")) == messages.FRAME_COST_BYTES
    assert messages.cost(messages.Output(1, "app", False, 0, b"abc")) == messages.FRAME_COST_BYTES + 3
