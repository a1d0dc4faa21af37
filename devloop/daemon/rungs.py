"""The ways in which a watch gets the agent into pods, each as something that is held while it watches.

`daemon.admitted` lets the manifests bring the agent or asks the webhook for it, `daemon.patched` and `daemon.attached`
are the others. Each begins by giving back what an earlier watch of this project could not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from devloop.inject import leftovers
from devloop.kube import client
from devloop.sync import events

Also: TypeAlias = Callable[[client.Client, str, Callable[[str], None]], Awaitable[None]]


class Rung(Protocol):
    """A way in, for one service."""

    def held(self, api: client.Client, namespace: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Do what is needed before the pods are followed, and undo it on leaving."""

    def look(self, there: Iterable[Mapping[str, Any]]) -> None:
        """Take up how the service's pods are now, as the cluster sends them."""


class Leftovers:
    """What earlier watches of this project left, given back once, by whichever service comes first.

    Args:
        project: What the laptop calls the project's folder.
        keep: Workloads that this watch patches itself.
        publish: Where events go.
        also: What else is given back then, whatever project it is of; takes the cluster, the namespace, and where
            lines go.
    """

    def __init__(
        self, project: str, keep: Collection[str], publish: Callable[[events.Event], None], also: Also | None = None
    ) -> None:
        self._also = also
        self._project = project
        self._keep = keep
        self._publish = publish
        self._lock = asyncio.Lock()
        self._done = False

    async def done(self, api: client.Client, namespace: str) -> None:
        """Return when it is done.

        Raises:
            ClusterError: The cluster does not answer.
        """
        async with self._lock:
            if not self._done:
                await leftovers.give_back(api, namespace, self._project, self._keep, self._say)
                if self._also is not None:
                    await self._also(api, namespace, self._say)
                self._done = True

    def _say(self, line: str) -> None:
        self._publish(events.Notice(level=events.Level.WARNING, message=line))
