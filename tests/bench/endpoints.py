"""Servers on the loopback that tunnels are measured with, in a process of their own.

    python -m tests.bench.endpoints MEGABYTES

prints the ports of `pour` (sends so much and ends), `sink` (takes until the end, then says one byte), `small` (reads a
request, answers 1,000 bytes, ends) and `echo`, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

from tests.bench import lab

NAMES: Final = ("pour", "sink", "small", "echo")
MIB: Final = 1 << 20
ANSWER: Final = bytes(1000)


@contextlib.contextmanager
def running(megabytes: int) -> Iterator[dict[str, int]]:
    """Run them, and yield the ports by name."""
    command = [sys.executable, "-m", "tests.bench.endpoints", str(megabytes)]
    with subprocess.Popen(command, cwd=lab.REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        ports = [int(each) for each in process.stdout.readline().split()]
        try:
            yield dict(zip(NAMES, ports, strict=True))
        finally:
            process.stdin.close()


class Echo(asyncio.Protocol):
    """Says what it is told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._transport.write(data)


class Small(Echo):
    """Answers once and ends."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._transport.write(ANSWER)
        self._transport.close()


def _blocking(serve: Callable[[socket.socket], None]) -> int:
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def one(taken: socket.socket) -> None:
        with contextlib.suppress(OSError), taken:
            serve(taken)

    def accept() -> None:
        while True:
            taken, _ = server.accept()
            threading.Thread(target=one, args=(taken,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(server.getsockname()[1])


def _pour(megabytes: int) -> Callable[[socket.socket], None]:
    block = bytes(MIB)

    def serve(taken: socket.socket) -> None:
        for _ in range(megabytes):
            taken.sendall(block)

    return serve


def _sink(taken: socket.socket) -> None:
    buffer = bytearray(MIB)
    while taken.recv_into(buffer):
        pass
    taken.sendall(b"k")


async def _main(megabytes: int) -> None:
    loop = asyncio.get_running_loop()
    ports = [_blocking(_pour(megabytes)), _blocking(_sink)]
    for protocol in (Small, Echo):
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=1024)
        ports.append(server.sockets[0].getsockname()[1])
    sys.stdout.write(" ".join(map(str, ports)) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
