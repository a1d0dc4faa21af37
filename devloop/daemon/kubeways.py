"""The ways through the cluster's API, as long as it is connected. Imported late, with all of `devloop.kube`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from devloop.kube import client, services
from devloop.ports import kubecarrier


class KubeWays:
    """Carriers without an agent; see `devloop.daemon.ways.Cluster`.

    Args:
        forwards: Opens port-forwards.
        resolver: Knows the pods behind Services.
        namespace: The project's.
    """

    def __init__(self, forwards: kubecarrier.Forwards, resolver: services.Resolver, namespace: str) -> None:
        self._forwards = forwards
        self._resolver = resolver
        self._namespace = namespace

    def pod(self, name: str, *, confirm: bool) -> kubecarrier.PodCarrier:
        """Return what dials a pod's loopback."""
        return kubecarrier.PodCarrier(self._forwards, self._namespace, name, confirm=confirm)

    def services(self, *, confirm: bool) -> kubecarrier.ServiceCarrier:
        """Return what dials Services by their names."""
        return kubecarrier.ServiceCarrier(self._forwards, self._resolver, self._namespace, confirm=confirm)


@contextlib.asynccontextmanager
async def connected(
    cluster: Callable[[], contextlib.AbstractAsyncContextManager[client.Client]], on_change: Callable[[], None]
) -> AsyncIterator[KubeWays]:
    """Use the cluster's API as long as the block runs.

    Args:
        cluster: Connects, once for all who need it.
        on_change: Called when the pods behind a Service may be others.

    Raises:
        KubeconfigError: There is no cluster, or it is another one than the project's.
    """
    async with cluster() as api, asyncio.TaskGroup() as group:
        forwards = kubecarrier.Forwards(api)
        tasks = [group.create_task(forwards.run())]
        resolver = services.Resolver(api, lambda work: tasks.append(group.create_task(work)), on_change)
        yield KubeWays(forwards, resolver, api.namespace)
        for task in tasks:
            task.cancel()
