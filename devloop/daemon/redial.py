"""Keeping a link: opening it again with backoff, for as long as trying again can help.

It knows nothing of what a link is for: it is given what opens one and stays with it until its end, and is told how far
that came.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from devloop import errors
from devloop.core import backoff
from devloop.sync import events

# A link that was up this long is healthy: the next break starts with a quick retry again.
HEALTHY_S: Final = 10.0

# How often in a row a key may be wrong: an agent that starts again between the reading of its key and the proof has
# another one. A stranger in its place has none, however often it is asked.
MAX_UNPROVED: Final = 3


class Redial:
    """Opens one agent's link again and again.

    Args:
        name: The agent's.
        publish: Where events go.

    Attributes:
        detail: Why there is no link; empty while there is one.
    """

    def __init__(self, name: str, publish: Callable[[events.Event], None]) -> None:
        self.detail = "not connected yet"
        self._name = name
        self._publish = publish
        self._was_open = self._reached = False
        self._opened_s = math.inf
        self._unproved = 0

    def reached(self) -> None:
        """Take up that the target let itself be opened; whether its agent can be used is to be seen."""
        self._reached = True

    def opened(self) -> None:
        """Take up that the link is in use, and say so."""
        self.detail = ""
        self._was_open = True
        self._unproved = 0
        self._opened_s = asyncio.get_running_loop().time()
        self._publish(events.LinkChanged(target=self._name, up=True))

    async def run(self, link_once: Callable[[], Awaitable[None]]) -> None:
        """Keep the link until cancelled.

        Args:
            link_once: Opens a link and stays with it; it ends by an error, whatever the link ended by.

        Raises:
            DevloopError: Trying again will not help: another owner, another major version, a wrong key, roots that
                were refused from the first.
        """
        async with asyncio.TaskGroup() as group:
            delays = backoff.delays()
            while True:
                self._opened_s = math.inf
                # A task of its own: where a link ends by an error in the very moment in which this task is cancelled,
                # the link's task group would swallow the cancellation (before Python 3.13).
                link = group.create_task(self._until_lost(link_once))
                await asyncio.wait([link])
                if asyncio.get_running_loop().time() - self._opened_s > HEALTHY_S:
                    delays = backoff.delays()
                delay_s = next(delays)
                self.detail = link.result()
                self._publish(events.LinkChanged(target=self._name, up=False, detail=self.detail, retry_s=delay_s))
                await asyncio.sleep(delay_s)

    async def _until_lost(self, link_once: Callable[[], Awaitable[None]]) -> str:
        """Open a link and keep it; return why it was lost."""
        lost = errors.DevloopError("the agent closed the link")
        self._reached = False
        try:
            with errors.single():
                await link_once()
        except errors.DevloopError as error:
            lost = error
            if not self._passes(lost):
                raise
        return lost.message

    def _passes(self, lost: errors.DevloopError) -> bool:
        """Say whether trying again can help."""
        if isinstance(lost, errors.AuthError):
            self._unproved += 1
            return self._unproved < MAX_UNPROVED
        if isinstance(lost, errors.AgentError):
            # One that refuses to start where one ran before, in a folder that is read-only now, may start later.
            return self._was_open and not self._reached
        return isinstance(lost, errors.LinkError) and not isinstance(lost, errors.SkewError)
