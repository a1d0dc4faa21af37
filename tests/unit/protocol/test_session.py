"""What both halves have in common: sending, credit, time and the end."""

import math

import pytest

from devloop import errors
from devloop.protocol import agent, codec, messages, session, state
from tests.protocol import playbook as play

RAW = messages.Codec.RAW


def part(size: int, stream: int = 16) -> messages.Part:
    return messages.Part(stream, size, RAW, bytes(size))


def output(data: bytes) -> messages.Output:
    return messages.Output(messages.OUTPUT_STREAM, "app", False, 0, data)


def answering() -> play.Playbook:
    """Return an agent's half with request 16 open."""
    return play.open_agent().gets(messages.Request(16, messages.Ask.MANIFEST)).tells(messages.Request)


def test_control_goes_before_bulk_and_keeps_its_streams_order() -> None:
    subject = answering()
    subject.does(lambda half: half.send_bulk(part(100)))
    subject.does(lambda half: half.send(messages.Done(16)))
    subject.does(lambda half: half.send_bulk(output(b"line\n")))
    subject.does(lambda half: half.send(messages.HookStarted("pip")))
    subject.does(lambda half: half.send(messages.Findings(0, (), 0, (), 0, 0)))
    subject.sends(messages.Findings, messages.Part, messages.Output, messages.Done, messages.HookStarted).quiet()


def test_bulk_without_credit_is_refused() -> None:
    subject = answering()
    half = subject.half
    assert half.can_send(16, 200_000)
    half.send_bulk(part(200_000))
    assert not half.can_send(16, 200_000)
    with pytest.raises(errors.LocalProtocolError, match="no credit"):
        half.send_bulk(part(200_000))
    assert half.statistics().queued_bytes == 200_064
    subject.sends(messages.Part).gets(messages.Credit(200_064, ((16, 200_064),)))
    assert half.can_send(16, 200_000)
    assert half.statistics().in_flight_bytes == 0


def test_bulk_and_control_have_their_own_ways() -> None:
    half = answering().half
    with pytest.raises(errors.LocalProtocolError, match="send_bulk"):
        half.send(part(1))  # type: ignore[arg-type]
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        half.send_bulk(part(1, stream=17))
    with pytest.raises(errors.LocalProtocolError, match="must not send Pack"):
        half.send_bulk(messages.Pack(16, (0,), 1, RAW, b"x"))


def test_a_message_that_is_too_large_costs_nothing() -> None:
    half = answering().half
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        half.send_bulk(messages.Output(1, "x" * 300_000, False, 0, b""))
    assert half.statistics().queued_bytes == 0
    with pytest.raises(errors.LocalProtocolError, match="does not fit"):
        half.send(messages.HookStarted("x" * 300_000))
    assert not half.closed


def test_frames_are_small_while_the_window_is() -> None:
    half = answering().half
    assert 60_000 < half.frame_bytes < 64 * 1024
    half.send_bulk(part(half.frame_bytes))


def test_what_came_is_reported_when_it_is_worth_a_frame() -> None:
    subject = play.open_laptop()
    subject.gets(output(bytes(1000))).tells(messages.Output).quiet()
    assert subject.half.statistics().held_bytes == 1064
    subject.does(lambda half: half.consumed(1, 1064)).quiet()
    subject.gets(output(bytes(65_000))).tells(messages.Output)
    subject.sends(messages.Credit(66_128, ((1, 1064),))).quiet()


def test_more_than_the_credit_ends_the_session() -> None:
    subject = play.open_laptop()
    for _ in range(20):
        subject.gets(output(bytes(200_000))).tells(messages.Output)
    subject.gets(output(bytes(200_000))).tells(play.closed_with(errors.RemoteProtocolError, "no credit"))


# ---- time ----------------------------------------------------------------------------------------------------


def test_a_silent_peer_is_asked_and_then_given_up_within_ten_seconds() -> None:
    subject = play.open_agent().waits(session.PING_AFTER_S - 0.1).quiet()
    subject.waits(0.2).sends(messages.Ping(1)).quiet()
    subject.waits(4.8).quiet()
    subject.waits(0.2).tells(play.closed_with(errors.LinkError, "nothing was heard")).sends(
        play.bye(messages.Refusal.SILENT)
    )
    assert subject.now_s < 10.0
    assert subject.half.next_tick_s == math.inf


def test_a_peer_that_answers_stays() -> None:
    subject = play.open_agent()
    for token in range(1, 20):
        subject.waits(session.PING_AFTER_S).sends(messages.Ping(token)).gets(messages.Pong(token)).quiet()


def test_a_peer_that_talks_is_not_asked() -> None:
    subject = play.open_laptop()
    for _ in range(20):
        subject.waits(2.0).gets(output(b"")).tells(messages.Output).quiet()


def test_a_side_that_slept_gives_the_peer_another_chance() -> None:
    subject = play.open_agent()
    subject.now_s = 3600.0
    subject.half.tick(3600.0)
    subject.sends(messages.Ping).quiet()
    subject.gets(messages.Pong(1)).waits(2.0).quiet()


