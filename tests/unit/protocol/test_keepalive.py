"""Silence and the answer to it: by itself, and as a session's peer sees it."""

import math

import pytest

from devloop import errors
from devloop.protocol import keepalive, messages
from tests.protocol import playbook as play


def test_a_silent_peer_is_asked_and_then_given_up_within_ten_seconds() -> None:
    subject = play.open_agent().waits(keepalive.PING_AFTER_S - 0.1).quiet()
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
        subject.waits(keepalive.PING_AFTER_S).sends(messages.Ping(token)).gets(messages.Pong(token)).quiet()


def test_a_peer_that_talks_is_not_asked() -> None:
    subject = play.open_laptop()
    for _ in range(20):
        subject.waits(2.0).gets(play.output(b"")).tells(messages.Output).quiet()


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


def test_an_old_pong_is_passed_over_and_one_from_nowhere_is_not() -> None:
    subject = play.open_agent().waits(3.0).sends(messages.Ping(1)).gets(messages.Pong(1))
    subject.waits(3.0).sends(messages.Ping(2)).gets(messages.Pong(1)).quiet()
    subject.gets(messages.Pong(7)).tells(play.closed_with(errors.RemoteProtocolError, "nobody asked"))
    play.open_agent().gets(messages.Pong(0)).tells(play.closed_with(errors.RemoteProtocolError, "nobody asked"))


# ---- by itself -----------------------------------------------------------------------------------------------


def test_one_question_is_open_at_a_time() -> None:
    subject = keepalive.Keepalive(0.0)
    assert subject.ask(1.0) == messages.Ping(1)
    assert subject.ask(2.0) is None
    assert subject.ponged(messages.Pong(1), 4.0) == subject.rtt_s == 3.0
    assert subject.ask(5.0) == messages.Ping(2)
    assert subject.ponged(messages.Pong(1), 5.5) is None
    assert subject.rtt_s == 3.0


def test_a_stranger_is_not_asked_but_given_up() -> None:
    subject = keepalive.Keepalive(0.0)
    assert subject.next_tick_s(proved=False) == keepalive.SILENT_AFTER_S
    assert subject.tick(keepalive.SILENT_AFTER_S - 0.1, proved=False) is None
    assert isinstance(subject.tick(keepalive.SILENT_AFTER_S, proved=False), errors.LinkError)


def test_what_is_heard_puts_off_the_question() -> None:
    subject = keepalive.Keepalive(0.0)
    assert subject.next_tick_s(proved=True) == keepalive.PING_AFTER_S
    subject.heard(2.0)
    assert subject.tick(keepalive.PING_AFTER_S, proved=True) is None
    assert subject.tick(2.0 + keepalive.PING_AFTER_S, proved=True) == messages.Ping(1)


def test_only_the_last_question_of_the_peer_is_answered() -> None:
    subject = keepalive.Keepalive(0.0)
    assert subject.take_pong() is None
    subject.pinged(messages.Ping(1))
    subject.pinged(messages.Ping(2))
    assert subject.take_pong() == messages.Pong(2)
    assert subject.take_pong() is None


def test_a_pong_before_any_question_is_the_peers_error() -> None:
    with pytest.raises(errors.RemoteProtocolError, match="nobody asked"):
        keepalive.Keepalive(0.0).ponged(messages.Pong(0), 1.0)
