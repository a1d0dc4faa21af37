"""The link by itself: what goes first, credit, frames, pings and figures, through sessions that are open."""

import pytest

from devloop import errors
from devloop.protocol import keepalive, link, messages, state
from tests.protocol import playbook as play


def test_control_goes_before_bulk_and_keeps_its_streams_order() -> None:
    subject = play.answering()
    subject.does(lambda half: half.send_bulk(play.part(100)))
    subject.does(lambda half: half.send(messages.Done(16)))
    subject.does(lambda half: half.send_bulk(play.output(b"line\n")))
    subject.does(lambda half: half.send(messages.HookStarted("pip")))
    subject.does(lambda half: half.send(messages.Findings(0, (), 0, (), 0, 0)))
    subject.sends(messages.Findings, messages.Part, messages.Output, messages.Done, messages.HookStarted).quiet()


def test_bulk_without_credit_is_refused() -> None:
    subject = play.answering()
    half = subject.half
    assert half.can_send(16, 200_000)
    half.send_bulk(play.part(200_000))
    assert not half.can_send(16, 200_000)
    with pytest.raises(errors.LocalProtocolError, match="no credit"):
        half.send_bulk(play.part(200_000))
    assert half.statistics().queued_bytes == 200_064
    subject.sends(messages.Part).gets(messages.Credit(200_064, ((16, 200_064),)))
    assert half.can_send(16, 200_000)
    assert half.statistics().in_flight_bytes == 0


def test_a_message_that_is_too_large_costs_nothing() -> None:
    half = play.answering().half
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        half.send_bulk(messages.Output(1, "x" * 300_000, False, 0, b""))
    assert half.statistics().queued_bytes == 0
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        half.send(messages.HookStarted("x" * 300_000))
    assert not half.closed


def test_frames_are_small_while_the_window_is() -> None:
    half = play.answering().half
    assert 60_000 < half.frame_bytes < 64 * 1024
    half.send_bulk(play.part(half.frame_bytes))


def test_what_came_is_reported_when_it_is_worth_a_frame() -> None:
    subject = play.open_laptop()
    subject.gets(play.output(bytes(1000))).tells(messages.Output).quiet()
    assert subject.half.statistics().held_bytes == 1064
    subject.does(lambda half: half.consumed(1, 1064)).quiet()
    subject.gets(play.output(bytes(65_000))).tells(messages.Output)
    subject.sends(messages.Credit(66_128, ((1, 1064),))).quiet()


def test_more_than_the_credit_ends_the_session() -> None:
    subject = play.open_laptop()
    for _ in range(20):
        subject.gets(play.output(bytes(200_000))).tells(messages.Output)
    subject.gets(play.output(bytes(200_000))).tells(play.closed_with(errors.RemoteProtocolError, "no credit"))


def test_a_ping_is_answered_once_however_many_come() -> None:
    subject = play.open_laptop()
    for token in range(1000):
        subject.gets(messages.Ping(token))
    subject.sends(messages.Pong(999)).quiet()


def test_the_round_trip_is_measured() -> None:
    subject = play.open_agent().gets(messages.Ping(9)).sends(messages.Ping(1), messages.Pong(9))
    subject.now_s = 0.25
    subject.gets(messages.Pong(1)).quiet()
    assert subject.half.statistics().rtt_s == 0.25


def test_the_rate_is_measured_from_the_time_at_which_frames_are_taken() -> None:
    subject = play.answering().does(lambda half: half.send_bulk(play.part(100_000)))
    assert subject.half.next_frame(10.0) is not None
    subject.now_s = 10.1
    subject.gets(messages.Credit(100_064)).quiet()
    assert subject.half.statistics().rate_bytes_per_s == pytest.approx(1e6, rel=0.01)


def test_statistics_tell_the_frames() -> None:
    subject = play.answering().does(lambda half: half.send_bulk(play.part(100))).sends(messages.Part)
    figures = subject.half.statistics()
    assert figures.state is state.State.OPEN
    assert (figures.sent_frames, figures.received_frames) == (5, 4)
    assert figures.sent_bytes > 100
    assert figures.received_bytes > 100
    assert [each.stream for each in figures.streams] == [1, 16]
    assert figures.rtt_s is None


def test_a_link_counts_only_frames_that_hold_a_message() -> None:
    subject = link.Link(0.0)
    with pytest.raises(errors.RemoteProtocolError):
        subject.receive(b"\0\0\0\0\xc1", 100, 1.0)
    figures = subject.statistics(state.State.OPEN)
    assert figures.received_bytes == 0
    assert subject.next_tick_s(proved=False) == keepalive.SILENT_AFTER_S


def test_what_is_owed_is_sent_once() -> None:
    subject = link.Link(0.0)
    subject.maintain(messages.Ping(7))
    while subject.next_frame(0.0) is not None:
        pass
    subject.queue_due()
    assert subject.next_frame(0.0) is not None
    subject.queue_due()
    assert subject.next_frame(0.0) is None


def test_what_a_reset_drops_before_it_left_is_not_under_way() -> None:
    pair = play.Pair().open()
    number = pair.laptop.streams.next_number
    pair.laptop.send(messages.Dial(number, "db", 1))
    pair.pump()
    pair.agent.send(messages.Dialled(number))
    pair.pump()
    for _ in range(3):
        pair.laptop.send_bulk(messages.Data(number, bytes(60_000)))
    pair.laptop.send(messages.Eof(number))
    assert pair.laptop.statistics().in_flight_bytes == pair.laptop.statistics().queued_bytes == 3 * 60_064
    pair.laptop.send(messages.Reset(number))
    assert pair.laptop.statistics().in_flight_bytes == pair.laptop.statistics().queued_bytes == 0
    pair.at_agent.clear()
    pair.pump()
    assert pair.at_agent == [messages.Reset(number)]


def test_a_reset_that_comes_drops_what_has_not_left() -> None:
    pair = play.Pair().open()
    number = pair.laptop.streams.next_number
    pair.laptop.send(messages.Dial(number, "db", 1))
    pair.pump()
    pair.agent.send(messages.Dialled(number))
    pair.pump()
    pair.laptop.send_bulk(messages.Data(number, bytes(60_000)))
    pair.agent.send(messages.Reset(number))
    frame = pair.agent.next_frame()
    assert frame is not None
    pair.laptop.receive(frame, 0.0)
    assert pair.laptop.statistics().in_flight_bytes == pair.laptop.statistics().queued_bytes == 0
