"""On which ways a connection can be carried, and news that they changed.

Who knows the pods and the links gives a `Choose`; listeners and proxies ask it anew for each connection. So a
connection goes to the pod that serves now, and an open one ends when its own pod does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from devloop.wire import channel

AGENT: Final = "agent"
PORT_FORWARD: Final = "port-forward"


class Way(NamedTuple):
    """One way.

    Attributes:
        carrier: Opens the channel.
        host: What it is asked to dial; see `Carrier.dial`.
        port: Likewise.
        by: `agent` or `port-forward`, for people.
        target: The pod that the connection goes to or through, for people; empty where that is not known before.
        settled: What is there has said that it is ready, so that a refusal is an answer and not a moment of its start.
    """

    carrier: channel.Carrier
    host: str
    port: int
    by: str
    target: str = ""
    settled: bool = True


Choose = Callable[[], Sequence[Way]]
"""Returns the ways that are there now, the best first; a second one is for what a rule keeps from the first."""


class Signal:
    """Tells everybody who waits that something changed. For one event loop."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def next(self) -> asyncio.Future[None]:
        """Return what is done at the next change. Ask before you look, so that no change falls in between."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        waiter.add_done_callback(self._waiting.discard)
        return waiter

    def fire(self) -> None:
        """Tell them."""
        for waiter in list(self._waiting):
            if not waiter.done():
                waiter.set_result(None)
