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
    handshake.check_nonce(state.Role.LAPTOP, "0.1.0", messages.Nonce("devloop", 1, ONE, "0.9.9"))


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
