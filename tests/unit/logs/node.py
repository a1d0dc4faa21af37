"""A node in memory behind an API server: pods, their containers' runs, and the logs that requests bring."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from typing import Any

from aiohttp import web

from devloop.kube import paths
from devloop.logs import values
from tests.unit.kube import fake_api
from tests.unit.logs import kubelet

S = 1_000_000_000
PODS = paths.of("v1", "pods", "dev")
WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"


def pod(name: str, uid: str = "", *containers: str) -> dict[str, Any]:
    """Return a pod of the Deployment `web` whose containers run."""
    names = containers or ("app",)
    return {
        "metadata": {
            "name": name,
            "uid": uid or f"uid-{name}",
            "creationTimestamp": "2026-05-01T10:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "7d9"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9", "controller": True}],
        },
        "spec": {"containers": [{"name": each} for each in names]},
        "status": {"phase": "Running", "containerStatuses": [running(each) for each in names]},
    }


def running(name: str, run: int = 0) -> dict[str, Any]:
    return {"name": name, "restartCount": run, "containerID": f"c://{name}-{run}", "state": {"running": {}}}


class Node:
    """What stands behind the API server.

    Attributes:
        pods: By name, as the API server tells them.
        logs: By pod, container and run.
        asked: The queries for logs.
        stale: What is told of a pod as long as its state runs behind.
        refusing: Answers a request for a log, once for each that is there.
    """

    def __init__(self, server: fake_api.FakeApi) -> None:
        self.server = server
        self.pods: dict[str, dict[str, Any]] = {}
        self.logs: dict[tuple[str, str, int], kubelet.Log] = {}
        self.asked: list[dict[str, str]] = []
        self.refusing: list[web.StreamResponse] = []
        self.stale: dict[str, Any] | None = None
        self.now_ns = 1_750_000_000 * S
        self._changed = asyncio.Event()
        self._streams: dict[int, web.Request] = {}
        self._news: list[bytes] = []
        self._version = 1
        self._ended = False
        server.on("GET", PODS, self._pods)
        workload = {
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "devloop-tools"}]}},
            },
        }
        server.on("GET", WORKLOAD, fake_api.giving(workload))

    # ---- what happens on the node -----------------------------------------------------------------------------------

    def add(self, raw: dict[str, Any]) -> None:
        """Have a pod, or change one."""
        name = raw["metadata"]["name"]
        known = "MODIFIED" if name in self.pods else "ADDED"
        self._version += 1
        raw["metadata"]["resourceVersion"] = str(self._version)
        self.pods[name] = raw
        self.server.on("GET", f"{PODS}/{name}", self._pod)
        self.server.on("GET", f"{PODS}/{name}/log", self._log)
        self._tell(fake_api.event(known, raw))

    def remove(self, name: str) -> None:
        """Delete a pod."""
        self._tell(fake_api.event("DELETED", self.pods.pop(name)))

    def write(self, name: str, *texts: bytes, container: str = "app", step_ns: int = 1_000_000) -> None:
        """Print lines in the current run."""
        log = self.log(name, container)
        for text in texts:
            self.now_ns += step_ns
            log.write(self.now_ns, text)
        self._wake()

    def log(self, name: str, container: str = "app", *, back: int = 0) -> kubelet.Log:
        """Return the log of the current run, or of one before."""
        run = self.status(name, container)["restartCount"] - back
        return self.logs.setdefault((name, container, run), kubelet.Log())

    def status(self, name: str, container: str = "app") -> dict[str, Any]:
        found: dict[str, Any] = next(
            each for each in self.pods[name]["status"]["containerStatuses"] if each["name"] == container
        )
        return found

    def end_run(self, name: str, container: str = "app") -> None:
        """End a container; it is not started again yet."""
        self.status(name, container)["state"] = {"terminated": {"exitCode": 1}}
        self.add(self.pods[name])

    def restart(self, name: str, container: str = "app", *, told: bool = True) -> None:
        """Start the next run of a container."""
        status = self.status(name, container)
        status.update(running(container, status["restartCount"] + 1))
        if told:
            self.add(self.pods[name])
        self._wake()

    def cut(self) -> None:
        """Cut every log that is being followed."""
        for request in list(self._streams.values()):
            if request.transport is not None:
                request.transport.abort()

    def end(self) -> None:
        """Let every stream end."""
        self._ended = True
        self._wake()

    async def until_followed(self, count: int = 1) -> None:
        """Wait until so many logs are being followed."""
        async with asyncio.timeout(10):
            while len(self._streams) < count:
                await asyncio.sleep(0.001)

    # ---- what the API server answers --------------------------------------------------------------------------------

    async def _pod(self, request: web.Request) -> web.StreamResponse:
        found = self.stale or self.pods.get(request.path.rpartition("/")[2])
        return web.json_response(found) if found is not None else fake_api.status(404, "pod not found", "NotFound")

    async def _pods(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            meta = {"resourceVersion": str(self._version)}
            return web.json_response({"items": list(self.pods.values()), "metadata": meta})
        response = web.StreamResponse()
        await response.prepare(request)
        at = 0
        while not self._ended:
            changed = self._changed
            for line in self._news[at:]:
                if int(_version_of(line)) > int(request.query["resourceVersion"]) or b'"DELETED"' in line:
                    await response.write(line)
            at = len(self._news)
            await changed.wait()
        return response

    async def _log(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.asked.append(query)
        if self.refusing:
            return self.refusing.pop(0)
        name, container = request.path.split("/")[-2], query["container"]
        if name not in self.pods:
            return fake_api.status(404, f'pods "{name}" not found', "NotFound")
        run = self.status(name, container)["restartCount"] - ("previous" in query)
        if run < 0 or ("previous" in query and (name, container, run) not in self.logs):
            return fake_api.status(400, f'previous terminated container "{container}" in pod "{name}" not found')
        log = self.logs.setdefault((name, container, run), kubelet.Log())
        tail = int(query["tailLines"]) if "tailLines" in query else None
        response = web.StreamResponse()
        if "follow" not in query:
            await response.prepare(request)
            await response.write(log.read(query.get("sinceTime", ""), tail))
            return response
        self._streams[id(request)] = request
        with contextlib.suppress(OSError):
            await self._follow(request, response, log, (name, container, run))
        del self._streams[id(request)]
        return response

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, log: kubelet.Log, whose: tuple[str, str, int]
    ) -> None:
        since = request.query.get("sinceTime", "")
        from_ns = int(datetime.datetime.fromisoformat(since).timestamp()) * S if since else 0
        at = 0
        while True:
            changed = self._changed
            lines = log.lines[at:]
            at = len(log.lines)
            sent = b"".join(kubelet.stamp(at_ns) + b" " + text + b"\n" for at_ns, text in lines if at_ns >= from_ns)
            if sent:
                if not response.prepared:
                    # As a kubelet: no head before the first line.
                    await response.prepare(request)
                await response.write(sent)
            if self._ended or not self._runs(whose):
                break
            await changed.wait()
        if not response.prepared:
            await response.prepare(request)

    def _runs(self, whose: tuple[str, str, int]) -> bool:
        name, container, run = whose
        if name not in self.pods:
            return False
        status = self.status(name, container)
        return status["restartCount"] == run and "running" in status["state"]

    def _tell(self, line: bytes) -> None:
        self._news.append(line)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _version_of(line: bytes) -> str:
    return line.partition(b'"resourceVersion": "')[2].partition(b'"')[0].decode() or "0"


class Got:
    """Takes what is read.

    Attributes:
        items: All of it.
    """

    def __init__(self) -> None:
        self.items: list[values.Item] = []
        self._more = asyncio.Event()

    async def put(self, item: values.Item) -> None:
        self.items.append(item)
        self._more.set()

    @property
    def texts(self) -> list[bytes]:
        return [line.split(b" ", 1)[1] for each in self.items if isinstance(each, values.Batch) for line in each.lines]

    @property
    def runs(self) -> list[int]:
        return [each.run for each in self.items if isinstance(each, values.Batch) for _ in each.lines]

    @property
    def notes(self) -> list[str]:
        return [each.text for each in self.items if isinstance(each, values.Note)]

    async def until(self, *texts: bytes) -> None:
        """Wait until exactly these lines were read."""
        async with asyncio.timeout(10):
            while len(self.texts) < len(texts):
                self._more.clear()
                await self._more.wait()
        assert self.texts == list(texts)

    async def until_noted(self, words: str) -> None:
        """Wait for a remark."""
        async with asyncio.timeout(10):
            while not any(words in note for note in self.notes):
                self._more.clear()
                await self._more.wait()
