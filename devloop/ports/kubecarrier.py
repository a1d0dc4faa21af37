"""Carriers without an agent: each connection is a port-forward of its own through the API server.

`PodCarrier` leads to one pod's loopback, `ServiceCarrier` to a ready pod of whichever Service is dialled. What is
between is kept awake for idle connections by `Forwards.run`, which also has a connection to the API server ready for
the next one: about half of the time that a port-forward takes is TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import Final

from devloop import errors
from devloop.kube import client, portchannel, services
from devloop.wire import channel

# Load balancers drop what is silent for minutes (kubectl#1490: five to ten).
AWAKE_S: Final = 30.0
_PING_S: Final = 1.0
# A refusal comes this soon after the kubelet has confirmed; where it does not matter nobody waits for it.
CONFIRM_S: Final = 0.05

_LOOPBACKS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Forwards:
    """Opens port-forwards, and knows those that are open.

    Args:
        api: The connection.
    """

    def __init__(self, api: client.Client) -> None:
        self.api = api
        self._open: weakref.WeakSet[portchannel.PortChannel] = weakref.WeakSet()
        self._used = asyncio.Event()

    async def dial(
        self, namespace: str, pod: str, port: int, *, timeout_s: float, confirm: bool
    ) -> portchannel.PortChannel:
        """Open one.

        Args:
            namespace: The pod's.
            pod: Its name.
            port: The port.
            timeout_s: Until the kubelet has confirmed it.
            confirm: Wait a moment for a refusal.

        Raises:
            ClusterError: See `portchannel.dial`.
            DialError: The pod refused, if that was waited for.
        """
        made = await portchannel.dial(self.api, namespace, pod, port, timeout_s=timeout_s)
        if confirm:
            await made.confirmed(CONFIRM_S)
        self._open.add(made)
        self._used.set()
        return made

    async def run(self) -> None:
        """Keep open ones awake, and the next one quick, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_awake())
            group.create_task(self._keep_spare())

    async def _keep_spare(self) -> None:
        """After each one that was opened, leave a connection behind that the next one takes."""
        while True:
            await self._used.wait()
            self._used.clear()
            # Any request does; where this one is refused the connection stays all the same.
            with contextlib.suppress(errors.ClusterError):
                await self.api.get("/version")

    async def _keep_awake(self) -> None:
        while True:
            await asyncio.sleep(AWAKE_S)
            for each in list(self._open):
                # One whose way up is full is not idle, and one that is cut tells its own reader.
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_PING_S):
                        await each.ping()


class PodCarrier:
    """Dials the loopback of one pod.

    Args:
        forwards: Opens the port-forwards.
        namespace: The pod's.
        pod: Its name.
        confirm: See `Forwards.dial`.
    """

    def __init__(self, forwards: Forwards, namespace: str, pod: str, *, confirm: bool = False) -> None:
        self._forwards = forwards
        self._namespace = namespace
        self._pod = pod
        self._confirm = confirm

    async def dial(self, host: str, port: int, *, timeout_s: float) -> channel.Channel:
        """See `Carrier.dial`."""
        if host not in _LOOPBACKS:
            raise _no_way(host)
        return await self._forwards.dial(self._namespace, self._pod, port, timeout_s=timeout_s, confirm=self._confirm)


class ServiceCarrier:
    """Dials Services by their names, without an agent and without the cluster's DNS.

    Args:
        forwards: Opens the port-forwards.
        resolver: Knows the pods behind the Services.
        namespace: The namespace of short names.
        confirm: See `Forwards.dial`.
    """

    def __init__(
        self, forwards: Forwards, resolver: services.Resolver, namespace: str, *, confirm: bool = False
    ) -> None:
        self._forwards = forwards
        self._resolver = resolver
        self._namespace = namespace
        self._confirm = confirm

    async def dial(self, host: str, port: int, *, timeout_s: float) -> channel.Channel:
        """See `Carrier.dial`."""
        name = services.parse(host, self._namespace)
        if name is None:
            raise _no_way(host)
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._backend(name, port)
                return await self._forwards.dial(
                    name.namespace, found.pod, found.port, timeout_s=timeout_s, confirm=self._confirm
                )
        except TimeoutError:
            raise errors.UnreachableError(f"{name} cannot be dialled in time") from None

    async def _backend(self, name: services.Name, port: int) -> services.Backend:
        try:
            return await self._resolver.backend(name, port)
        except errors.NotThereError as error:
            raise _told(error, errors.Refused.NAME) from None
        except errors.RefusedError as error:
            raise _told(error, errors.Refused.UNREACHABLE) from None


def _told(error: errors.ClusterError, why: errors.Refused) -> errors.DialError:
    return errors.DialError(error.message, hint=error.hint, code=error.error_code, why=why)


def _no_way(host: str) -> errors.DialError:
    return errors.DialError(
        f"{host} cannot be reached without an agent: it is not the name of a service",
        hint="`devloop inject` or `devloop watch --patch` brings an agent into the pods",
        why=errors.Refused.NAME,
    )
