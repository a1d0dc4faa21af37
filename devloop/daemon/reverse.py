"""Reverse ports: each agent of a service listens on its pod's loopback, and what connects there is dialled here.

Listening is asked of every agent whose link is open, and anew after each reconnect. A port that the pod has in use is
tried again, since whoever holds it may end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Final

from devloop import errors
from devloop.config import values
from devloop.core import backoff
from devloop.daemon import replica
from devloop.ports import tally, way
from devloop.wire import pump, streams

_DIAL_S: Final = 10.0
_LONGEST_S: Final = 10.0


class Reverse:
    """One port of the laptop in the pods of one service.

    Args:
        forward: `port` is the pod's, `local_first` the laptop's.
        replicas: The service's agents, by name.
        signal: Fires when their links may be others.
        on_change: Called when the first agent listens, and when one cannot.

    Attributes:
        counts: What it has carried.
        listening: The agents that listen, by name.
        failure: Why one does not.
    """

    def __init__(
        self,
        forward: values.Forward,
        replicas: Mapping[str, replica.Replica],
        signal: way.Signal,
        on_change: Callable[[], None],
    ) -> None:
        self.counts = tally.Tally()
        self.listening: set[str] = set()
        self.failure: errors.DevloopError | None = None
        self._forward = forward
        self._replicas = replicas
        self._signal = signal
        self._on_change = on_change
        self._kept: dict[streams.Streams, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Keep the agents listening until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                changed = self._signal.next()
                links = [(name, each.tunnel.streams) for name, each in self._replicas.items()]
                there = {link: name for name, link in links if link is not None}
                for link in [each for each in self._kept if each not in there]:
                    self._kept.pop(link).cancel()
                for link, name in there.items():
                    if link not in self._kept:
                        self._kept[link] = group.create_task(self._keep(link, name))
                await changed

    async def _keep(self, carrier: streams.Streams, name: str) -> None:
        """Have one agent listen as long as its link is open."""
        waits = backoff.delays(longest_s=_LONGEST_S)
        listener: streams.Listener | None = None
        try:
            while listener is None:
                try:
                    listener = await carrier.listen(self._forward.port, self._carry)
                except errors.LinkError:
                    # The next link comes with streams of its own.
                    return
                except errors.DialError as error:
                    self._note(error)
                    await asyncio.sleep(next(waits))
            self.listening.add(name)
            self._note(None)
            await asyncio.get_running_loop().create_future()
        finally:
            self.listening.discard(name)
            if listener is not None:
                listener.close()

    def _note(self, failure: errors.DialError | None) -> None:
        told = self.failure.message if self.failure is not None else ""
        self.failure = failure
        if failure is None or failure.message != told:
            self._on_change()

    async def _carry(self, call: streams.Call) -> None:
        """Dial here what connected there; see `streams.Handler`."""
        self.counts.total += 1
        self.counts.open += 1
        try:
            connected = await self._dialled()
            self.counts.by, self.counts.error = way.AGENT, ""
            await pump.join(call.accept(), connected, self.counts.traffic)
        except errors.DialError as error:
            self.counts.failed(error.message, error.error_code)
            raise
        finally:
            self.counts.open -= 1

    async def _dialled(self) -> socket.socket:
        """Connect to the laptop's port.

        Raises:
            DialError: Nothing listens there.
        """
        port = self._forward.local_first
        for family, host in self._hosts():
            made = socket.socket(family, socket.SOCK_STREAM)
            made.setblocking(False)
            try:
                async with asyncio.timeout(_DIAL_S):
                    await asyncio.get_running_loop().sock_connect(made, (host, port))
                return made
            except (OSError, TimeoutError):
                made.close()
            except BaseException:
                made.close()
                raise
        raise errors.DialError(
            f"nothing listens on port {port} of the laptop",
            hint="start what the pod is to reach: the IDE's debugger, the dev server",
            why=errors.Refused.PORT,
        )

    def _hosts(self) -> list[tuple[socket.AddressFamily, str]]:
        bind = self._forward.bind
        if bind and bind != "localhost":
            return [(socket.AF_INET6 if ":" in bind else socket.AF_INET, bind)]
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
