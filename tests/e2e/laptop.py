"""A project with one service, as those tests need it that look at what devloop says rather than at what it syncs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e import cluster, project, shapes, space

TO: Final = "/srv"
USER: Final = 1000


class Laptop:
    """A project on the laptop of somebody with these rights.

    Args:
        folder: Where everything of it is made.
        ns: The namespace.
        user: Whose rights devloop has; the Role that it ships by default.
        overlay: What devloop.local.yaml says.
        service: What devloop.yaml says of the service `web` besides its sync.
    """

    def __init__(
        self,
        folder: Path,
        ns: space.Space,
        user: cluster.Kubectl | None = None,
        *,
        overlay: dict[str, Any] | None = None,
        **service: Any,
    ) -> None:
        about = {"workload": "deployment/web", "sync": [{"from": "./web", "to": TO}], **service}
        self._ns = ns
        self._project = project.Project(folder, ns, user or ns.developer(), {"web": about})
        self._project.write("web/index.html", "hello\n")
        if overlay is not None:
            self._project.write("devloop.local.yaml", yaml.safe_dump(overlay))

    def once(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Watch until everything is in sync, or until it is known that it will not be."""
        return self._project.run("watch", "--once", "--plain", *arguments)

    def doctor(self, *arguments: str) -> dict[str, Any]:
        """Return the doctor's report; its exit status is in it."""
        ended = self._project.run("doctor", "-o", "json", *arguments)
        found: dict[str, Any] = json.loads(ended.stdout)
        assert ended.returncode == found["exit"], ended
        return found

    def inject(self, image: str, agent_image: str) -> None:
        """Apply the deployment with the agent in it, as `devloop inject` makes it for this cluster."""
        self._ns.apply(*self._project.injected(deployment(image), image=agent_image))


def deployment(image: str, name: str = "web") -> dict[str, Any]:
    """Return a deployment of an app that only sleeps."""
    made = shapes.pod(name, [shapes.container(shapes.APP, image, "sleep", "infinity")])
    made["spec"]["securityContext"] |= {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": made["spec"]},
        },
    }


def ready(ns: space.Space) -> str:
    """Wait until the deployment has rolled out; return its pod's name."""
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    (pod,) = ns.pods("app=web")
    return str(pod["metadata"]["name"])
