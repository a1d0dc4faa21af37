"""Whether the other end of a websocket is still there: pings, and rounds without a byte.

A connection that is half open, because a laptop slept or a VPN went, takes what is sent and gives nothing. Four rounds
without a message, pongs included, and it counts as dead: within 10 s. While the owner takes no messages, because what
it hands them to is slow, nothing is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final

import aiohttp

EVERY_S: Final = 2.0
_PING_WAIT_S: Final = 0.4
_SILENT_ROUNDS: Final = 3


class Silent(Exception):
    """Nothing came for too long, or nothing can be sent any more."""


class Pulse:
    """The heartbeat of one websocket.

    Args:
        websocket: It.
        every_s: How often to look.
    """

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, every_s: float = EVERY_S) -> None:
        self._websocket = websocket
        self._every_s = every_s
        self._silent_rounds = 0
        self._held = False

    def heard(self) -> None:
        """A message came."""
        self._silent_rounds = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Count nothing while the block runs: it deals with a message and takes no other one."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    async def run(self) -> None:
        """Beat until cancelled.

        Raises:
            Silent: The other end is gone.
        """
        while True:
            await asyncio.sleep(self._every_s)
            self._silent_rounds = 0 if self._held else self._silent_rounds + 1
            if self._silent_rounds > _SILENT_ROUNDS:
                raise Silent("nothing comes from there any more")
            try:
                # The way there may be full; that it is must not keep this from counting.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PING_WAIT_S):
                        await self._websocket.ping()
            except (OSError, aiohttp.ClientError) as error:
                raise Silent(str(error)) from None
