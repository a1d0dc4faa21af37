"""A slow link between two unix sockets: a rate, a delay and a bounded buffer, for both ways.

It stands where a home's uplink stands: what comes faster than the rate waits in the buffer, and when that is full the
sender is not read any more, as with TCP.

    python -m tests.bench.shaper LISTEN CONNECT --bits-per-s 10e6 --delay-s 0.025
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import sys
from typing import Final

import msgspec

# A packet, as it were: what is sent on as one.
PIECE_BYTES: Final = 4096

# What a router holds before it stops taking more.
BUFFER_BYTES: Final = 64 * 1024


class Shape(msgspec.Struct, frozen=True):
    """What a link can do.

    Attributes:
        bytes_per_s: Its rate, each way.
        delay_s: How long a byte is on its way: half a round trip.
        buffer_bytes: What may wait for the link.
    """

    bytes_per_s: float
    delay_s: float
    buffer_bytes: int = BUFFER_BYTES


class Schedule:
    """When each piece is through, in one direction. Pure: it is told the time.

    Args:
        shape: The link.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._free_s = 0.0
        self._waiting: collections.deque[tuple[float, int]] = collections.deque()
        self._waiting_bytes = 0

    def enter(self, size: int, now_s: float) -> float:
        """Take a piece, and return when it arrives at the other end.

        Args:
            size: Its bytes.
            now_s: The time; never less than before.
        """
        self._free_s = max(self._free_s, now_s) + size / self._shape.bytes_per_s
        self._waiting.append((self._free_s, size))
        self._waiting_bytes += size
        return self._free_s + self._shape.delay_s

    def room_at(self, now_s: float) -> float:
        """Return when the next piece may enter: now, or when enough of the buffer has left."""
        while self._waiting and self._waiting[0][0] <= now_s:
            self._waiting_bytes -= self._waiting.popleft()[1]
        left = self._waiting_bytes - self._shape.buffer_bytes
        for leaves_s, size in self._waiting:
            if left < 0:
                break
            left -= size
            if left < 0:
                return leaves_s
        return now_s


async def serve(listen: str, connect: str, shape: Shape, started: asyncio.Event) -> None:
    """Take connections until cancelled, and carry each to the other socket."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_unix_connection(connect)
        async with asyncio.TaskGroup() as group:
            group.create_task(_one_way(reader, onward_writer, shape))
            group.create_task(_one_way(onward_reader, writer, shape))

    server = await asyncio.start_unix_server(carry, listen)
    async with server:
        started.set()
        await server.serve_forever()


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shape: Shape) -> None:
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    schedule = Schedule(shape)

    async def arrive() -> None:
        while True:
            at_s, piece = await under_way.get()
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            if not piece:
                return
            writer.write(piece)
            await writer.drain()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(arrive())
            while piece := await reader.read(PIECE_BYTES):
                under_way.put_nowait((schedule.enter(len(piece), loop.time()), piece))
                await asyncio.sleep(max(0.0, schedule.room_at(loop.time()) - loop.time()))
            under_way.put_nowait((loop.time() + shape.delay_s, b""))
    except* ConnectionError:
        # One end has gone; the other is closed below.
        pass
    finally:
        writer.close()


def main() -> None:
    """Run as told on the command line; says `ready` when it listens."""
    parser = argparse.ArgumentParser()
    parser.add_argument("listen")
    parser.add_argument("connect")
    parser.add_argument("--bits-per-s", type=float, required=True)
    parser.add_argument("--delay-s", type=float, required=True)
    told = parser.parse_args()
    shape = Shape(told.bits_per_s / 8, told.delay_s)

    async def run() -> None:
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(told.listen, told.connect, shape, started))
            await started.wait()
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            # The bench ends it by closing its input.
            await asyncio.to_thread(sys.stdin.read)
            raise SystemExit(0)

    asyncio.run(run())


if __name__ == "__main__":
    main()
