"""Connections through the agent's link, each figure beside the same without it, on the loopback.

Everything crosses two processes more than it does directly, on the same cores: so of the bulk figures the ratio says
more about the machine than about a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from tests.bench import clients, endpoints, lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "tunnel"

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
    add("down", clients.download(ports["pour"]) / gigabytes)
    add("up", clients.upload(ports["sink"], megabytes) / gigabytes)
    times = [clients.fresh(ports["small"]) for _ in range(50 if quick else 300)]
    add("new p50", stats.percentile(times, 50))
    add("new p95", stats.percentile(times, 95))
    add("open", clients.round_trip(ports["echo"], 100 if quick else 1000))
    requests = 20 if quick else 100
    add("kept", asyncio.run(clients.kept(ports["echo"], requests)) * 1000 / (clients.CLIENTS * requests))


@contextlib.contextmanager
def _downloading(port: int) -> Iterator[None]:
    """Keep a download running."""
    enough = threading.Event()

    def download() -> None:
        buffer = bytearray(endpoints.MIB)
        while not enough.is_set():
            with clients.connected(port) as connection:
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
