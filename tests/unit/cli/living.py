"""A cluster whose Application and leases change when they are changed, with a controller that syncs at once."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.unit.argocd import jsonpatch, samples
from tests.unit.cli import environments
from tests.unit.kube import fake_api

SHOP = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop"
HOME = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/dev/leases"


class Living:
    """The cluster; set up on a server by `environments.found(monkeypatch, living)`.

    Args:
        folder: For the templates' repository, which is a real one.
    """

    def __init__(self, folder: Path) -> None:
        self.repo = folder / "templates"
        self.repo.mkdir()
        self.git("init", "-q", "-b", "main")
        (self.repo / "web.yaml").write_text("kind: Deployment\n")
        self.git("add", ".")
        self.git("commit", "-qm", "one")
        self.raw = samples.raw(
            source={"repoURL": f"file://{self.repo}", "path": ".", "targetRevision": "main"}, project="team"
        )
        self.leases: dict[str, dict[str, Any]] = {}
        self.allowed = ["*"]
        self.sets: list[dict[str, Any]] = []
        self._version = 100
        self._sync()

    def git(self, *arguments: str) -> str:
        """Run git in the templates' repository."""
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def __call__(self, server: fake_api.FakeApi) -> None:
        """Answer as this cluster."""
        environments.shop(server)
        server.on("GET", environments.APPLICATIONS, self._listed)
        server.on("GET", HOME, self._listed)
        server.on("GET", SHOP, self._got)
        server.on("GET", "/apis/argoproj.io/v1alpha1/applicationsets", environments.listing(*self.sets))
        server.on("PATCH", SHOP, self._patched)
        server.on("GET", f"{HOME.removesuffix('applications')}appprojects/team", self._project)
        server.on("GET", LEASES, self._leases)
        server.on("POST", LEASES, self._made)
        for kind in ("branch", "pause"):
            path = f"{LEASES}/devloop-{kind}-argocd.shop"
            server.on("GET", path, self._lease)
            server.on("PUT", path, self._replaced)
            server.on("DELETE", path, self._deleted)

    def _sync(self) -> None:
        source = self.raw["spec"]["source"]
        done = subprocess.run(
            ["git", "rev-parse", source["targetRevision"]], cwd=self.repo, capture_output=True, text=True
        )
        self.raw["status"]["sync"] = {
            "status": "Synced",
            "revision": done.stdout.strip(),
            "comparedTo": {"source": copy.deepcopy(source)},
        }
        (self.raw["metadata"].get("annotations") or {}).pop("argocd.argoproj.io/refresh", None)
        self._version += 1
        self.raw["metadata"]["resourceVersion"] = str(self._version)

    def _answer(self, body: object, status: int = 200) -> web.StreamResponse:
        return web.json_response(body, status=status)

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await fake_api.streaming(fake_api.event("MODIFIED", self.raw))(request)
        bobs = samples.raw("bobs", destination={"server": "s", "namespace": "bob"})
        return self._answer({"items": [self.raw, bobs], "metadata": {"resourceVersion": "9"}})

    async def _got(self, request: web.Request) -> web.StreamResponse:
        return self._answer(self.raw)

    async def _project(self, request: web.Request) -> web.StreamResponse:
        return self._answer({"spec": {"sourceRepos": self.allowed}})

    async def _patched(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        if isinstance(body, dict):
            self.raw["metadata"].setdefault("annotations", {}).update(body["metadata"]["annotations"])
        else:
            try:
                self.raw = jsonpatch.apply(self.raw, body)
            except jsonpatch.TestFailed as error:
                return fake_api.status(422, str(error), "Invalid")
        self._sync()
        return self._answer(self.raw)

    async def _leases(self, request: web.Request) -> web.StreamResponse:
        return self._answer({"items": list(self.leases.values()), "metadata": {}})

    async def _lease(self, request: web.Request) -> web.StreamResponse:
        found = self.leases.get(request.path.rpartition("/")[2])
        return self._answer(found) if found else fake_api.status(404, "not found", "NotFound")

    async def _made(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self._version += 1
        body["metadata"] |= {"resourceVersion": str(self._version), "uid": f"u{self._version}"}
        self.leases[body["metadata"]["name"]] = body
        return self._answer(body, 201)

    async def _replaced(self, request: web.Request) -> web.StreamResponse:
        return await self._made(request)

    async def _deleted(self, request: web.Request) -> web.StreamResponse:
        self.leases.pop(request.path.rpartition("/")[2], None)
        return self._answer({})

    def owned(self) -> None:
        """Let the Application be made by an ApplicationSet that ignores nothing."""
        self.raw["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": "envs", "controller": True}]
        self.sets.append({"metadata": {"name": "envs", "namespace": "argocd"}, "spec": {"template": {}}})

    def age(self) -> None:
        """Let the leases be old, by the cluster's clock."""
        for raw in self.leases.values():
            raw["spec"] |= {"acquireTime": "2020-01-01T00:00:00.000000Z", "renewTime": "2020-01-01T00:00:00.000000Z"}

    def revision(self) -> str:
        """Return what the Application follows."""
        return str(self.raw["spec"]["source"]["targetRevision"])
