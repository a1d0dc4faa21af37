"""On which ways connections to pods can be carried now: the agents' links first, else port-forwards.

Reads what the services know of their agents and pods, and decides nothing that lasts: it is asked anew for each
connection. `devloop.ports` holds and carries them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from devloop.daemon import replica
from devloop.kube import pods
from devloop.ports import way
from devloop.wire import channel


class Service(Protocol):
    """A service that is watched.

    Attributes:
        name: Its name.
        replicas: Its agents, by name.
    """

    name: str
    replicas: dict[str, replica.Replica]


class Cluster(Protocol):
    """Carriers without an agent."""

    def pod(self, name: str, *, confirm: bool) -> channel.Carrier:
        """Return what dials a pod's loopback; `confirm` waits a moment for a refusal."""

    def services(self, *, confirm: bool) -> channel.Carrier:
        """Return what dials Services by their names."""


class Ways:
    """Knows the ways.

    Args:
        services: The services that are watched, by name.
        pods_of: The pods of those that are in the cluster, by the service's name.

    Attributes:
        cluster: What dials without an agent; None where there is no cluster, or not yet.
    """

    def __init__(
        self, services: Mapping[str, Service], pods_of: Mapping[str, Callable[[], Iterable[pods.Pod]]]
    ) -> None:
        self.cluster: Cluster | None = None
        self._services = services
        self._pods_of = pods_of

    def is_local(self, service: str) -> bool:
        """Say whether a service's target is on this machine."""
        return service not in self._pods_of

    def to_service(self, service: str, port: int) -> Sequence[way.Way]:
        """Return the ways to a port of a service's pod: of the newest that is ready, else of the newest."""
        one = self._services[service]
        if self.is_local(service):
            linked = [each for each in one.replicas.values() if each.tunnel.streams is not None]
            return [_agents(each, "127.0.0.1", port) for each in linked]
        found = pods.serving(self._pods_of[service]())
        if found is None:
            return []
        agent = one.replicas.get(found.name)
        if agent is not None and agent.tunnel.streams is not None:
            return [_agents(agent, "127.0.0.1", port, settled=found.ready)]
        if self.cluster is None:
            return []
        carrier = self.cluster.pod(found.name, confirm=not found.ready)
        return [way.Way(carrier, "127.0.0.1", port, way.PORT_FORWARD, found.name, found.ready)]

    def to_host(self, host: str, port: int, *, confirm: bool = False) -> Sequence[way.Way]:
        """Return the ways to a host as pods know it: by any agent that is linked, then by the cluster's API.

        Args:
            host: A name or an address.
            port: The port.
            confirm: Whoever asks wants to know of a refusal before anything is sent.
        """
        found = [_agents(each, host, port) for each in self._linked()][:1]
        if self.cluster is not None:
            found.append(way.Way(self.cluster.services(confirm=confirm), host, port, way.PORT_FORWARD))
        return found

    def _linked(self) -> Iterator[replica.Replica]:
        """Yield the agents whose links are open, those in the cluster first: on this machine there is no cluster."""
        for one in sorted(self._services.values(), key=lambda each: self.is_local(each.name)):
            # The newest last: its pod stays the longest.
            yield from (each for each in reversed(one.replicas.values()) if each.tunnel.streams is not None)


def _agents(one: replica.Replica, host: str, port: int, *, settled: bool = True) -> way.Way:
    assert one.tunnel.streams is not None
    return way.Way(one.tunnel.streams, host, port, way.AGENT, one.name, settled)
