"""The kubelet's framing, however the messages are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.kube import channels


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, bytes, list[bytes]]:
    """Data and words, cut anywhere into messages of two channels, which are mixed."""
    streams = {0: draw(st.binary(max_size=40)), 1: draw(st.binary(max_size=40))}
    cut: dict[int, list[bytes]] = {}
    for channel, data in streams.items():
        whole = (7460).to_bytes(2, "little") + data
        places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=6)))
        edges = [0, *places, len(whole)]
        cut[channel] = [whole[start:end] for start, end in itertools.pairwise(edges)]
    order = draw(st.permutations([channel for channel, parts in cut.items() for _ in parts]))
    return streams[0], streams[1], [bytes([channel]) + cut[channel].pop(0) for channel in order]


@given(messages())
def test_channels_are_told_apart_wherever_they_are_cut(given_: tuple[bytes, bytes, list[bytes]]) -> None:
    data, words, cut = given_
    found = {channels.DATA: b"", channels.ERROR: b""}
    ports = channels.PortChannels(7460)
    for message in cut:
        piece = ports.feed(message)
        found[piece.channel] += piece.data
    assert ports.begun and found == {channels.DATA: data, channels.ERROR: words}


def test_a_port_forward_has_begun_when_both_channels_named_the_port() -> None:
    ports = channels.PortChannels(258)
    ports.feed(b"\x00\x02\x01")
    ports.feed(b"\x01\x02")
    assert not ports.begun
    ports.feed(b"\x01\x01")
    assert ports.begun


@pytest.mark.parametrize("message", [b"", b"\x02x", b"\xff", b"\x00\x01\x00"])
def test_what_is_of_no_such_port_forward_is_refused(message: bytes) -> None:
    with pytest.raises(errors.ForwardError):
        channels.PortChannels(7460).feed(message)


@given(st.binary(max_size=64))
def test_garbage_is_an_error_and_never_anything_else(message: bytes) -> None:
    ports = channels.PortChannels(7460)
    try:
        for _ in range(3):
            ports.feed(message)
    except errors.ForwardError:
        pass
