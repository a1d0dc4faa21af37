"""Claiming an agent: whether it may be ours, and what the laptop says of itself.

Pure functions of what the agent's hello says. Trouble here is for a person to mend: another owner, a folder that cannot
be written, an agent that was set up for other syncs.
"""

from __future__ import annotations

import msgspec

import devloop
from devloop import errors
from devloop.protocol import messages, version


class Claimant(msgspec.Struct, frozen=True):
    """What the laptop says of itself.

    Attributes:
        session: This watch's identity.
        owner: `user@host`.
        takeover: Take the session over from another owner.
        syncs: The syncs.
        app: The app.
    """

    session: str
    owner: str
    takeover: bool
    syncs: tuple[messages.SyncSpec, ...]
    app: messages.AppSpec


def obstacle(name: str, hello: messages.AgentHello, mine: Claimant) -> errors.DevloopError | None:
    """Return why an agent cannot be claimed; None where it can.

    Args:
        name: The agent's.
        hello: What it says of itself.
        mine: What we say.
    """
    if hello.held and hello.session != mine.session and hello.owner != mine.owner and not mine.takeover:
        return errors.OwnedError(
            f"{name} is being synced by {hello.owner}",
            hint="ask them to stop, or take it over with `devloop watch --takeover`",
            owner=hello.owner,
        )
    trouble = next((root for root in hello.roots if root.trouble), None)
    if trouble is not None:
        return errors.AgentError(f"{trouble.to} cannot be written: {trouble.trouble}", code="DL0610")
    if [root.to for root in hello.roots] != [sync.to for sync in mine.syncs]:
        return errors.AgentError(
            f"the agent has the folders {', '.join(root.to for root in hello.roots)}, "
            f"the project wants {', '.join(sync.to for sync in mine.syncs)}",
            hint="inject the agent again, with this devloop.yaml",
            code="DL0611",
        )
    return None


def answer(hello: messages.AgentHello, mine: Claimant) -> messages.LaptopHello:
    """Return the claim: in the same session's epoch, or in the next one."""
    return messages.LaptopHello(
        minor=version.MINOR,
        features=version.FEATURES,
        version=devloop.__version__,
        epoch=hello.epoch if hello.session == mine.session else hello.epoch + 1,
        session=mine.session,
        owner=mine.owner,
        limits=messages.Limits(),
        syncs=mine.syncs,
        app=mine.app,
    )
