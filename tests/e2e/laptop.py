"""A developer's laptop: a project folder, and devloop's own command line with the rights of the Role that it ships."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from tests.e2e import cluster, shapes, space

# A command that should end by itself.
COMMAND_S: Final = 90.0

TO: Final = "/srv"
INJECTED: Final = 1000


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


class Project:
    """A project with one service.

    Args:
        folder: Its folder, which is made.
        user: Whose rights devloop has.
        service: What devloop.yaml says of the service `web` besides its sync.
        top: What it says besides services.
    """

    def __init__(self, folder: Path, user: cluster.Kubectl, *, top: dict[str, Any] | None = None, **service: Any):
        self.folder = folder
        self.user = user
        (folder / "web").mkdir(parents=True)
        (folder / "web" / "index.html").write_text("hello\n")
        about = {"workload": "deployment/web", "sync": [{"from": "./web", "to": TO}], **service}
        config = {"version": 1, **(top or {}), "services": {"web": about}}
        (folder / "devloop.yaml").write_text(yaml.safe_dump(config))

    def devloop(self, *arguments: str, told: str = "") -> Ended:
        """Run a command line to its end."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DEVLOOP_STATE_DIR": str(self.folder / "state"),
            "KUBECONFIG": str(self.user.kubeconfig),
            "PYTHONPATH": str(cluster.REPO),
            "COLUMNS": "160",
        }
        done = subprocess.run(
            [sys.executable, "-P", "-m", "devloop.cli.main", *arguments],
            cwd=self.folder, env=env, input=told, capture_output=True, text=True, timeout=COMMAND_S, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def once(self, *arguments: str) -> Ended:
        """Watch until everything is in sync, or until it is known that it will not be."""
        return self.devloop("watch", "--once", "--plain", *arguments)

    def doctor(self, *arguments: str) -> dict[str, Any]:
        """Return the doctor's report; its exit status is in it."""
        ended = self.devloop("doctor", "-o", "json", *arguments)
        found: dict[str, Any] = json.loads(ended.out)
        assert ended.status == found["exit"], ended
        return found


def deployment(image: str, *, agent_image: str = "", name: str = "web") -> dict[str, Any]:
    """Return a deployment of an app that only sleeps, as kubectl takes it."""
    app = shapes.container(shapes.APP, image, "sleep", "infinity")
    pod = shapes.pod(name, [app])
    pod["spec"]["securityContext"] |= {"runAsUser": INJECTED, "runAsGroup": INJECTED, "fsGroup": INJECTED}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": pod["metadata"] | {"name": None}, "spec": pod["spec"]},
        },
    }


def injected(project: Project, ns: space.Space, image: str, agent_image: str) -> None:
    """Apply the deployment with the agent in it, as `devloop inject` makes it for this cluster."""
    ended = project.devloop(
        "inject", "-f", "-", "--agent-image", agent_image, "--kube-version", str(ns.cluster.version),
        told=yaml.safe_dump(deployment(image)),
    )  # fmt: skip
    assert ended.status == 0, ended
    ns.admin("apply", "-f", "-", told=ended.out)


def ready(ns: space.Space) -> str:
    """Wait until the deployment has rolled out; return its pod's name."""
    ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    (pod,) = ns.pods("app=web")
    return str(pod["metadata"]["name"])
