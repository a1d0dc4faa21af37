"""What both halves have in common: sending, features and the end."""

import pytest

from devloop import errors
from devloop.protocol import messages, session, state
from tests.protocol import playbook as play


def test_bulk_and_control_have_their_own_ways() -> None:
    half = play.answering().half
    with pytest.raises(errors.LocalProtocolError, match="send_bulk"):
        half.send(play.part(1))  # type: ignore[arg-type]
    with pytest.raises(errors.LocalProtocolError, match="not open"):
        half.send_bulk(play.part(1, stream=17))
    with pytest.raises(errors.LocalProtocolError, match="must not send Pack"):
        half.send_bulk(messages.Pack(16, (0,), 1, messages.Codec.RAW, b"x"))


def test_closing_in_order_sends_what_is_control_first() -> None:
    subject = play.answering()
    subject.does(lambda half: half.send_bulk(play.part(100)))
    subject.does(lambda half: half.send(messages.Findings(0, (), 0, (), 0, 0)))
    subject.does(lambda half: half.close(messages.Bye(messages.Refusal.STOPPING, "stop")))
    subject.sends(messages.Findings, messages.Bye).tells(session.Closed(None)).quiet()
    assert subject.half.phase is state.State.CLOSED


def test_a_closed_session_takes_everything_and_does_nothing() -> None:
    subject = play.answering().does(lambda half: half.fail(errors.AgentError("disk on fire")))
    subject.sends(play.bye(messages.Refusal.STOPPING)).tells(play.closed_with(errors.AgentError))
    half = subject.half
    half.receive(b"garbage", 1.0)
    half.receive_eof()
    half.send(messages.Done(16))
    assert half.can_send(16, 1 << 30)
    assert not half.can_open()
    half.send_bulk(play.part(100))
    half.consumed(16, 1)
    half.tick(99.0)
    half.close(messages.Bye(messages.Refusal.STOPPING, "stop"))
    half.fail(errors.AgentError("again"))
    subject.quiet()


def test_a_connection_that_ends_closes_the_session() -> None:
    subject = play.open_agent().does(lambda half: half.receive_eof("connection reset"))
    subject.tells(lambda event: isinstance(event, session.Closed) and event.by_peer and bool(event.error))
    subject.quiet()


def test_features_that_were_not_agreed_on_are_not_used() -> None:
    subject = play.open_laptop(features=frozenset({"delta"}))
    subject.does(lambda half: half.send(messages.Begin(16, 1)))
    with pytest.raises(errors.LocalProtocolError, match="feature copy"):
        subject.half.send(messages.Copy(16, 0, 0, b"x"))
    other = play.open_agent(features=frozenset({"copy"})).gets(messages.Begin(16, 1))
    other.gets(messages.Delta(16, 0, bytes(32), True, b""))
    other.tells(lambda _: True).tells(play.closed_with(errors.RemoteProtocolError, "feature delta"))
