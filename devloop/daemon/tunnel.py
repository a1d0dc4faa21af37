"""The byte streams of a replica's link, for whoever forwards connections: they come and go with the link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from devloop.protocol import session, version
from devloop.wire import driver, streams

Watcher = Callable[[streams.Streams | None], None]


class Tunnel:
    """What carries connections to one replica's pod.

    Attributes:
        streams: The open link's, a `channel.Carrier`; None while the link is down, or where the agent is one that
            cannot carry connections.
    """

    def __init__(self) -> None:
        self.streams: streams.Streams | None = None
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Have somebody told whenever `streams` changes.

        Args:
            watcher: Called in the loop's thread; it must neither wait nor raise.

        Returns:
            Ends that.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def open(self, link: driver.Driver, group: asyncio.TaskGroup, features: frozenset[str]) -> None:
        """Take a link that has opened into use.

        Args:
            link: Its driver.
            group: Where connections from the pod are carried; it ends with the link.
            features: What both sides can do.
        """
        if version.STREAMS in features:
            self._change(streams.Streams(link, group))

    def take(self, event: session.Event) -> bool:
        """Take up an event of the link; say whether it was about streams. Never waits."""
        return self.streams is not None and self.streams.take(event)

    def close(self) -> None:
        """Reset what is carried: the link has ended. Does nothing twice."""
        if self.streams is not None:
            self.streams.end()
            self._change(None)

    def _change(self, opened: streams.Streams | None) -> None:
        self.streams = opened
        for watcher in list(self._watchers):
            watcher(opened)
