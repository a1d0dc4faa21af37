"""What someone who has, or has not, the key may try on an agent over the link."""

import os
import tracemalloc

import pytest

from devloop import errors
from devloop.core import entry, ops, zstd
from devloop.protocol import bodies, codec, messages, session
from tests.protocol import playbook as play


def refused(subject: play.Playbook, words: str, where: str) -> None:
    events = subject.half.events()
    end = events[-1]
    assert isinstance(end, session.Closed)
    assert isinstance(end.error, errors.RemoteProtocolError)
    assert words in str(end.error)
    assert end.error.where == where
    subject.sends(play.bye(messages.Refusal.PROTOCOL)).quiet()


def test_an_oversized_frame_is_refused_unread() -> None:
    subject = play.open_agent()
    tracemalloc.start()
    try:
        frame = bytes(codec.MAX_FRAME_BYTES + 1)
        before = tracemalloc.get_traced_memory()[0]
        subject.gets_frame(frame)
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
    finally:
        tracemalloc.stop()
    refused(subject, "allowed are 262144", "frame 3")


@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/../../x", b"a\0b", b".git/x", b"a/.devloop/x"])
def test_a_path_out_of_the_root_ends_the_session(path: bytes) -> None:
    raw = messages.WireOp(1, 0, path, entry.file(bytes(32), 1))
    listing = next(iter(bodies.listings([raw])))
    subject = play.open_agent().gets(messages.Begin(16, 1))
    subject.gets(messages.Ops(16, len(listing), messages.Codec.RAW, listing))
    refused(subject, "", "WireOp.path")


def test_a_bomb_in_a_batch_ends_the_session_at_no_cost() -> None:
    bomb = zstd.library.compress(bytes(1 << 27))
    subject = play.open_agent().gets(messages.Begin(16, 1))
    for message in bodies.Encoder(0).ops(16, [ops.put(0, "a", entry.file(bytes(32), 1 << 30))]):
        subject.gets(message)
    tracemalloc.start()
    try:
        subject.gets(messages.Chunk(16, 0, 0, 240 * 1024, messages.Codec.ZSTD, bomb))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    refused(subject, "", "Chunk")


def test_a_billion_ops_end_the_session() -> None:
    refused(play.open_agent().gets(messages.Begin(16, 10**9)), "ops announced", "Begin.ops")


def test_batches_without_end_do_not_fill_the_memory() -> None:
    """Begin, some data, Abort, again and again, while the agent's disk does not come along."""
    subject = play.open_agent()
    encoder = bodies.Encoder(0)
    for batch in range(16, 400):
        subject.gets(messages.Begin(batch, 1))
        for message in encoder.ops(batch, [ops.put(0, "a", entry.file(bytes(32), 200_000))]):
            subject.gets(message)
        subject.gets(encoder.chunk(batch, 0, 0, os.urandom(200_000))).gets(messages.Abort(batch))
        if subject.half.closed:
            break
    assert subject.half.statistics().held_bytes <= messages.Limits().total_credit_bytes
    assert subject.half.closed


def test_empty_messages_are_not_free() -> None:
    subject = play.open_laptop()
    empty = messages.Output(1, "app", False, 0, b"")
    count = 0
    while not subject.half.closed and count < 100_000:
        subject.gets(empty)
        count += 1
    assert count < 70_000
    assert isinstance(subject.half.events()[-1], session.Closed)


def test_a_peer_that_floods_with_control_makes_no_queue() -> None:
    subject = play.open_agent()
    for token in range(5000):
        subject.gets(messages.Ping(token))
    frames = 0
    while subject.half.next_frame() is not None:
        frames += 1
    assert frames == 2


@pytest.mark.parametrize("data", [b"", b"\0", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + bytes(500)])
def test_another_protocol_is_refused(data: bytes) -> None:
    refused(play.open_agent().gets_frame(data), "", "frame 3")
