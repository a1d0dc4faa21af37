"""Proofs and versions, by themselves; the order of things is in tests/protocol."""

import hashlib
import hmac

import pytest

from devloop import errors
from devloop.protocol import handshake, messages, state

ONE, TWO = b"1" * 32, b"2" * 32


def test_a_proof_is_the_documented_hmac() -> None:
    expected = hmac.new(b"key", b"devloop link 1 laptop\0" + ONE + TWO, hashlib.sha256).digest()
    assert handshake.proof(b"key", state.Role.LAPTOP, ONE, TWO) == messages.Proof(expected)


def test_proofs_differ_by_key_role_and_nonces() -> None:
    made = {
        handshake.proof(key, role, laptop, agent).mac
        for key in (b"a", b"b")
        for role in state.Role
        for laptop, agent in ((ONE, TWO), (TWO, ONE), (ONE, ONE))
    }
    assert len(made) == 12


def test_only_the_expected_proof_passes() -> None:
    good = handshake.proof(b"key", state.Role.AGENT, ONE, TWO)
    handshake.check_proof(good, messages.Proof(bytes(bytearray(good.mac))))
    with pytest.raises(errors.AuthError) as caught:
        handshake.check_proof(good, messages.Proof(bytes(32)))
    assert caught.value.hint


def test_the_peers_version_is_not_compared() -> None:
    subject = handshake.Handshake(state.Role.LAPTOP, b"key", ONE, "0.1.0")
    subject.take_nonce(messages.Nonce("devloop", 1, TWO, "0.9.9"))
    assert subject.take_proof(handshake.proof(b"key", state.Role.AGENT, ONE, TWO)) == "0.9.9"


def test_skew_reads_the_same_on_both_sides() -> None:
    at_laptop = handshake.skew(state.Role.LAPTOP, "0.1.0", messages.Nonce("devloop", 2, ONE, "0.2.0"))
    assert str(at_laptop) == "devloop 0.1.0 on the laptop speaks protocol 1, the agent 0.2.0 speaks protocol 2"
    at_agent = handshake.skew(state.Role.AGENT, "0.2.0", messages.Nonce("devloop", 0, ONE, "0.1.0"))
    assert str(at_agent) == "devloop 0.1.0 on the laptop speaks protocol 0, the agent 0.2.0 speaks protocol 1"
    assert (
        at_laptop.hint
        == at_agent.hint
        == ("bring the laptop to the agent's version: pip install --upgrade 'devloop-k8s==0.2.0'")
    )
    assert at_laptop.exit_status is errors.Exit.SKEW


def both(key: bytes = b"key", agent_key: bytes = b"key") -> tuple[handshake.Handshake, handshake.Handshake]:
    """Return a laptop's and an agent's handshake that have each other's nonce."""
    laptop = handshake.Handshake(state.Role.LAPTOP, key, ONE, "0.1.0")
    agent = handshake.Handshake(state.Role.AGENT, agent_key, TWO, "0.2.0")
    laptop.take_nonce(agent.first)
    agent.take_nonce(laptop.first)
    return laptop, agent


def test_two_sides_with_one_key_accept_each_other_and_tell_the_version() -> None:
    laptop, agent = both()
    assert agent.take_proof(laptop.proof()) == "0.1.0"
    assert laptop.take_proof(agent.proof()) == "0.2.0"


def test_neither_another_key_nor_its_own_proof_passes() -> None:
    laptop, agent = both(agent_key=b"another")
    with pytest.raises(errors.AuthError):
        agent.take_proof(laptop.proof())
    with pytest.raises(errors.AuthError):
        laptop.take_proof(agent.proof())
    with pytest.raises(errors.AuthError):
        laptop.take_proof(laptop.proof())


def test_a_nonce_of_another_protocol_is_refused() -> None:
    subject = handshake.Handshake(state.Role.LAPTOP, b"key", ONE, "0.1.0")
    with pytest.raises(errors.RemoteProtocolError, match="does not speak"):
        subject.take_nonce(messages.Nonce("http", 1, TWO, ""))
    with pytest.raises(errors.SkewError):
        subject.take_nonce(messages.Nonce("devloop", 2, TWO, "0.2.0"))
