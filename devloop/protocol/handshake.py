"""How the two sides prove to each other that they know the agent's key, and tell each other's version.

Each side sends a random nonce; each then sends HMAC-SHA256(key, role label || laptop nonce || agent nonce). The
label keeps the roles apart, so a proof that is sent back to its maker proves nothing; the nonces are new for every
link, so a recorded proof is worthless. The key itself never travels.
"""

from __future__ import annotations

import hmac
from typing import Final

from devloop import errors
from devloop.protocol import messages, state, version

NONCE_BYTES: Final = 32
MAGIC: Final = "devloop"

# Both nonces have a fixed length and the labels end in a NUL, so the text can be read in one way only.
_LABELS: Final = {state.Role.LAPTOP: b"devloop link 1 laptop\0", state.Role.AGENT: b"devloop link 1 agent\0"}


def first_message(nonce: bytes, own_version: str) -> messages.Nonce:
    """Return what a side says first.

    Args:
        nonce: 32 bytes from the system's random source, never used before.
        own_version: devloop's version.

    Raises:
        LocalProtocolError: The nonce has another length.
    """
    if len(nonce) != NONCE_BYTES:
        raise errors.LocalProtocolError(f"a nonce of {len(nonce)} bytes instead of {NONCE_BYTES}", where="Nonce")
    return messages.Nonce(MAGIC, version.MAJOR, nonce, own_version)


def check_nonce(role: state.Role, own_version: str, peer: messages.Nonce) -> None:
    """Check the peer's first message.

    Args:
        role: This side.
        own_version: devloop's version here.
        peer: The message.

    Raises:
        RemoteProtocolError: The peer speaks something else.
        SkewError: The peer speaks another major version; the hint says which side to bring up to date.
    """
    if peer.magic != MAGIC:
        raise errors.RemoteProtocolError("the peer does not speak devloop's protocol", where="Nonce.magic")
    if peer.major != version.MAJOR:
        raise skew(role, own_version, peer)


def skew(role: state.Role, own_version: str, peer: messages.Nonce) -> errors.SkewError:
    """Return the error that two different major versions mean, in the same words on either side."""
    on_laptop = role is state.Role.LAPTOP
    laptop, agent = (own_version, peer.version) if on_laptop else (peer.version, own_version)
    laptop_is_older = (peer.major > version.MAJOR) is on_laptop
    if laptop_is_older:
        hint = f"bring the laptop to the agent's version: pip install --upgrade 'devloop-k8s=={agent}'"
    else:
        hint = f"bring the agent to the laptop's version: use the agent image with the tag {laptop}"
    mine, theirs = version.MAJOR, peer.major
    majors = (mine, theirs) if on_laptop else (theirs, mine)
    message = (
        f"devloop {laptop} on the laptop speaks protocol {majors[0]}, the agent {agent} speaks protocol {majors[1]}"
    )
    return errors.SkewError(message, hint=hint)


def proof(key: bytes, role: state.Role, laptop_nonce: bytes, agent_nonce: bytes) -> messages.Proof:
    """Return the proof of one role."""
    text = _LABELS[role] + laptop_nonce + agent_nonce
    return messages.Proof(hmac.digest(key, text, "sha256"))


def check_proof(expected: messages.Proof, peer: messages.Proof) -> None:
    """Check the peer's proof in constant time.

    Raises:
        AuthError: It was made with another key.
    """
    if not hmac.compare_digest(expected.mac, peer.mac):
        raise errors.AuthError(
            "the other side could not prove that it knows the agent's key",
            hint="the agent was restarted with a new key, or something else answers on its address; "
            "devloop reads the key anew when it connects again",
        )


class Handshake:
    """One side's nonce and proof on one link.

    Args:
        role: This side.
        key: The agent's key.
        nonce: 32 bytes from the system's random source, never used before.
        own_version: devloop's version here.

    Raises:
        LocalProtocolError: The nonce has another length.
    """

    def __init__(self, role: state.Role, key: bytes, nonce: bytes, own_version: str) -> None:
        self.first = first_message(nonce, own_version)
        """What this side says first."""
        self._role = role
        self._key = key
        self._own_version = own_version
        self._peer: messages.Nonce | None = None

    def take_nonce(self, peer: messages.Nonce) -> None:
        """Take the peer's first message.

        Raises:
            RemoteProtocolError: The peer speaks something else.
            SkewError: The peer speaks another major version.
        """
        check_nonce(self._role, self._own_version, peer)
        self._peer = peer

    def proof(self) -> messages.Proof:
        """Return this side's proof; the peer's nonce must have come."""
        return self._proof_of(self._role)

    def take_proof(self, peer: messages.Proof) -> str:
        """Check the peer's proof, whose nonce must have come.

        Returns:
            devloop's version there.

        Raises:
            AuthError: It was made with another key.
        """
        check_proof(self._proof_of(self._role.other), peer)
        return self._met().version

    def _proof_of(self, role: state.Role) -> messages.Proof:
        mine, theirs = self.first.nonce, self._met().nonce
        laptop, agent = (mine, theirs) if self._role is state.Role.LAPTOP else (theirs, mine)
        return proof(self._key, role, laptop, agent)

    def _met(self) -> messages.Nonce:
        assert self._peer is not None, "the state table lets nothing through before the peer's nonce"
        return self._peer
