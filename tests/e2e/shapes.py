"""Manifests by hand: what a pod with an agent looks like without any injection, and pods around it."""

from __future__ import annotations

import json
from typing import Any, Final

PORT: Final = 7460
AGENT: Final = "devloop-agent"
APP: Final = "app"
TO: Final = "/app"
KEY: Final = "/devloop/key"

# A high random number, as OpenShift gives one to each namespace; no image knows it.
UID: Final = 1_000_660_000

# What Pod Security `restricted` asks of each container, and more: a root that is not written to.
RESTRICTED: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod(name: str, containers: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """Return a pod under the rules of `restricted`, without a service account's token."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
            **spec,
        },
    }


def container(name: str, image: str, *command: str, **more: Any) -> dict[str, Any]:
    """Return a container; its image is on the node already."""
    told = {"command": list(command)} if command else {}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": RESTRICTED,
        **told,
        **more,
    }


def agent(image: str) -> dict[str, Any]:
    """Return the agent's container with one root, plain: the shape before native sidecars."""
    folder = "/devloop/sync-0"
    roots = [{"to": TO, **{each: f"{folder}/{each}" for each in ("data", "stage", "state")}}]
    return container(
        AGENT,
        image,
        args=["serve", "--roots", json.dumps(roots), "--state", KEY, "--port", str(PORT)],
        volumeMounts=[
            {"name": "devloop-sync-0", "mountPath": folder},
            {"name": "devloop-run", "mountPath": "/devloop/run"},
            {"name": "devloop-key", "mountPath": KEY},
        ],
    )


def with_agent(name: str, agent_image: str, app_image: str, *command: str) -> dict[str, Any]:
    """Return a pod of an app and an agent, which share one synced folder."""
    app = container(APP, app_image, *command, volumeMounts=[mount("devloop-sync-0", TO, subPath="data")])
    volumes = [
        {"name": "devloop-sync-0", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "devloop-run", "emptyDir": {}},
        {"name": "devloop-key", "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}},
    ]
    return pod(name, [app, agent(agent_image)], volumes=volumes)


def mount(volume: str, path: str, **more: Any) -> dict[str, Any]:
    """Return a volume's mount."""
    return {"name": volume, "mountPath": path, **more}


def once(name: str, image: str, *command: str) -> dict[str, Any]:
    """Return a pod that runs one command to its end."""
    return pod(name, [container(APP, image, *command)], restartPolicy="Never")
