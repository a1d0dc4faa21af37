"""The byte streams of one link at the agent: what the laptop dials, and the ports it has the agent listen on."""

from __future__ import annotations

import asyncio

from agent import dialler, reverse
from devloop.protocol import session
from devloop.wire import driver, streams


class Carriage:
    """All of one link's.

    Args:
        link: Its driver, whose session is open.
        group: Where connections are carried.
        dials: Makes the connections that the laptop asks for.
        own_port: Where the agent itself listens; 0 for nowhere.
    """

    def __init__(self, link: driver.Driver, group: asyncio.TaskGroup, dials: dialler.Dialler, own_port: int) -> None:
        self._reverse = reverse.Reverse(group, own_port)
        self._streams = streams.Streams(link, group, on_dial=dials.serve, on_listen=self._reverse.take)
        self._reverse.use(self._streams)

    def take(self, event: session.Event) -> bool:
        """Take up an event of the link; say whether it was about streams."""
        return self._streams.take(event)

    def end(self) -> None:
        """Reset everything: the link has ended. Does nothing twice."""
        self._streams.end()
        self._reverse.end()
