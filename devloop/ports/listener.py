"""One forward: a listener on the laptop that stays open as long as it is declared, whatever becomes of the pod.

Accepting goes on through every failure of what carries the connections; each one finds its own carrier
(`devloop.ports.hold`). A port that is taken is tried again until it is free. Nothing here raises for a forward: its
state and its last error are what `devloop ports` shows.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import resource
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from devloop import errors
from devloop.core import backoff
from devloop.ports import bound, client, hold, tally, way
from devloop.wire import channel, pump

# Connections of one listener that may be open at once: each takes up to two of the files that a process may have open,
# and syncing needs some as well.
MAX_OPEN: Final = max(64, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
# After an accept that failed: there are no files left, for example.
_ACCEPT_AGAIN_S: Final = 0.2
_BIND_LONGEST_S: Final = 3.0

_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Serve = Callable[[client.Client, tally.Tally], Awaitable[None]]
"""Carries one accepted connection to its end and closes it."""


class Where(msgspec.Struct, frozen=True):
    """Where on the laptop a listener is.

    Attributes:
        bind: The address; empty for the loopbacks.
        first: The first port to try.
        last: The last one.
    """

    bind: str
    first: int
    last: int

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        host = f"[{self.bind}]" if ":" in self.bind else self.bind or "localhost"
        return f"{host}:{ports}"


class Listener:
    """Listens, and serves what comes.

    Args:
        where: Where on the laptop.
        serve: Carries a connection.
        on_change: Called when it begins to listen, and when it cannot.

    Attributes:
        counts: What it has carried.
        port: The port it listens on; 0 while it does not.
        failure: Why it does not listen; None while it does.
    """

    def __init__(self, where: Where, serve: Serve, on_change: Callable[[], None] = lambda: None) -> None:
        self.where = where
        self.counts = tally.Tally()
        self.port = 0
        self.failure: errors.LocalError | None = None
        self._serve = serve
        self._on_change = on_change

    @property
    def address(self) -> str:
        """Where it listens, or is to listen."""
        return str(Where(self.where.bind, self.port, self.port) if self.port else self.where)

    async def run(self) -> None:
        """Listen until cancelled; open connections end with it."""
        taken = await self._bound()
        try:
            async with asyncio.TaskGroup() as group:
                for each in taken.sockets:
                    group.create_task(self._accept(each, group))
        finally:
            self.port = 0
            taken.close()

    async def _bound(self) -> bound.Bound:
        waits = backoff.delays(longest_s=_BIND_LONGEST_S)
        while True:
            try:
                taken = bound.listen(self.where.bind, range(self.where.first, self.where.last + 1))
            except errors.LocalError as error:
                self._note(error)
                await asyncio.sleep(next(waits))
            else:
                self.port = taken.port
                self._note(None)
                return taken

    def _note(self, failure: errors.LocalError | None) -> None:
        told = self.failure.message if self.failure is not None else ""
        self.failure = failure
        if failure is None or failure.message != told:
            self._on_change()

    async def _accept(self, listening: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                # A client that left before it was accepted is no trouble; a full table of files goes by.
                if error.errno in _NO_FILES:
                    self.counts.failed(f"a connection could not be accepted: {error.strerror}")
                    await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            one = client.Client(accepted)
            if self.counts.open >= MAX_OPEN:
                self.counts.failed(f"{MAX_OPEN} connections are open already")
                one.reset()
                continue
            # By a callback, because a task that is cancelled before its first step runs nothing of its own.
            group.create_task(self._served(one)).add_done_callback(functools.partial(_close, one))

    async def _served(self, one: client.Client) -> None:
        self.counts.open += 1
        self.counts.total += 1
        try:
            await self._serve(one, self.counts)
        finally:
            self.counts.open -= 1


def _close(one: client.Client, _: asyncio.Task[None]) -> None:
    one.close()


def forwarding(choose: way.Choose, holder: hold.Holder) -> Serve:
    """Return what carries each connection of a forward.

    Args:
        choose: The ways on which it can be carried.
        holder: Finds one, and holds the connection until there is one.
    """

    async def serve(one: client.Client, counts: tally.Tally) -> None:
        try:
            await carry(choose, holder, one, counts)
        except hold.GoneError:
            one.close()
        except errors.DevloopError as error:
            counts.failed(error.message, error.error_code)
            one.reset()

    return serve


async def carry(choose: way.Choose, holder: hold.Holder, one: client.Client, counts: tally.Tally) -> None:
    """Carry one connection to its end.

    Raises:
        DevloopError: It could not be carried, or not to its end.
        GoneError: The client has left before.
    """
    counts.held += 1
    try:
        stream, chosen = await holder.open(choose, one)
    finally:
        counts.held -= 1
    await joined(stream, chosen, one, counts)


async def joined(stream: channel.Channel, chosen: way.Way, one: client.Client, counts: tally.Tally) -> None:
    """Carry a connection whose channel is open to its end; both are closed then.

    Raises:
        DevloopError: The channel was reset, and why; the client has seen the reset.
    """
    # Which pod is behind a Service is known only now.
    target = chosen.target or str(getattr(stream, "pod", ""))
    counts.by, counts.target, counts.error, counts.code = chosen.by, target, "", ""
    try:
        first = one.kept()
        counts.traffic.sent_bytes += len(first)
        await stream.write(first)
    except ConnectionResetError as error:
        one.reset()
        raise _cut(stream, str(error)) from None
    trouble = await pump.join(stream, one.socket, counts.traffic)
    # What the client's own socket tells has a number.
    if trouble and not trouble.startswith("[Errno"):
        raise _cut(stream, trouble)


def _cut(stream: channel.Channel, trouble: str) -> errors.DevloopError:
    told = getattr(stream, "refusal", None)
    return told if isinstance(told, errors.DialError) else errors.LinkError(trouble)
