"""Forwards to pods of a real cluster, each beside `kubectl port-forward` to the same pod, through the same API server.

Run by name: `scripts/bench forwards`. The cluster is that of scripts/cluster, on this machine, so the API server, the
kubelet and the pods take from the same cores as either client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench import clients, endpoints, lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan
from tests.e2e import cluster, loop, project, space

NAME: Final = "forwards"

# The ports of the pods: what `tests.bench.endpoints` has, in a few lines that need nothing but Python.
PORTS: Final = {"pour": 9001, "sink": 9002, "small": 9003, "echo": 9004}
SERVER: Final = """
import asyncio, sys
async def pour(reader, writer):
    block = bytes(1 << 20)
    for _ in range(int(sys.argv[1])):
        writer.write(block)
        await writer.drain()
async def sink(reader, writer):
    while await reader.read(1 << 20):
        pass
    writer.write(b"k")
async def small(reader, writer):
    await reader.read(100)
    writer.write(bytes(1000))
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
def closing(serve):
    async def handle(reader, writer):
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()
    return handle
async def main():
    for port, serve in ((9001, pour), (9002, sink), (9003, small), (9004, echo)):
        await asyncio.start_server(closing(serve), "127.0.0.1", port, backlog=512, limit=1 << 20)
    await asyncio.Event().wait()
asyncio.run(main())
"""

Rows = dict[str, list[float]]

# What of kubectl's throughput is demanded, with an agent and without one.
SHARE: Final = {"agent": 0.6, "port-forward": 0.85}


def run(how: plan.Plan) -> list[Figure]:
    """Measure in a namespace of its own."""
    whole = cluster.Cluster.up()
    megabytes = 64 if how.quick else 256
    with tempfile.TemporaryDirectory(dir=how.disk) as folder, space.created(whole, Path(folder)) as ns:
        bench = loop.Bench(ns, Path(folder), whole.agent_image(), whole.base_image())
        ours = {carrier: dict(zip(PORTS, _free(len(PORTS)), strict=True)) for carrier in SHARE}
        made = _project(bench, ours, megabytes)
        rows: dict[str, Rows] = {each: {} for each in (*SHARE, "kubectl")}
        with made.watch() as watch, _kubectl(ns) as peers:
            watch.until("link", lambda event: event["up"])
            for ports in (*ours.values(), peers):
                _until_it_answers(ports["echo"])
            for _ in range(how.runs):
                for carrier, ports in (*ours.items(), ("kubectl", peers)):
                    _take(rows[carrier], ports, megabytes, quick=how.quick, slow_end=carrier != "agent")
    return [figure for carrier in SHARE for figure in _figures(carrier, rows[carrier], rows["kubectl"])]


def _project(bench: loop.Bench, ours: Mapping[str, Mapping[str, int]], megabytes: int) -> project.Project:
    """Make a service with an agent in its pod, and one without."""
    forwards = {carrier: [f"{ports[name]}:{PORTS[name]}" for name in PORTS] for carrier, ports in ours.items()}
    services = {
        "web": {**loop.service()["web"], "ports": forwards["agent"]},
        "bare": {**loop.service()["web"], "workload": "deployment/bare", "ports": forwards["port-forward"]},
    }
    made = bench.laptop("laptop", services=services)
    plain = loop.deployment(bench.app_image, "python3", "-c", SERVER, str(megabytes))
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    bench.ns.apply(_named(plain, "bare"))
    for name in ("web", "bare"):
        bench.ns.admin("rollout", "status", f"deployment/{name}", f"--timeout={lab.PATIENCE_S:.0f}s")
    return made


def _named(plain: dict[str, Any], name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {**plain["spec"]["template"], "metadata": {"labels": labels}}
    spec = {**plain["spec"], "selector": {"matchLabels": labels}, "template": template}
    return {**plain, "metadata": {"name": name}, "spec": spec}


@contextlib.contextmanager
def _kubectl(ns: space.Space) -> Iterator[dict[str, int]]:
    """Run `kubectl port-forward` to the pod with the agent."""
    ports = dict(zip(PORTS, _free(len(PORTS)), strict=True))
    pairs = [f"{ports[name]}:{PORTS[name]}" for name in PORTS]
    (pod,) = loop.living(ns)
    command = ns.admin.argv("port-forward", f"pod/{pod}", *pairs)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield ports
        finally:
            process.kill()


def _free(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in taken]
    for each in taken:
        each.close()
    return ports


def _until_it_answers(port: int) -> None:
    until_s = time.monotonic() + lab.PATIENCE_S
    while True:
        with contextlib.suppress(OSError), clients.connected(port) as connection:
            connection.sendall(b"x")
            if connection.recv(1) == b"x":
                return
        if time.monotonic() > until_s:
            raise SystemExit("a forward does not answer")
        lab.pause(0.2)


def _take(rows: Rows, ports: Mapping[str, int], megabytes: int, *, quick: bool, slow_end: bool) -> None:
    """Measure one carrier once; fewer connections where each takes a second to end."""

    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    gigabytes = megabytes * endpoints.MIB / 1e9
    add("down", clients.download(ports["pour"]) / gigabytes)
    if not slow_end:
        add("up", clients.upload(ports["sink"], megabytes) / gigabytes)
    times = [clients.fresh(ports["small"]) for _ in range(5 if slow_end else 50 if quick else 200)]
    add("new", stats.percentile(times, 50))
    add("open", clients.round_trip(ports["echo"], 100 if quick else 500))
    add("ends", asyncio.run(clients.ended(ports["small"], 1)))
    requests = 20 if quick else 100
    add("kept", asyncio.run(clients.kept(ports["echo"], requests)) * 1000 / (clients.CLIENTS * requests))


def _figures(carrier: str, ours: Rows, kubectl: Rows) -> list[Figure]:
    def figure(key: str, name: str, unit: str, target: float | None = None) -> Figure:
        return Figure(
            scenario=NAME,
            name=f"{carrier}: {name}",
            unit=unit,
            values=tuple(ours[key]),
            target=target,
            floors=tuple(kubectl.get(key, ())),
            floor_name="kubectl",
        )

    def times(key: str, name: str, target: float) -> Figure:
        ratio = tuple(one / other for one, other in zip(ours[key], kubectl[key], strict=True))
        return Figure(
            scenario=NAME, name=f"{carrier}: {name}, in times of kubectl", unit="x", values=ratio, target=target
        )

    found = [
        figure("down", "bulk download", "s/GB"),
        times("down", "the same", 1 / SHARE[carrier]),
        figure("new", "new connection, small request, EOF p50", "ms", 5.0),
        figure("open", "100 bytes and back on an open connection p50", "ms"),
        times("ends", "100 clients that wait for EOF", 1 / 5),
        times("kept", "100 clients with keep-alive", 2.0),
    ]
    return [*found, figure("up", "bulk upload", "s/GB")] if "up" in ours else found
