"""Services, agents and pods for the tests of forwards: what connects goes to servers on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from devloop.config import model, values
from devloop.daemon import forwards, replica, tunnel, ways
from devloop.kube import pods
from devloop.sync import events
from devloop.wire import streams
from tests.unit.ports import loopback


class Agent(loopback.Loopback):
    """The streams of an open link; it also listens.

    Attributes:
        listening: What handles the connections of each port that it listens on.
        refusing: Raised by the next `listen`.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.listening: dict[int, Callable[[Any], Awaitable[None]]] = {}
        self.refusing: list[Exception] = []

    def __len__(self) -> int:
        """Return how many streams are open: none is no reason to take the link for closed."""
        return 0

    async def listen(self, port: int, handler: Callable[[Any], Awaitable[None]]) -> Any:
        if self.refusing:
            raise self.refusing.pop(0)
        self.listening[port] = handler
        return Listening(self, port)


class Listening:
    def __init__(self, agent: Agent, port: int) -> None:
        self.agent, self.port = agent, port

    def close(self) -> None:
        self.agent.listening.pop(self.port, None)


class Replica:
    def __init__(self, name: str, agent: Agent | None = None) -> None:
        self.name = name
        self.tunnel = tunnel.Tunnel()
        self.link(agent)

    def link(self, agent: Agent | None) -> None:
        self.tunnel._change(cast("streams.Streams | None", agent))


class Service:
    def __init__(self, name: str, *replicas: Replica) -> None:
        self.name = name
        self.replicas = cast("dict[str, replica.Replica]", {each.name: each for each in replicas})


class Cluster:
    """What dials without an agent."""

    def __init__(self, port: int = 0) -> None:
        self.carrier = loopback.Loopback(port)
        self.asked: list[tuple[str, bool]] = []

    def pod(self, name: str, *, confirm: bool) -> loopback.Loopback:
        self.asked.append((name, confirm))
        return self.carrier

    def services(self, *, confirm: bool) -> loopback.Loopback:
        self.asked.append(("", confirm))
        return self.carrier


def pod(name: str, *, ready: bool = True, created: str = "1", phase: str = "Running", **more: Any) -> pods.Pod:
    return pods.Pod(
        name=name,
        uid=name,
        created=created,
        revision="",
        owner=None,
        phase=phase,
        detail="",
        ready=ready,
        terminating=bool(more.get("terminating")),
        agent=pods.Container(pods.AGENT, pods.Phase.ABSENT),
        containers=(),
    )


class Project:
    """Forwards of a project with a service in a cluster and one on this machine.

    Attributes:
        pods: Those of `web`.
        told: The events.
    """

    def __init__(self, *, hold_s: float = 20.0, connect: forwards.Connect | None = None, **declared: Any) -> None:
        sync = [{"from": "web", "to": "/app"}]
        services = {
            "web": {"workload": "deployment/web", "sync": sync, **declared.get("web", {})},
            "here": {"target": {"local": "t"}, "sync": sync, **declared.get("here", {})},
        }
        config = model.Config.model_validate(
            {"version": 1, "services": services, "forwards": declared.get("forwards", []), "hold": hold_s}
        )
        self.web = Service("web", Replica("web-1"))
        self.here = Service("here", Replica("/t"))
        self.pods: list[pods.Pod] = []
        self.told: list[events.Event] = []
        self.ways = ways.Ways({"web": self.web, "here": self.here}, {"web": lambda: self.pods})
        self.forwards = forwards.Forwards(
            config, {"web": self.web, "here": self.here}, self.ways, self.told.append, connect
        )

    def replica(self, name: str = "web-1") -> Replica:
        return cast("Replica", (self.web.replicas | self.here.replicas)[name])

    def states(self) -> list[tuple[str, str, str]]:
        return [(each.local, each.to, each.state) for each in self.told if isinstance(each, events.ForwardChanged)]


def spelled(text: str) -> values.Forward:
    return values.pod_port(text)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)
