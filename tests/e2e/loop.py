"""The loop on real pods: a project and a Deployment whose pods have the agent in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.e2e import project, shapes, space

# An app that says which code it runs, and which start it is, over HTTP on the pod's loopback.
APP: Final = """
import http.server, pathlib
SAID = pathlib.Path("page.txt").read_text()
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(SAID.encode())
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", 8000), Page).serve_forever()
"""


def deployment(image: str, *command: str, replicas: int = 1) -> dict[str, Any]:
    """Return a Deployment as a templates repository has it, under the rules of `restricted`."""
    made = shapes.pod("web", [shapes.container(shapes.APP, image, *command)])
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": made["spec"]},
        },
    }


def service(**more: Any) -> dict[str, Any]:
    return {"web": {"workload": "deployment/web", "sync": [{"from": "./web", "to": "/app", "seed": "none"}], **more}}


def living(ns: space.Space) -> list[str]:
    return [pod["metadata"]["name"] for pod in ns.pods("app=web") if "deletionTimestamp" not in pod["metadata"]]


def shown(ns: space.Space, path: str) -> list[str]:
    """Return a file's text in every living pod."""
    return [ns.read(pod, path, shapes.APP) for pod in living(ns)]


class Bench:
    """A project whose Deployment runs with the agent in it."""

    def __init__(self, ns: space.Space, folder: Path, agent_image: str, app_image: str) -> None:
        self.ns = ns
        self.folder = folder
        self.agent_image, self.app_image = agent_image, app_image

    def make(
        self,
        *command: str,
        replicas: int = 1,
        server: str = "",
        services: dict[str, Any] | None = None,
        alter: Callable[[dict[str, Any]], None] = lambda spec: None,
        kube_version: str = "",
    ) -> project.Project:
        """Make both.

        Args:
            command: What the app's container runs; by default it sleeps.
            replicas: Of the Deployment.
            server: See `space.Space.developer`.
            services: Of devloop.yaml.
            alter: Changes the pods' spec after the injection.
            kube_version: Of which Kubernetes the manifests are; by default the cluster's.
        """
        made = self.laptop("laptop", server=server, services=services)
        plain = deployment(self.app_image, *(command or ("/bin/sleep", "infinity")), replicas=replicas)
        (injected,) = made.injected(plain, image=self.agent_image, kube_version=kube_version)
        alter(injected["spec"]["template"]["spec"])
        self.ns.apply(injected)
        return made

    def laptop(self, name: str, *, server: str = "", services: dict[str, Any] | None = None) -> project.Project:
        """Make a project alone, with a state folder of its own."""
        user = self.ns.developer(server=server)
        made = project.Project(self.folder / name, self.ns, user, services or service())
        made.write("web/page.txt", "first")
        return made


def until_said(ns: space.Space, pod: str, words: str) -> None:
    """Ask the app in its container until it says what it should; it is away between two starts."""
    script = f"""
import time, urllib.request
until = time.monotonic() + 40
while True:
    try:
        said = urllib.request.urlopen('http://127.0.0.1:8000', timeout=2).read().decode()
    except OSError as error:
        said = str(error)
    if said == {words!r}: break
    assert time.monotonic() < until, said
    time.sleep(0.1)
"""
    ns.exec(pod, "python3", "-c", script, container=shapes.APP)
