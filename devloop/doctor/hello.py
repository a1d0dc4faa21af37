"""Asks an agent who it is without becoming its laptop: the proof, its hello, goodbye.

An agent takes a claim only from a laptop's own hello, which is never sent, so whoever syncs goes on undisturbed.
"""

from __future__ import annotations

import asyncio
import secrets

from devloop import errors
from devloop.daemon import replica
from devloop.doctor import facts
from devloop.protocol import laptop, messages, session
from devloop.wire import driver


async def ask(target: replica.Target) -> facts.Hello:
    """Return what an agent says of itself.

    Args:
        target: The way to it.

    Raises:
        DevloopError: It cannot be reached, or speaks another protocol.
    """
    asked = _Asked()
    failed: errors.DevloopError | None = None
    try:
        async with target.open() as (connection, key):
            half = laptop.LaptopSession(key, secrets.token_bytes(32), asyncio.get_running_loop().time())
            asked.link = driver.Driver(half, connection, asked.take)
            await asked.link.run()
    except* errors.DevloopError as group:
        # The way to an agent may have tasks of its own, whose group wraps what was raised within it.
        failed = errors.first(group)
    if failed is not None and asked.hello is None:
        raise failed
    if asked.hello is None:
        raise errors.LinkError(f"the agent of {target.name} closed the link before it said what it is")
    return view(asked.hello)


def view(hello: messages.AgentHello) -> facts.Hello:
    """Return the facts of a hello."""
    return facts.Hello(
        version=hello.version,
        uid=hello.uid,
        roots=tuple(facts.Root(root.to, root.trouble, root.managed) for root in hello.roots),
        holder=hello.owner if hello.held else "",
    )


class _Asked:
    """Takes the hello, and ends the link with it."""

    def __init__(self) -> None:
        self.hello: messages.AgentHello | None = None
        self.link: driver.Driver | None = None

    def take(self, event: session.Event) -> None:
        if isinstance(event, messages.AgentHello) and self.link is not None:
            self.hello = event
            self.link.close(messages.Bye(messages.Refusal.STOPPING, "the doctor has seen what it wanted to see"))
