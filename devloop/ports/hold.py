"""Finding who carries a connection: at once where somebody can, else it is held until somebody comes.

A dial that fails because its carrier died is tried on the next one as long as there is time: nothing was sent yet, so
nothing can be lost. A refusal is final, unless the pod is only starting. See `devloop.ports.way`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from devloop import errors
from devloop.core import backoff
from devloop.ports import client, way
from devloop.wire import channel

HOLD_S: Final = 30.0
# Connections that wait at once, over all listeners of a watch.
MAX_HELD: Final = 256
DIAL_S: Final = 10.0
# A dial that is begun is given this long, also where less is left of the time that the connection is held.
_LEAST_DIAL_S: Final = 5.0

NOBODY_CODE: Final = "DL0621"

# What no waiting mends within the time that a connection is held.
_FINAL: Final = (errors.ForbiddenError, errors.CredentialsError, errors.KubeconfigError)
# Another way may do what this one must not, or does not know.
_ELSEWHERE: Final = frozenset({errors.Refused.RULE, errors.Refused.NAME})
_FIRST_S: Final = 0.05
_LONGEST_S: Final = 1.0


class GoneError(Exception):
    """The client has left while it waited."""


class Holder:
    """Finds carriers, and holds connections until there is one.

    Args:
        signal: Fires when the ways may have changed.
        hold_s: How long a connection waits.
        limit: How many may wait at once.
        dial_s: How long one dial may take.

    Attributes:
        held: How many wait now.
    """

    def __init__(
        self, signal: way.Signal, *, hold_s: float = HOLD_S, limit: int = MAX_HELD, dial_s: float = DIAL_S
    ) -> None:
        self.held = 0
        self.hold_s = hold_s
        self._signal = signal
        self._limit = limit
        self._dial_s = dial_s

    async def open(self, choose: way.Choose, one: client.Client) -> tuple[channel.Channel, way.Way]:
        """Open a channel for a connection.

        Args:
            choose: The ways.
            one: The connection; what it says while it waits is kept in it.

        Raises:
            DialError: It was refused, or nobody came in time.
            ClusterError: What is needed is not allowed.
            GoneError: The client has left.
        """
        until_s = _now_s() + self.hold_s
        waits = backoff.delays(first_s=_FIRST_S, longest_s=_LONGEST_S)
        why: errors.DevloopError | None = None
        while True:
            changed = self._signal.next()
            try:
                ways = choose()
                found, error = await self._try(ways, until_s)
                if found is not None:
                    return found
                why = error or why
                await self._wait(changed, one, next(waits) if ways else None, until_s, why)
            finally:
                changed.cancel()

    async def _try(
        self, ways: Sequence[way.Way], until_s: float
    ) -> tuple[tuple[channel.Channel, way.Way] | None, errors.DevloopError | None]:
        """Dial; return the channel, or what is in its way for now.

        Raises:
            DevloopError: What is in its way will not go by itself.
        """
        first: errors.DevloopError | None = None
        passing: errors.DevloopError | None = None
        for each in ways:
            try:
                timeout_s = min(self._dial_s, max(until_s - _now_s(), _LEAST_DIAL_S))
                return (await each.carrier.dial(each.host, each.port, timeout_s=timeout_s), each), None
            except errors.DialError as error:
                if error.why in _ELSEWHERE:
                    first = first or error
                    continue
                if each.settled or error.why is not errors.Refused.PORT:
                    raise
                passing = error
            except _FINAL as error:
                # A rule of the agent tells more than that there is no other way.
                first = first or error
            except (errors.LinkError, errors.ClusterError) as error:
                passing = passing or error
        if first is not None and passing is None:
            raise first
        return None, passing

    async def _wait(
        self,
        changed: asyncio.Future[None],
        one: client.Client,
        wait_s: float | None,
        until_s: float,
        why: errors.DevloopError | None,
    ) -> None:
        """Wait for a change, or a moment; hold the connection meanwhile."""
        left_s = until_s - _now_s()
        if left_s <= 0:
            raise _nobody(self.hold_s, why)
        if self.held >= self._limit:
            raise errors.DialError(
                f"{self._limit} connections wait for a pod already, and no more are held",
                hint="see `devloop status`",
                why=errors.Refused.LIMIT,
            )
        self.held += 1
        try:
            gone = one.gone()
            timeout_s = left_s if wait_s is None else min(wait_s, left_s)
            await asyncio.wait({changed, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.held -= 1
            one.unwatch()
        if gone.done():
            raise GoneError


def _nobody(hold_s: float, why: errors.DevloopError | None) -> errors.DialError:
    after = f"after {hold_s:.0f} s" if hold_s >= 1 else "and connections are not held"
    if why is not None:
        kind = why.why if isinstance(why, errors.DialError) else errors.Refused.UNREACHABLE
        return errors.DialError(f"{why.message} ({after})", hint=why.hint, code=why.error_code, why=kind)
    return errors.DialError(
        f"no pod is there to carry the connection, {after}",
        hint="see `devloop status` for what is in the way; `hold:` in devloop.yaml says how long to wait",
        code=NOBODY_CODE,
    )


def _now_s() -> float:
    return asyncio.get_running_loop().time()
