"""Connections through the agent's link, each figure beside the same without it, on the loopback.

Everything crosses two processes more than it does directly, on the same cores: so of the bulk figures the ratio says
more about the machine than about a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from tests.bench import endpoints, lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "tunnel"
CLIENTS: Final = 100

Rows = dict[str, list[float]]


def run(how: plan.Plan) -> list[Figure]:
    """Measure on a few files, on tmpfs."""
    megabytes = 64 if how.quick else 256
    direct: Rows = {}
    carried: Rows = {}
    with endpoints.running(megabytes) as ports, how.on_memory() as place:
        place.small_project(50)
        edited = place.source / plan.EDITED
        edited.write_text("")
        with place.start() as subject:
            subject.in_sync()
            lab.pause(2.0)
            forwards = {name: subject.forward(port) for name, port in ports.items()}
            for _ in range(how.runs):
                for rows, where in ((direct, ports), (carried, forwards)):
                    _take(rows, where, megabytes, quick=how.quick)
                direct.setdefault("sync", []).append(stats.median(subject.edits(edited, 20)))
                with _downloading(forwards["pour"]):
                    carried.setdefault("sync", []).append(stats.median(subject.edits(edited, 20)))
    return [_figure(key, name, unit, target, direct, carried) for key, name, unit, target in _FIGURES]


_FIGURES: Final = (
    ("down", "bulk download", "s/GB", None),
    ("up", "bulk upload", "s/GB", None),
    ("new p50", "new connection, small answer, EOF p50", "ms", 5.0),
    ("new p95", "the same, p95", "ms", None),
    ("open", "100 bytes and back on an open connection p50", "ms", None),
    ("kept", "a request of 100 clients with keep-alive", "ms", None),
    ("sync", "saved -> acked p50 while a download runs", "ms", None),
)


def _figure(key: str, name: str, unit: str, target: float | None, direct: Rows, carried: Rows) -> Figure:
    floor = "nothing else" if key == "sync" else "direct"
    values, floors = tuple(carried[key]), tuple(direct[key])
    return Figure(scenario=NAME, name=name, unit=unit, values=values, target=target, floors=floors, floor_name=floor)


def _take(rows: Rows, ports: Mapping[str, int], megabytes: int, *, quick: bool) -> None:
    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    gigabytes = megabytes * endpoints.MIB / 1e9
    add("down", _download(ports["pour"]) / gigabytes)
    add("up", _upload(ports["sink"], megabytes) / gigabytes)
    times = [_new(ports["small"]) for _ in range(50 if quick else 300)]
    add("new p50", stats.percentile(times, 50))
    add("new p95", stats.percentile(times, 95))
    add("open", _open(ports["echo"], 100 if quick else 1000))
    requests = 20 if quick else 100
    add("kept", asyncio.run(_kept(ports["echo"], requests)) * 1000 / (CLIENTS * requests))


def _connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=lab.PATIENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _download(port: int) -> float:
    began_s = time.monotonic()
    buffer = bytearray(endpoints.MIB)
    with _connected(port) as connection:
        while connection.recv_into(buffer):
            pass
    return time.monotonic() - began_s


def _upload(port: int, megabytes: int) -> float:
    began_s = time.monotonic()
    block = bytes(endpoints.MIB)
    with _connected(port) as connection:
        for _ in range(megabytes):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1) != b"k":
            raise SystemExit("an upload did not arrive")
    return time.monotonic() - began_s


def _new(port: int) -> float:
    began_s = time.monotonic()
    got = 0
    with _connected(port) as connection:
        connection.sendall(bytes(100))
        while data := connection.recv(65536):
            got += len(data)
    if got != len(endpoints.ANSWER):
        raise SystemExit(f"an answer of {got} bytes")
    return (time.monotonic() - began_s) * 1000


def _open(port: int, count: int) -> float:
    times = []
    with _connected(port) as connection:
        for _ in range(count):
            began_s = time.monotonic()
            connection.sendall(bytes(100))
            connection.recv(65536)
            times.append((time.monotonic() - began_s) * 1000)
    return stats.median(times)


async def _kept(port: int, requests: int) -> float:
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


@contextlib.contextmanager
def _downloading(port: int) -> Iterator[None]:
    """Keep a download running."""
    enough = threading.Event()

    def download() -> None:
        buffer = bytearray(endpoints.MIB)
        while not enough.is_set():
            with _connected(port) as connection:
                while not enough.is_set() and connection.recv_into(buffer):
                    pass

    thread = threading.Thread(target=download)
    thread.start()
    try:
        lab.pause(0.5)
        yield
    finally:
        enough.set()
        thread.join()
