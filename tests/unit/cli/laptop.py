"""devloop as a process of its own beside a pod of `fake_pod`: for verbs that take the terminal, or become a command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.unit.kube import fake_api
from tests.unit.shell import fake_pod

REPO = Path(__file__).parents[3]
_RUN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from devloop.cli.main import main; main()"
PROJECT = """\
version: 1
namespace: dev
services:
  web: {selector: {app: web}, sync: [{from: ./src, to: /app}]}
  here: {target: {local: ./t}, env: {A: "1"}, sync: [{from: ./src, to: /app}]}
"""
PODS = "/api/v1/namespaces/dev/pods"


class Laptop:
    """The project, and the pod behind it."""

    def __init__(self, folder: Path, server: fake_api.FakeApi, pod: fake_pod.Pod) -> None:
        self.folder, self.server, self.pod = folder, server, pod
        (folder / "devloop.yaml").write_text(PROJECT)
        (folder / "src").mkdir()
        cluster = {"name": "c", "cluster": {"server": server.url}}
        config = {"clusters": [cluster], "users": [{"name": "u", "user": {"token": "t0"}}], "current-context": "x"}
        config["contexts"] = [{"name": "x", "context": {"cluster": "c", "user": "u"}}]
        (folder / "kubeconfig").write_text(json.dumps(config))
        self.has_pod()

    def has_pod(self, **container: Any) -> None:
        status = {"phase": "Running", "containerStatuses": [{"name": "app", "state": {"running": {}}}]}
        spec = {"containers": [{"name": "app", **container}]}
        made = {"metadata": {"name": "web", "uid": "1"}, "spec": spec, "status": status}
        self.server.on("GET", PODS, fake_api.giving({"items": [made], "metadata": {}}))

    def run(self, *arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-c", _RUN, str(REPO), "--kubeconfig", "kubeconfig", *arguments]
        return subprocess.run(argv, cwd=self.folder, input=told, capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def made(folder: Path, **pod: Any) -> Iterator[Laptop]:
    """Make both; the API server has a thread of its own."""
    ready: list[Laptop] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    up = threading.Event()

    async def serve() -> None:
        async with fake_api.serving() as server:
            ready.append(Laptop(folder, server, fake_pod.Pod(server, **pod)))
            up.set()
            await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            up.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    up.wait(20)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
