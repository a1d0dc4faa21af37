"""The table itself: complete, closed, and the same seen from both sides."""

import typing

import pytest

from devloop import errors
from devloop.protocol import messages, state
from devloop.protocol.state import Role, State, Way

KINDS = typing.get_args(messages.Message)


@pytest.mark.parametrize("role", Role)
def test_every_state_can_end_with_bye_and_the_closed_one_takes_nothing(role: Role) -> None:
    for where in State:
        for way in Way:
            row = state.TABLE[role][where, way]
            if where is State.CLOSED:
                assert not row
            else:
                assert row[messages.Bye] is State.CLOSED


@pytest.mark.parametrize("role", Role)
def test_every_message_has_its_place(role: Role) -> None:
    other = role.other
    assert {role, other} == set(Role)
    sent = {kind for where in State for kind in state.TABLE[role][where, Way.SEND]}
    received = {kind for where in State for kind in state.TABLE[other][where, Way.RECEIVE]}
    assert sent == received
    back = {kind for where in State for kind in state.TABLE[other][where, Way.SEND]}
    assert sent | back == set(KINDS)


def test_only_the_greeting_comes_before_the_proof() -> None:
    for role in Role:
        for where in (State.AWAIT_NONCE, State.AWAIT_PROOF):
            assert not state.is_proved(where)
            assert set(state.TABLE[role][where, Way.RECEIVE]) <= {messages.Nonce, messages.Proof, messages.Bye}
    assert not state.is_proved(State.CLOSED)


def test_the_way_to_an_open_session() -> None:
    where = State.AWAIT_NONCE
    where = state.after_receiving(Role.AGENT, where, messages.Nonce)
    where = state.after_receiving(Role.AGENT, where, messages.Proof)
    where = state.after_sending(Role.AGENT, where, messages.Proof)
    where = state.after_sending(Role.AGENT, where, messages.AgentHello)
    where = state.after_receiving(Role.AGENT, where, messages.LaptopHello)
    assert state.after_sending(Role.AGENT, where, messages.Welcome) is State.OPEN


def test_whose_fault_it_is() -> None:
    with pytest.raises(errors.LocalProtocolError, match="the laptop must not send Ack in state open"):
        state.after_sending(Role.LAPTOP, State.OPEN, messages.Ack)
    with pytest.raises(errors.RemoteProtocolError, match="the laptop got Begin in state open"):
        state.after_receiving(Role.LAPTOP, State.OPEN, messages.Begin)


@pytest.mark.parametrize("role", Role)
def test_the_diagram_shows_the_states_of_its_role(role: Role) -> None:
    text = state.diagram(role)
    assert text.startswith("stateDiagram-v2\n")
    assert ("GREETING" in text) is (role is Role.AGENT)
    assert ("AWAIT_WELCOME" in text) is (role is Role.LAPTOP)
    assert "--> OPEN: " in text
