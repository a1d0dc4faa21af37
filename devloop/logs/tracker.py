"""What is known of one pod while its logs are read: fed by the watch and by looking again, waited on by the readers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from devloop.kube import pods


class Tracker:
    """One pod. Belongs to one event loop.

    Args:
        raw: The pod as the API server sends it.

    Attributes:
        name: Its name.
        uid: Its identity.
        gone: It does not exist any more, or another pod has its name.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        pod = pods.view(raw)
        self.name, self.uid = pod.name, pod.uid
        self.gone = False
        self._containers = pods.every_container(raw)
        self._changed = asyncio.Event()

    def update(self, raw: Mapping[str, Any]) -> None:
        """Take up how the pod is now; another one of the same name ends this one."""
        if pods.view(raw).uid != self.uid:
            self.lose()
            return
        found = pods.every_container(raw)
        # What comes late must not take a run back: a look and the watch may overtake each other.
        for name, container in found.items():
            known = self._containers.get(name)
            if known is None or container.restarts >= known.restarts:
                self._containers[name] = container
        self._tell()

    def lose(self) -> None:
        """Take up that the pod is gone."""
        self.gone = True
        self._tell()

    def container(self, name: str) -> pods.Container | None:
        """Return how a container is; None where the pod has none of this name."""
        return self._containers.get(name)

    async def change(self, patience_s: float) -> None:
        """Wait until something is known anew, at most so long."""
        changed = self._changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
