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


# ---- byte streams

STREAM = messages.FIRST_STREAM


def dialled() -> play.Playbook:
    """Return an agent's half with one open stream."""
    subject = play.open_agent().gets(messages.Dial(STREAM, "db", 80)).tells(messages.Dial)
    return subject.does(lambda half: half.send(messages.Dialled(STREAM))).sends(messages.Dialled)


def test_more_than_the_credit_of_a_stream_ends_the_session() -> None:
    subject = dialled()
    bound = messages.StreamLimits().own_bytes + messages.StreamLimits().shared_bytes
    for _ in range(bound // 200_000 + 2):
        subject.gets(messages.Data(STREAM, bytes(200_000)))
    assert subject.half.statistics().held_bytes <= bound
    events = subject.half.events()
    assert isinstance(events[-1], session.Closed)
    assert "no credit" in str(events[-1].error)


@pytest.mark.parametrize("message", [messages.Data(STREAM, b"x"), messages.Eof(STREAM), messages.Reset(STREAM)])
def test_a_stream_that_was_never_opened_ends_the_session(message: messages.Message) -> None:
    refused(play.open_agent().gets(message), "never opened", type(message).__name__)


def test_data_after_its_end_ends_the_session() -> None:
    subject = dialled().gets(messages.Eof(STREAM)).tells(messages.Eof).gets(messages.Data(STREAM, b"x"))
    refused(subject, "not open", "Data")


def test_data_before_the_answer_ends_the_session() -> None:
    subject = play.open_agent().gets(messages.Dial(STREAM, "db", 80)).tells(messages.Dial)
    subject.gets(messages.Data(STREAM, b"x"))
    refused(subject, "not open", "Data")


@pytest.mark.parametrize("number", [STREAM, STREAM + 1, STREAM + 3])
def test_a_number_that_is_used_again_or_is_the_agents_ends_the_session(number: int) -> None:
    subject = play.open_agent().gets(messages.Dial(STREAM, "db", 80)).gets(messages.Reset(STREAM))
    subject.tells(messages.Dial, messages.Reset).gets(messages.Dial(number, "db", 80))
    refused(subject, "is opened after", "stream")


def test_the_agent_cannot_say_what_only_the_laptop_may() -> None:
    for message in (messages.Dial(STREAM, "db", 80), messages.Listen(0, 80), messages.Unlisten(0)):
        subject = play.open_laptop().gets(message)
        assert isinstance(subject.half.events()[-1], session.Closed)


def test_a_connection_of_no_listener_ends_the_session() -> None:
    refused(play.open_laptop().gets(messages.Accepted(STREAM + 1, 0, "x")), "no listener 0", "number")


def test_thousands_of_dials_end_the_session() -> None:
    subject = play.open_agent()
    for index in range(5000):
        subject.gets(messages.Dial(STREAM + 2 * index, "db", 80))
        if subject.half.closed:
            break
    assert index == messages.StreamLimits().max_open
    assert isinstance(subject.half.events()[-1], session.Closed)


def test_dials_and_resets_without_end_keep_nothing() -> None:
    """Each is given up before it is answered."""
    subject = play.open_agent()
    for index in range(5000):
        subject.gets(messages.Dial(STREAM + 2 * index, "db", 80)).gets(messages.Reset(STREAM + 2 * index))
        subject.half.events()
    subject.quiet()
    assert len(subject.half.streams) == 0
    assert not subject.half.closed


def test_a_storm_of_resets_is_harmless_and_unanswered() -> None:
    subject = dialled()
    for _ in range(5000):
        subject.gets(messages.Reset(STREAM, "x" * 2000))
    subject.tells(messages.Reset).quiet()
    assert not subject.half.closed


def test_data_for_a_stream_that_is_gone_is_counted_and_dropped() -> None:
    subject = dialled().does(lambda half: half.send(messages.Reset(STREAM))).sends(messages.Reset)
    for _ in range(1000):
        subject.gets(messages.Data(STREAM, bytes(1000)))
    assert subject.half.events() == []
    assert subject.half.statistics().held_bytes == 0
    subject.sends(lambda message: isinstance(message, messages.Credit) and message.received == 1_064_000)
    subject.quiet()


def test_credit_for_more_than_was_sent_ends_the_session() -> None:
    subject = dialled().gets(messages.Credit(0, ((STREAM, 1),)))
    refused(subject, "less under way", "Credit.grants")


def test_listeners_without_end_end_the_session() -> None:
    subject = play.open_agent()
    for number in range(1000):
        subject.gets(messages.Listen(number, 9000))
    assert subject.half.closed


@pytest.mark.parametrize("message", [messages.Begin(STREAM, 1), messages.Request(STREAM, messages.Ask.SWEEP)])
def test_batches_and_requests_do_not_take_the_numbers_of_streams(message: messages.Message) -> None:
    assert play.open_agent().gets(message).half.closed


def test_without_the_feature_there_are_no_streams() -> None:
    subject = play.open_agent(features=frozenset({"delta"})).gets(messages.Dial(STREAM, "db", 80))
    refused(subject, "needs the feature streams", "Dial")
    with pytest.raises(errors.LocalProtocolError, match="needs the feature streams"):
        play.open_laptop(features=frozenset()).half.send(messages.Dial(STREAM, "db", 80))
