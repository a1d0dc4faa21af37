"""The pod's ports on localhost: without an agent and with one, through refusals, replaced pods and crowds."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.e2e import loop, project, shapes, space

PATIENCE_S: Final = 60.0

# Echo (9001), the digest of all that came before the end (9002), HTTP/1.1 that stays open (9003), a megabyte again and
# again (9004), the name of the pod (9005).
SERVER: Final = """
import asyncio, hashlib, os
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
async def digest(reader, writer):
    found = hashlib.sha256()
    while data := await reader.read(65536):
        found.update(data)
    writer.write(found.hexdigest().encode())
async def page(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        name = os.environ["HOSTNAME"].encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(name), name))
        await writer.drain()
async def pour(reader, writer):
    while True:
        writer.write(bytes(1 << 20))
        await writer.drain()
async def name(reader, writer):
    await reader.readline()
    writer.write(os.environ["HOSTNAME"].encode())
def closing(serve):
    async def handle(reader, writer):
        try:
            await serve(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
    return handle
async def main():
    for port, serve in ((9001, echo), (9002, digest), (9003, page), (9004, pour), (9005, name)):
        await asyncio.start_server(closing(serve), "0.0.0.0", port, backlog=512)
    print("serving", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

READY: Final = {"tcpSocket": {"port": 9005}, "periodSeconds": 1}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def service() -> dict[str, Any]:
    """Return a Service with a named target port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"app": "web"},
            "ports": [
                {"name": "page", "port": 80, "targetPort": "page"},
                {"name": "echo", "port": 7, "targetPort": 9001},
            ],
        },
    }


def plain(image: str) -> dict[str, Any]:
    """Return a Deployment without an agent, whose pods serve."""
    made = loop.deployment(image, "python3", "-c", SERVER)
    prepare(made["spec"]["template"]["spec"])
    return made


def prepare(spec: dict[str, Any]) -> None:
    app = next(each for each in spec["containers"] if each["name"] == shapes.APP)
    app |= {"ports": [{"name": "page", "containerPort": 9003}], "readinessProbe": READY}


class Ports:
    """Local ports of a project, by where they lead."""

    def __init__(self, made: project.Project, *forwards: str, reverse: str = "") -> None:
        self.made = made
        self.echo, self.digest, self.page, self.pour, self.name, self.refused, self.service = (
            free_port() for _ in range(7)
        )
        path = made.folder / "devloop.yaml"
        config = yaml.safe_load(path.read_text())
        local = (self.echo, self.digest, self.page, self.pour, self.name)
        leads = [f"{port}:{9001 + number}" for number, port in enumerate(local)]
        config["services"]["web"] |= {"ports": [*leads, f"{self.refused}:9999"]}
        if reverse:
            config["services"]["web"]["reverse"] = [reverse]
        config["forwards"] = [f"{self.service}:web:80", *forwards]
        path.write_text(yaml.safe_dump(config))

    def row(self, port: int) -> dict[str, Any]:
        """Return what `devloop ports` knows of a local port."""
        rows = json.loads(self.made.run("ports", "-o", "json").stdout)
        (found,) = [row for row in rows if row["local"] == f"localhost:{port}"]
        return dict(found)


def asked(port: int, said: bytes, *, end: bool = False, timeout_s: float = PATIENCE_S) -> bytes:
    """Connect, say something and return everything that comes back."""
    with socket.create_connection(("localhost", port), timeout_s) as connection:
        connection.sendall(said)
        if end:
            connection.shutdown(socket.SHUT_WR)
        found = bytearray()
        while data := connection.recv(65536):
            found += data
        return bytes(found)


def answered(port: int, said: bytes) -> bytes:
    """Connect, say something and return as much of what comes back."""
    with socket.create_connection(("localhost", port), PATIENCE_S) as connection:
        connection.sendall(said)
        return exactly(connection, len(said))


def exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        data = connection.recv(size - len(found))
        assert data, f"ended after {bytes(found)!r}"
        found += data
    return bytes(found)


def until(what: str, holds: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, what
        threading.Event().wait(0.2)


@contextlib.contextmanager
def forwarding(made: project.Project) -> Iterator[project.Watch]:
    """Watch without waiting for anything to be in sync."""
    with made.watch() as watch:
        watch.until("forward", lambda event: event["to"] == "web:80")
        yield watch


def check_basics(ports: Ports) -> None:
    """Check what holds whatever carries the connections."""
    assert answered(ports.echo, b"hello" * 1000) == b"hello" * 1000
    connection = http.client.HTTPConnection("localhost", ports.page, timeout=PATIENCE_S)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"web-")
    connection.close()
    with pytest.raises(ConnectionResetError):
        asked(ports.refused, b"x")
    row = ports.row(ports.refused)
    assert row["state"] == "listening" and "9999" in row["error"]
    assert answered(ports.echo, b"after") == b"after"


def check_crowd(ports: Ports, count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        said = [b"%d " % number * 200 for number in range(count)]
        assert list(pool.map(lambda each: answered(ports.echo, each), said)) == said


# ---- without an agent -----------------------------------------------------------------------------------------------


@pytest.fixture
def bare(ns: space.Space, tmp_path: Path, app_image: str) -> Ports:
    """A Deployment without an agent and a Service, and a project that forwards their ports."""
    ns.apply(plain(app_image), service())
    made = project.Project(tmp_path / "laptop", ns, ns.developer(), loop.service())
    made.write("web/page.txt", "first")
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    return Ports(made)


def test_without_an_agent_each_connection_is_a_port_forward(bare: Ports) -> None:
    with forwarding(bare.made):
        check_basics(bare)
        row = bare.row(bare.echo)
        assert row["by"] == "port-forward" and row["target"].startswith("web-")
        # The end of one's way does not cut the answer.
        assert asked(bare.name, b"\n", end=True).startswith(b"web-")
        connection = http.client.HTTPConnection("localhost", bare.service, timeout=PATIENCE_S)
        connection.request("GET", "/")
        assert connection.getresponse().read().startswith(b"web-")
        connection.close()
        check_crowd(bare, 100)


def test_a_pod_that_is_replaced_takes_its_connections_along_and_no_others(bare: Ports) -> None:
    ns = bare.made.where
    with forwarding(bare.made):
        (old,) = loop.living(ns)
        assert asked(bare.name, b"\n") == old.encode()
        with socket.create_connection(("localhost", bare.pour), PATIENCE_S) as pouring:
            exactly(pouring, 1 << 20)
            ns.admin("delete", "pod", old, "--wait=false")
            # In the middle of it all, and before the next pod is there: it waits.
            with contextlib.suppress(ConnectionResetError):
                while pouring.recv(1 << 16):
                    pass
        until("the new pod answers", lambda: asked(bare.name, b"\n") not in {b"", old.encode()})
        (new,) = loop.living(ns)
        assert asked(bare.name, b"\n") == new.encode()
        assert bare.row(bare.name)["target"] == new
        until("the service leads to the new pod", lambda: page_of(bare.service) == new)


def page_of(port: int) -> str:
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def test_a_connection_waits_for_the_first_pod(bare: Ports) -> None:
    ns = bare.made.where
    ns.admin("scale", "deployment/web", "--replicas=0")
    until("no pod is left", lambda: not ns.pods("app=web"))
    with forwarding(bare.made), ThreadPoolExecutor(1) as pool:
        patient = pool.submit(asked, bare.name, b"\n")
        until("it is held", lambda: bare.row(bare.name)["held"] == 1)
        ns.admin("scale", "deployment/web", "--replicas=1")
        assert patient.result(PATIENCE_S).startswith(b"web-")


def test_ports_are_added_and_removed_while_the_watch_runs(bare: Ports) -> None:
    made = bare.made
    refused = made.run("ports", "add", "8080:80")
    assert refused.returncode == 1 and "DL0340" in refused.stderr
    listed = made.run("ports")
    assert "not carried" in listed.stdout and "nobody carries" in listed.stderr
    with forwarding(made):
        one, two = free_port(), free_port()
        made.ok("ports", "add", f"{one}:9005")
        made.ok("ports", "add", f"{two}:web.{made.where.name}:7")
        assert asked(one, b"\n").startswith(b"web-") and answered(two, b"x") == b"x"
        made.ok("ports", "rm", str(one))
        with pytest.raises(ConnectionRefusedError):
            asked(one, b"\n")
        udp = made.run("ports", "add", "53/udp")
        assert udp.returncode == 2 and "UDP" in udp.stderr
        taken = made.run("ports", "add", f"{two}:9005")
        assert taken.returncode == 2 and "forwarded already" in taken.stderr


# ---- with an agent --------------------------------------------------------------------------------------------------


@pytest.fixture
def with_agent(bench: loop.Bench) -> Ports:
    """The same with an agent in the pods; the laptop's `reverse` port is the pod's 9100."""
    bench.ns.apply(service())
    made = bench.make("python3", "-c", SERVER, alter=prepare)
    bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    return Ports(made)


def test_with_an_agent_connections_are_streams_of_its_link(with_agent: Ports) -> None:
    ports = with_agent
    with project.watching(ports.made):
        check_basics(ports)
        assert ports.row(ports.echo)["by"] == "agent"
        # The end of a way reaches the pod's program, and its answer comes after it.
        sent = bytes(range(256)) * (32 << 10)
        assert asked(ports.digest, sent, end=True).decode() == hashlib.sha256(sent).hexdigest()
        assert page_of(ports.service).startswith("web-")
        assert ports.row(ports.service)["by"] in {"agent", "port-forward"}
        check_crowd(ports, 200)


def test_a_replaced_pod_and_a_killed_agent_are_waited_for(with_agent: Ports) -> None:
    ports, ns = with_agent, with_agent.made.where
    with project.watching(ports.made):
        (old,) = loop.living(ns)
        with socket.create_connection(("localhost", ports.echo), PATIENCE_S) as open_:
            open_.sendall(b"x")
            assert exactly(open_, 1) == b"x"
            ns.admin("delete", "pod", old, "--wait=false")
            with contextlib.suppress(ConnectionResetError):
                assert open_.recv(1) == b""
        until("the new pod answers", lambda: asked(ports.name, b"\n") not in {b"", old.encode()})
        (new,) = loop.living(ns)
        until("its agent carries", lambda: asked(ports.name, b"\n") and ports.row(ports.name)["by"] == "agent")
        assert ports.row(ports.name)["target"] == new
        ns.admin("exec", new, "-c", "devloop-agent", "--", "python", "-c", "import os; os.kill(1, 15)")
        for _ in range(20):
            assert asked(ports.name, b"\n") == new.encode()


def test_a_port_of_the_laptop_is_found_in_the_pod(with_agent: Ports) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        local = server.getsockname()[1]
        ports = Ports(with_agent.made, reverse=f"{local}:9100")
        with project.watching(ports.made):
            until("the agent listens", lambda: ports.row(local)["state"] == "listening")
            (pod,) = loop.living(ports.made.where)
            script = "import socket; s = socket.create_connection(('127.0.0.1', 9100), 20); s.sendall(b'hi'); "
            script += "print(s.recv(10).decode())"
            with ThreadPoolExecutor(1) as pool:
                said = pool.submit(ports.made.where.exec, pod, "python3", "-c", script, container=shapes.APP)
                connection, _ = server.accept()
                with connection:
                    assert connection.recv(2) == b"hi"
                    connection.sendall(b"laptop")
                    assert said.result(PATIENCE_S).strip() == "laptop"


def socks(port: int, host: bytes, to: int) -> socket.socket:
    """Connect through a SOCKS5 proxy by name; the reply is the next thing to be read."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    connection.sendall(b"\x05\x01\x00" + bytes([5, 1, 0, 3, len(host)]) + host + to.to_bytes(2, "big"))
    assert exactly(connection, 2) == b"\x05\x00"
    return connection


def test_a_proxy_reaches_names_of_the_cluster_and_nothing_else(with_agent: Ports) -> None:
    ports, name = with_agent, with_agent.made.where.name
    with project.watching(ports.made):
        port = free_port()
        argv = ports.made._argv("proxy", "--port", str(port), "-o", "json")
        with subprocess.Popen(
            argv, cwd=ports.made.folder, env=ports.made._environment, stdout=subprocess.PIPE, text=True
        ) as proxy:
            try:
                until("the proxy listens", lambda: is_open(port))
                for host in ("web", f"web.{name}", f"web.{name}.svc", f"web.{name}.svc.cluster.local"):
                    with socks(port, host.encode(), 7) as connection:
                        assert exactly(connection, 10)[1] == 0, host
                        connection.sendall(b"hello")
                        assert exactly(connection, 5) == b"hello"
                for wrong, code in ((b"169.254.169.254", 2), (b"nowhere", 4), (b"web-9", 4)):
                    with socks(port, wrong, 80) as connection:
                        assert exactly(connection, 10)[1] == code, wrong
                with socks(port, b"127.0.0.1", 9999) as connection:
                    assert exactly(connection, 10)[1] == 5
                told = asked(port, b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n")
                assert told.startswith(b"HTTP/1.1 403 ") and b"does not dial" in told
                plain_ = asked(port, b"GET http://web/ HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n", end=True)
                assert plain_.startswith(b"HTTP/1.1 200 OK")
                assert asked(port, b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").startswith(b"HTTP/1.1 403 ")
            finally:
                proxy.terminate()
        until("the proxy is gone", lambda: not is_open(port))


def is_open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
