"""The project's one connection to its cluster, for all services that have a workload there.

Opened with the first service that needs it and closed with the last. Imported late, with all of `devloop.kube`: a
project whose targets are on this machine never pays for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from devloop.kube import client, config


class Shared:
    """A connection that several share.

    Args:
        choice: Which cluster and namespace, by the command line and the project.
    """

    def __init__(self, choice: config.Choice) -> None:
        self._choice = choice
        self._lock = asyncio.Lock()
        self._users = 0
        self._stack = contextlib.AsyncExitStack()
        self._api: client.Client | None = None

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[client.Client]:
        """Use the connection as long as the block runs.

        Raises:
            KubeconfigError: There is none, or it is another context than the project's.
        """
        async with self._lock:
            if self._api is None:
                cluster = await asyncio.to_thread(self._load)
                self._api = await self._stack.enter_async_context(client.connect(cluster, self._load))
            self._users += 1
            api = self._api
        try:
            yield api
        finally:
            self._users -= 1
            if not self._users:
                self._api = None
                await self._stack.aclose()

    def _load(self) -> config.Cluster:
        return config.load(self._choice)
