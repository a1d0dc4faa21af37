"""Errors as a session's last words, and back."""

import pytest

from devloop import errors
from devloop.protocol import agent, codec, farewell, messages, session, state
from tests.protocol import playbook as play


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


@pytest.mark.parametrize(
    "error",
    [
        errors.SkewError("x", hint="h"),
        errors.AuthError("x", hint="h"),
        errors.OwnedError("x", hint="h", owner="ann"),
        errors.ProtocolError("x", hint="h"),
        errors.LinkError("x", hint="h"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_peer_gets_the_same_kind_of_error(error: errors.DevloopError) -> None:
    there = farewell.to_error(farewell.to_bye(error), state.Role.AGENT)
    assert type(there) is type(error)
    assert error.message in there.message
    assert there.hint == "h"
    assert getattr(there, "owner", "") == getattr(error, "owner", "")


@pytest.mark.parametrize("reason", messages.Refusal)
def test_every_reason_means_an_error_in_the_senders_words(reason: messages.Refusal) -> None:
    error = farewell.to_error(messages.Bye(reason, "so it is", "do that"), state.Role.LAPTOP)
    assert "so it is" in error.message
    assert error.hint == "do that"
