"""Listeners: numbers rise, answers come once, and what crosses an end is no error."""

import pytest

from devloop import errors
from devloop.protocol import listeners, messages

LOCAL, REMOTE = errors.LocalProtocolError, errors.RemoteProtocolError


def opened() -> listeners.Listeners:
    subject = listeners.Listeners()
    assert subject.check(messages.Listen(subject.next_number, 80), LOCAL, crossed=False)
    return subject


def test_a_listener_is_answered_once() -> None:
    subject = opened()
    assert subject.check(messages.Listening(0), REMOTE, crossed=True)
    with pytest.raises(REMOTE, match="waits for no answer"):
        subject.check(messages.Listening(0), REMOTE, crossed=True)


def test_a_refused_one_is_gone() -> None:
    subject = opened()
    assert subject.check(messages.Listening(0, "taken"), REMOTE, crossed=True)
    assert len(subject) == 0
    with pytest.raises(LOCAL, match="no listener 0"):
        subject.check(messages.Unlisten(0), LOCAL, crossed=False)
    assert not subject.check(messages.Unlisten(0), REMOTE, crossed=True)


def test_what_crosses_the_end_of_one_is_no_error() -> None:
    subject = opened()
    assert subject.check(messages.Unlisten(0), LOCAL, crossed=False)
    assert not subject.check(messages.Listening(0), REMOTE, crossed=True)
    assert subject.check(messages.Accepted(messages.FIRST_STREAM + 1, 0, "p"), REMOTE, crossed=True)


@pytest.mark.parametrize(
    "message",
    [messages.Listening(1), messages.Unlisten(1), messages.Accepted(messages.FIRST_STREAM + 1, 1, "p")],
)
def test_one_that_never_was_is_an_error(message: messages.Message) -> None:
    with pytest.raises(REMOTE, match="no listener 1"):
        opened().check(message, REMOTE, crossed=True)


def test_numbers_rise_and_there_are_not_too_many() -> None:
    subject = opened()
    with pytest.raises(REMOTE, match="listener 0, after 0"):
        subject.check(messages.Listen(0, 80), REMOTE, crossed=True)
    for _ in range(listeners.MAX_LISTENERS - 1):
        subject.check(messages.Listen(subject.next_number, 80), REMOTE, crossed=True)
    with pytest.raises(REMOTE, match="listener 64, after 63"):
        subject.check(messages.Listen(64, 80), REMOTE, crossed=True)


def test_other_messages_are_none_of_its_business() -> None:
    assert opened().check(messages.Ping(1), REMOTE, crossed=True)
