"""A cluster in memory, behind a real HTTP server: objects by path, as far as devloop.inject uses the API."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from devloop.kube import client, paths
from devloop.podspec import names
from tests.unit.kube import fake_api

NAMESPACE = "dev"
WORKLOAD = "/apis/apps/v1/namespaces/dev/deployments/web"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/dev/leases/devloop-deployment-web"
PODS = "/api/v1/namespaces/dev/pods"


class Cluster(fake_api.FakeApi):
    """Answers what a test has not said by itself from the objects it holds.

    Attributes:
        objects: By path.
        log: Every change that was asked for, as `POST /path`.
        hooks: Called before a request of this kind and path is answered, once each.
        rolls_out: New pods follow a changed template at once.
        storage_class: What the cluster's admission writes into claims; empty where it has no default class.
        refused: Answers in place of the cluster's, by method and path.
    """

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.hooks: dict[str, Callable[[], None]] = {}
        self.refused: dict[str, tuple[int, str, str]] = {}
        self.rolls_out = True
        self.user = ""
        self.minor = "36"
        self.storage_class = "standard"
        self._version = 0

    def put(self, path: str, found: dict[str, Any]) -> None:
        """Have an object."""
        self._version += 1
        meta = found.setdefault("metadata", {})
        meta.setdefault("name", path.rpartition("/")[2])
        meta.setdefault("uid", f"uid-{self._version}")
        meta["resourceVersion"] = str(self._version)
        self.objects[path] = found

    @property
    def template(self) -> dict[str, Any]:
        found: dict[str, Any] = self.objects[WORKLOAD]["spec"]["template"]
        return found

    async def handle(self, request: web.Request) -> web.StreamResponse:
        said = f"{request.method} {request.path}"
        if said in self.hooks:
            self.hooks.pop(said)()
        if said in self.refused:
            code, message, reason = self.refused[said]
            return fake_api.status(code, message, reason)
        if request.method != "GET":
            dry = " (dry run)" if request.query.get("dryRun") else ""
            self.log.append(f"{said.replace('/namespaces/dev', '')}{dry}")
        if (request.method, request.path) in self._handlers:
            return await super().handle(request)
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": self.minor})
        body = json.loads(await request.read() or b"null")
        match request.method:
            case "GET":
                return self._get(request)
            case "POST":
                return self._create(request, body)
            case "PUT":
                return self._replace(request, body)
            case "DELETE":
                return self._delete(request, body)
            case _:
                return self._patch(request, body)

    def _get(self, request: web.Request) -> web.Response:
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        if paths.asked("GET", request.path).name:
            return fake_api.status(404, "not found", "NotFound")
        below = [each for path, each in self.objects.items() if path.rpartition("/")[0] == request.path]
        label = request.query.get("labelSelector", "")
        if label.startswith("devloop.dev/"):
            below = [each for each in below if label in (each["metadata"].get("labels") or {})]
        return web.json_response({"items": below, "metadata": {"resourceVersion": str(self._version)}})

    def _create(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if request.path.endswith("selfsubjectreviews"):
            if not self.user:
                return fake_api.status(404, "not found", "NotFound")
            return web.json_response({"status": {"userInfo": {"username": self.user}}})
        if request.path.endswith("/eviction"):
            return self._evict(request.path.removesuffix("/eviction"), body)
        path = f"{request.path}/{body['metadata']['name']}"
        if path in self.objects:
            return fake_api.status(409, "it exists already", "AlreadyExists")
        if "persistentvolumeclaims" in path and self.storage_class:
            body["spec"].setdefault("storageClassName", self.storage_class)
        self.put(path, body)
        return web.json_response(body)

    def _evict(self, path: str, body: dict[str, Any]) -> web.Response:
        wanted = ((body.get("deleteOptions") or {}).get("preconditions") or {}).get("uid")
        if wanted and path in self.objects and self.objects[path]["metadata"]["uid"] != wanted:
            return fake_api.status(409, "the UID in the precondition differs", "Conflict")
        self.objects.pop(path, None)
        return web.json_response({})

    def _replace(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        there = self.objects.get(request.path)
        if there is None:
            return fake_api.status(404, "not found", "NotFound")
        if body["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            return fake_api.status(409, "the object has been modified", "Conflict")
        body["metadata"]["uid"] = there["metadata"]["uid"]
        self.put(request.path, body)
        return web.json_response(body)

    def _delete(self, request: web.Request, body: dict[str, Any] | None) -> web.Response:
        there = self.objects.get(request.path)
        if there is None:
            return fake_api.status(404, "not found", "NotFound")
        for key, value in ((body or {}).get("preconditions") or {}).items():
            if there["metadata"][key] != value:
                return fake_api.status(409, f"{key} differs", "Conflict")
        del self.objects[request.path]
        return web.json_response({})

    def _patch(self, request: web.Request, body: Any) -> web.Response:
        path, _, sub = request.path.partition("/ephemeralcontainers")
        there = self.objects.get(path)
        if there is None:
            return fake_api.status(404, "not found", "NotFound")
        made = copy.deepcopy(there)
        if sub or request.path != path:
            # a strategic merge patch puts what it adds before what is there
            had = made["spec"].get("ephemeralContainers", [])
            made["spec"]["ephemeralContainers"] = [*body["spec"]["ephemeralContainers"], *had]
        else:
            for each in body:
                assert each["path"] == "/spec/template"
                if each["op"] == "test" and each["value"] != made["spec"]["template"]:
                    return fake_api.status(422, "the server rejected our request", "Invalid")
                if each["op"] == "replace":
                    made["spec"]["template"] = each["value"]
        if not request.query.get("dryRun"):
            self.put(path, made)
            if path == WORKLOAD and self.rolls_out:
                self.roll_out()
        return web.json_response(made)

    def roll_out(self) -> None:
        """Replace the pod by one of the template of now, with everything in it running."""
        template = self.template
        for path in [path for path in self.objects if path.startswith(f"{PODS}/")]:
            del self.objects[path]
        name = f"web-5d-{self._version}"
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        found: dict[str, Any] = {
            "metadata": {
                "name": name,
                "labels": {"app": "web", "pod-template-hash": "5d"},
                "annotations": dict((template.get("metadata") or {}).get("annotations") or {}),
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d", "controller": True}],
            },
            "spec": copy.deepcopy(template["spec"]),
            "status": {
                "phase": "Running",
                "initContainerStatuses": [
                    {"name": each["name"], "state": running if each["name"] == names.AGENT else {}}
                    for each in template["spec"].get("initContainers") or []
                ],
                "containerStatuses": [
                    {"name": each["name"], "state": running, "containerID": f"id-{each['name']}"}
                    for each in template["spec"]["containers"]
                ],
            },
        }
        self.put(f"{PODS}/{name}", found)


def deployment(**container: Any) -> dict[str, Any]:
    """Return a Deployment without anything of devloop."""
    app = {"name": "app", "image": "app:1", "securityContext": {"runAsUser": 1000}, **container}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "generation": 1},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"creationTimestamp": None, "labels": {"app": "web"}},
                "spec": {"containers": [app]},
            },
        },
        "status": {"observedGeneration": 1},
    }


@contextlib.asynccontextmanager
async def serving(cluster: Cluster | None = None) -> AsyncIterator[tuple[Cluster, client.Client]]:
    """Run a cluster with one Deployment and its pod, or go on with one, and connect to it."""
    made = cluster or Cluster()
    if cluster is None:
        made.put(WORKLOAD, deployment())
        made.roll_out()
    async with _listening(made), client.connect(made.cluster()) as api:
        yield made, api


@contextlib.asynccontextmanager
async def _listening(cluster: Cluster) -> AsyncIterator[None]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", cluster.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    cluster.url = f"http://{host}:{port}"
    try:
        yield
    finally:
        await runner.cleanup()
