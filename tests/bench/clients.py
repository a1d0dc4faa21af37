"""Clients of the endpoints that tunnels are measured with; each does one thing and says how long it took."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

from tests.bench import endpoints, lab, stats

CLIENTS: Final = 100
"""How many there are at a time where many are meant."""


def connected(port: int) -> socket.socket:
    """Connect, without Nagle's delay."""
    made = socket.create_connection(("127.0.0.1", port), timeout=lab.PATIENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def download(port: int) -> float:
    """Return how many seconds everything took that comes from a port, until its end."""
    began_s = time.monotonic()
    buffer = bytearray(endpoints.MIB)
    with connected(port) as connection:
        while connection.recv_into(buffer):
            pass
    return time.monotonic() - began_s


def upload(port: int, megabytes: int) -> float:
    """Return how many seconds so many MiB took until the other end said that they have come."""
    began_s = time.monotonic()
    block = bytes(endpoints.MIB)
    with connected(port) as connection:
        for _ in range(megabytes):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b"k":
            raise SystemExit("an upload did not arrive")
    return time.monotonic() - began_s


def fresh(port: int) -> float:
    """Return how many milliseconds a new connection, a small request, its answer and its end took."""
    began_s = time.monotonic()
    got = 0
    with connected(port) as connection:
        connection.sendall(bytes(100))
        while data := connection.recv(65536):
            got += len(data)
    if got != len(endpoints.ANSWER):
        raise SystemExit(f"an answer of {got} bytes")
    return (time.monotonic() - began_s) * 1000


def round_trip(port: int, count: int) -> float:
    """Return the median of milliseconds that 100 bytes took there and back on an open connection."""
    times = []
    with connected(port) as connection:
        for _ in range(count):
            began_s = time.monotonic()
            connection.sendall(bytes(100))
            connection.recv(65536)
            times.append((time.monotonic() - began_s) * 1000)
    return stats.median(times)


async def kept(port: int, requests: int) -> float:
    """Return how long 100 clients take that each ask so often on one connection."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(requests):
            writer.write(bytes(1000))
            await reader.readexactly(1000)
        writer.close()

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(one())
    return time.monotonic() - began_s


async def ended(port: int, requests: int) -> float:
    """Return how many seconds 100 clients took that each make so many connections in turn, and wait for their ends."""

    async def one() -> None:
        for _ in range(requests):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes(100))
            if len(await reader.read()) != len(endpoints.ANSWER):
                raise SystemExit("an answer is not whole")
            writer.close()

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(one())
    return time.monotonic() - began_s
