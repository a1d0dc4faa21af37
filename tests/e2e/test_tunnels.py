"""Real programs through the tunnel: a database and its tools, a debugger and its editor's configuration."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.behaviour import dap
from tests.e2e import cluster, loop, project, shapes, space

# Debian's base has this user; initdb wants its own to have a name.
NOBODY = 65534
DATABASE = """
initdb -D /data/db -U app --auth=trust >/dev/null
echo 'host all all all trust' >> /data/db/pg_hba.conf
exec postgres -D /data/db -k /data -h 0.0.0.0
"""
TABLE = "create table t as select g, md5(g::text) as h from generate_series(1, 200000) g"

APP = """\
import time


def tick(number):
    return number + 1


number = 0
while True:
    number = tick(number)
    time.sleep(0.01)
"""
LINE = 5


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def image(recipe: str) -> str:
    """Build an app's image from a recipe, load it and return its name."""
    path = f"tests/e2e/images/{recipe}.Dockerfile"
    return cluster.run(str(cluster.REPO / "scripts" / "image"), "--recipe", path, timeout_s=cluster.UP_S).strip()


def config(made: project.Project, **more: Any) -> None:
    """Add to devloop.yaml, at its top."""
    path = made.folder / "devloop.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **more}))


@pytest.fixture
def database(ns: space.Space) -> str:
    """Debian's PostgreSQL in a pod, behind the Service `db`; the pod's name."""
    app = shapes.container(shapes.APP, image("postgres"), "sh", "-c", DATABASE)
    app |= {
        "volumeMounts": [shapes.mount("data", "/data")],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1"]}, "periodSeconds": 1},
    }
    pod = shapes.pod("db", [app], volumes=[{"name": "data", "emptyDir": {}}])
    pod["spec"]["securityContext"] |= {"runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY}
    service = {"selector": {"app": "db"}, "ports": [{"port": 5432}]}
    ns.apply(pod, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": service})
    ns.ready("db")
    return "db"


def psql(port: int, *arguments: str) -> str:
    return cluster.run("psql", "-X", "-h", "localhost", "-p", str(port), "-U", "app", "postgres", "-tA", *arguments)


@pytest.mark.skipif(not shutil.which("pg_dump"), reason="needs PostgreSQL's client: apt-get install postgresql-client")
@pytest.mark.parametrize("carrier", ["agent", "port-forward"])
def test_a_database_and_its_tools(carrier: str, bench: loop.Bench, database: str) -> None:
    made = bench.make() if carrier == "agent" else bench.laptop("laptop")
    if carrier == "port-forward":
        bench.ns.apply(loop.deployment(bench.app_image, "/bin/sleep", "infinity"))
    port = free_port()
    config(made, forwards=[f"{port}:db:5432"])
    with made.watch() as watch:
        watch.until("forward", lambda event: event["to"] == "db:5432")
        if carrier == "agent":
            watch.until("ready")
        psql(port, "-c", TABLE)
        assert psql(port, "-c", "select count(*), min(g), max(g) from t").strip() == "200000|1|200000"
        dump = ("--no-owner", "-U", "app", "postgres")
        through = cluster.run("pg_dump", "-h", "localhost", "-p", str(port), *dump)
        inside = bench.ns.exec(database, "pg_dump", "-h", "127.0.0.1", *dump)
        # what names the program's own version and a key of each run is of no account
        assert digest(through) == digest(inside) and len(through) > 5_000_000
        # many sessions at a time, each with its own statements and answers
        with contextlib.ExitStack() as stack:
            ask = ["psql", "-X", "-h", "localhost", "-p", str(port), "-U", "app", "postgres", "-tAc"]
            running = [
                stack.enter_context(
                    subprocess.Popen([*ask, f"select pg_sleep(0.5), {n}"], stdout=subprocess.PIPE, text=True)
                )
                for n in range(20)
            ]
            assert [each.communicate(timeout=60)[0].strip() for each in running] == [f"|{n}" for n in range(20)]


def digest(dump: str) -> str:
    kept = [line for line in dump.splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict", "SET "))]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def test_a_breakpoint_in_a_pod_by_the_laptops_path(bench: loop.Bench, ns: space.Space, tmp_path: Path) -> None:
    bench.app_image = image("debugpy")
    port = free_port()
    words = ["python", "-Xfrozen_modules=off", "-m", "debugpy", "--listen", "127.0.0.1:5678", "app.py"]
    services = loop.service(
        command=words, reload={"mode": "supervise", "grace": "2s"}, wait_first_sync=True, ports=[f"{port}:5678"]
    )
    made = bench.make(services=services)
    made.write("web/app.py", APP)
    made.ok("ide", "vscode", "--write")
    given = dap.configuration(made.folder)
    assert given["connect"]["port"] == port
    with project.watching(made) as watch:
        watch.until("app", lambda event: event["phase"] == "running")
        source = str(made.folder / "web/app.py")
        with debugger(port) as line:
            dap.breaks_at(line, given, source, LINE, "tick")


def debugger(port: int) -> socket.socket:
    """Connect as soon as the debugger in the pod listens; until then the forward resets what it cannot connect."""
    until_s = time.monotonic() + 60
    while True:
        line = socket.create_connection(("localhost", port), 60)
        line.settimeout(1)
        try:
            # debugpy speaks first
            if line.recv(1, socket.MSG_PEEK):
                line.settimeout(60)
                return line
        except (ConnectionError, TimeoutError):
            pass
        line.close()
        assert time.monotonic() < until_s, "the debugger does not listen"
        threading.Event().wait(0.2)


@pytest.mark.disruptive
def test_forwards_outlive_the_api_server(bench: loop.Bench, whole: cluster.Cluster, database: str) -> None:
    if not shutil.which("psql"):
        pytest.skip("needs PostgreSQL's client: apt-get install postgresql-client")
    made = bench.make()
    port = free_port()
    config(made, forwards=[f"{port}:db:5432"])
    with project.watching(made) as watch:
        assert psql(port, "-c", "select 1").strip() == "1"
        whole.restart("apiserver")
        # the listener never closes: this connection is held until the link is back
        assert psql(port, "-c", "select 2").strip() == "2"
        assert "forward" in {event["event"] for event in watch.events}
