"""The process that is measured: devloop's daemon as `devloop watch` runs it, with a stopwatch inside.

Orders come on standard input, one JSON object a line; what happens goes out in the same form, each record with `at_s`,
the system's monotonic clock, which all processes share. When the input ends, the daemon is stopped.

    python -m tests.bench.driver DEVLOOP.YAML [--via SOCKET]
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.config import load
from devloop.daemon import app, replica
from devloop.protocol import messages
from devloop.sync import events
from devloop.transport import dial
from devloop.wire import pump, websocket

# An edit that takes longer than this is told as this long.
LONGEST_S: Final = 60.0


class Order(msgspec.Struct, frozen=True):
    """What the bench asks for.

    Attributes:
        do: `edits`, `wire` or `forward`.
        path: The file to edit.
        count: How many edits; with 0, until the order `enough`.
        gap_s: From the end of one edit to the next.
        port: What to forward.
        until: `complete`: the service is in sync again; `acked`: the edit's own batch was acked.
    """

    do: str
    path: str = ""
    count: int = 0
    gap_s: float = 0.1
    until: str = "complete"
    port: int = 0


class Stopwatch:
    """Follows the daemon and measures edits in it."""

    def __init__(self, daemon: app.Daemon) -> None:
        self._daemon = daemon
        self._complete = asyncio.Event()
        self._acked = asyncio.Event()
        self._batches: dict[int, tuple[str, ...]] = {}
        self._awaited = ""
        self._enough = False
        self._serial = 0

    async def follow(self) -> None:
        """Tell every event, and let a waiting edit know."""
        async for event in self._daemon.bus.subscribe(recent=True):
            now_s = time.monotonic()
            if isinstance(event, events.SyncComplete | events.SyncFailed):
                self._complete.set()
            if isinstance(event, events.SyncStarted):
                self._batches[event.batch] = event.paths
            if not isinstance(event, events.Output):
                say("event", at_s=now_s, event=msgspec.to_builtins(event))

    def acked(self, number: int) -> None:
        """Tell an ack, and let a waiting edit know."""
        paths = self._batches.pop(number, ())
        if self._awaited and self._awaited in paths:
            self._acked.set()
        say("acked", at_s=time.monotonic(), batch=number, paths=paths)

    def enough(self) -> None:
        """Let an open-ended row of edits end."""
        self._enough = True

    async def edits(self, order: Order) -> None:
        """Save a file again and again, and tell how long each took."""
        done = self._complete if order.until == "complete" else self._acked
        self._enough = False
        count = 0
        while not self._enough and (count < order.count or not order.count):
            await asyncio.sleep(order.gap_s)
            self._awaited = Path(order.path).name if order.until == "acked" else ""
            done.clear()
            self._serial += 1
            began_s = self._save(Path(order.path))
            try:
                async with asyncio.timeout(LONGEST_S):
                    await done.wait()
            except TimeoutError:
                pass
            say("edit", at_s=began_s, ms=(time.monotonic() - began_s) * 1000)
            count += 1
        say("edits_done", at_s=time.monotonic())

    def _save(self, path: Path) -> float:
        """Write a file as an editor does that keeps its inode, and return the time just before it was closed."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"VALUE = {self._serial}\nTEXT = 'a line that is as long as lines are'\n")
            began_s = time.monotonic()
        return began_s

    def wire(self) -> None:
        """Tell how much went over the link so far."""
        service = next(iter(self._daemon._services.values()))
        figures = next(iter(service.replicas.values())).statistics
        sent = figures.sent_bytes if figures is not None else 0
        received = figures.received_bytes if figures is not None else 0
        say("wire", at_s=time.monotonic(), bytes=sent + received)


def say(kind: str, **what: object) -> None:
    """Write one record."""
    sys.stdout.buffer.write(msgspec.json.encode({"kind": kind, **what}) + b"\n")
    sys.stdout.buffer.flush()


def _detour(socket: str) -> None:
    """Let the link go through another socket, behind which the agent's is."""
    direct = dial.unix

    async def shaped(path: str) -> websocket.WebSocket:
        return await direct(socket)

    dial.unix = shaped


def _tap(watch: Stopwatch) -> None:
    """See acks when they come: the event stream tells only of the last one of many."""
    original: Callable[[Any, messages.Ack], None] = replica.Replica._acked

    def acked(self: replica.Replica, ack: messages.Ack) -> None:
        watch.acked(ack.batch)
        original(self, ack)

    replica.Replica._acked = acked  # type: ignore[method-assign]


async def _orders(
    daemon: app.Daemon, watch: Stopwatch, group: asyncio.TaskGroup, forwards: list[asyncio.Task[None]]
) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = msgspec.json.decode(line, type=Order)
        match order.do:
            case "edits":
                group.create_task(watch.edits(order))
            case "enough":
                watch.enough()
            case "wire":
                watch.wire()
            case "forward":
                forwards.append(group.create_task(_forward(daemon, order.port, group)))
            case _:
                raise ValueError(f"no such order: {order.do}")
    daemon.stop("the bench is done")


async def _forward(daemon: app.Daemon, port: int, group: asyncio.TaskGroup) -> None:
    """Carry connections to a port of the pod's loopback, the plainest forward there is, until the daemon ends."""
    loop = asyncio.get_running_loop()
    service = next(iter(daemon._services.values()))
    one = next(iter(service.replicas.values()))

    async def carry(taken: socket.socket) -> None:
        carrier = one.tunnel.streams
        try:
            if carrier is None:
                raise errors.LinkError("the link is down")
            channel = await carrier.dial("127.0.0.1", port, timeout_s=LONGEST_S)
        except errors.DevloopError:
            pump.abort(taken)
        else:
            await pump.join(channel, taken)

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        listening.setblocking(False)
        say("forwarding", at_s=time.monotonic(), port=listening.getsockname()[1])
        while True:
            taken, _ = await loop.sock_accept(listening)
            group.create_task(carry(taken))


async def _run(config: str, via: str) -> None:
    loaded = load.load(config)
    daemon = app.Daemon(loaded.config, loaded.folder, app.Options())
    watch = Stopwatch(daemon)
    _tap(watch)
    if via:
        _detour(via)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(watch.follow())
        forwards: list[asyncio.Task[None]] = []
        orders = group.create_task(_orders(daemon, watch, group, forwards))
        say("running", at_s=time.monotonic())
        status = await daemon.run()
        orders.cancel()
        await following
        for task in forwards:
            task.cancel()
    say("ended", at_s=time.monotonic(), status=int(status))


def main() -> None:
    """Run as told on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--via", default="")
    told = parser.parse_args()
    asyncio.run(_run(told.config, told.via))


if __name__ == "__main__":
    main()
