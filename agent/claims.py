"""Whose session this agent serves: the fence against two laptops that write to the same pod.

A claim has an epoch. A laptop that comes anew claims one more than the agent has seen; the agent takes a claim that
is higher, or that is the very session it has, and refuses the rest with the owner's name. The claim outlives the
agent's restart in its state folder.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from devloop.protocol import messages


class Claim(msgspec.Struct, frozen=True):
    """One session's claim.

    Attributes:
        epoch: Rises with each new session; 0 before the first.
        session: The session's identity.
        owner: `user@host`.
    """

    epoch: int = 0
    session: str = ""
    owner: str = ""


def decide(held: Claim, asked: Claim) -> messages.Bye | None:
    """Return None where the claim is taken, else the refusal.

    Args:
        held: The agent's claim so far.
        asked: The laptop's.
    """
    if asked.epoch > held.epoch or (asked.epoch == held.epoch and asked.session == held.session):
        return None
    return messages.Bye(
        messages.Refusal.EPOCH,
        f"the session belongs to {held.owner or 'someone else'} now",
        hint="connect again, or ask them to stop their `devloop watch`",
        owner=held.owner,
    )


def load(path: str) -> Claim:
    """Return the stored claim, or an empty one where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Claim)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Claim()


def save(path: str, claim: Claim) -> None:
    """Store a claim. A full disk is no reason to refuse a session: the fence then holds until the agent ends."""
    fresh = f"{path}.new"
    with contextlib.suppress(OSError):
        with open(fresh, "wb") as file:
            file.write(msgspec.json.encode(claim))
        os.rename(fresh, path)