def test_a_side_that_slept_finds_a_dead_link_soon() -> None:
    subject = play.open_agent().waits(3.0).sends(messages.Ping)
    subject.now_s = 3600.0
    subject.half.tick(3600.0)
    subject.sends(messages.Ping).waits(5.1).tells(play.closed_with(errors.LinkError, "nothing was heard"))


def test_a_tick_before_its_time_does_nothing() -> None:
    play.open_agent().does(lambda half: half.tick(0.5)).quiet()


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
    subject = answering().does(lambda half: half.send_bulk(part(100_000)))
    assert subject.half.next_frame(10.0) is not None
    subject.now_s = 10.1
    subject.gets(messages.Credit(100_064)).quiet()
    assert subject.half.statistics().rate_bytes_per_s == pytest.approx(1e6, rel=0.01)


def test_an_old_pong_is_passed_over_and_one_from_nowhere_is_not() -> None:
    subject = play.open_agent().waits(3.0).sends(messages.Ping(1)).gets(messages.Pong(1))
    subject.waits(3.0).sends(messages.Ping(2)).gets(messages.Pong(1)).quiet()
    subject.gets(messages.Pong(7)).tells(play.closed_with(errors.RemoteProtocolError, "nobody asked"))
    play.open_agent().gets(messages.Pong(0)).tells(play.closed_with(errors.RemoteProtocolError, "nobody asked"))


# ---- the end -------------------------------------------------------------------------------------------------


def test_closing_in_order_sends_what_is_control_first() -> None:
    subject = answering()
    subject.does(lambda half: half.send_bulk(part(100)))
    subject.does(lambda half: half.send(messages.Findings(0, (), 0, (), 0, 0)))
    subject.does(lambda half: half.close(messages.Bye(messages.Refusal.STOPPING, "stop")))
    subject.sends(messages.Findings, messages.Bye).tells(session.Closed(None)).quiet()
    assert subject.half.phase is state.State.CLOSED


def test_a_closed_session_takes_everything_and_does_nothing() -> None:
    subject = answering().does(lambda half: half.fail(errors.AgentError("disk on fire")))
    subject.sends(play.bye(messages.Refusal.STOPPING)).tells(play.closed_with(errors.AgentError))
    half = subject.half
    half.receive(b"garbage", 1.0)
    half.receive_eof()
    half.send(messages.Done(16))
    assert half.can_send(16, 1 << 30)
    assert not half.can_open()
    half.send_bulk(part(100))
    half.consumed(16, 1)
    half.tick(99.0)
    half.close(messages.Bye(messages.Refusal.STOPPING, "stop"))
    half.fail(errors.AgentError("again"))
    subject.quiet()


def test_a_connection_that_ends_closes_the_session() -> None:
    subject = play.open_agent().does(lambda half: half.receive_eof("connection reset"))
    subject.tells(lambda event: isinstance(event, session.Closed) and event.by_peer and bool(event.error))
    subject.quiet()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.SkewError("x"), messages.Refusal.MAJOR),
        (errors.AuthError("x"), messages.Refusal.PROOF),
        (errors.OwnedError("x", owner="ann"), messages.Refusal.OWNED),
        (errors.LocalProtocolError("x"), messages.Refusal.PROTOCOL),
        (errors.LinkError("x"), messages.Refusal.STOPPING),
    ],
)
def test_the_peer_is_told_why(error: errors.DevloopError, reason: messages.Refusal) -> None:
    subject = play.open_agent().does(lambda half: half.fail(error)).sends(play.bye(reason))
    subject.tells(session.Closed(error)).quiet()


def test_a_farewell_is_short_enough_for_a_stranger() -> None:
    subject = play.Playbook(agent.AgentSession(play.KEY, play.AGENT_NONCE, 0.0)).sends(messages.Nonce)
    subject.does(lambda half: half.fail(errors.OwnedError("ü" * 9000, hint="ü" * 9000, owner="ü" * 9000)))
    frame = subject.half.next_frame()
    assert frame is not None
    assert len(frame) < codec.MAX_STRANGER_FRAME_BYTES


def test_statistics_tell_the_frames() -> None:
    subject = answering().does(lambda half: half.send_bulk(part(100))).sends(messages.Part)
    figures = subject.half.statistics()
    assert figures.state is state.State.OPEN
    assert (figures.sent_frames, figures.received_frames) == (5, 4)
    assert figures.sent_bytes > 100
    assert figures.received_bytes > 100
    assert [each.stream for each in figures.streams] == [1, 16]
    assert figures.rtt_s is None


def test_features_that_were_not_agreed_on_are_not_used() -> None:
    subject = play.open_laptop(features=frozenset({"delta"}))
    subject.does(lambda half: half.send(messages.Begin(16, 1)))
    with pytest.raises(errors.LocalProtocolError, match="feature copy"):
        subject.half.send(messages.Copy(16, 0, 0, b"x"))
    other = play.open_agent(features=frozenset({"copy"})).gets(messages.Begin(16, 1))
    other.gets(messages.Delta(16, 0, bytes(32), True, b""))
    other.tells(lambda _: True).tells(play.closed_with(errors.RemoteProtocolError, "feature delta"))
