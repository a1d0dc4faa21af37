"""Pods that devloop leaves alone, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from devloop.podspec import names, outcome, request

CODE: Final = "DL0805"


def check(pod: outcome.Tree, platform: request.Platform) -> Iterator[outcome.Refusal]:
    """Yield why a pod must not get an agent.

    Args:
        pod: A checked pod template.
        platform: Decides what kind of container the agent would be.
    """
    spec = pod["spec"]
    yield from _job(pod)
    if spec.get("os") == {"name": "windows"}:
        yield outcome.Refusal(CODE, "the pod runs on Windows", "devloop's pods are Linux pods", ("spec", "os"))
    if spec.get("hostNetwork"):
        yield outcome.Refusal(
            CODE,
            "the pod uses its node's network, where every process of the node could reach the agent's port",
            "leave hostNetwork out of the personal environment",
            ("spec", "hostNetwork"),
        )
    policy = spec.get("restartPolicy") or "Always"
    if policy != "Always" and not platform.version.has_native_sidecars:
        yield outcome.Refusal(
            CODE,
            f"the pod ends by itself (restartPolicy: {policy}); before Kubernetes 1.29 the agent would keep it alive",
            "use Kubernetes 1.29 or later, or a workload that goes on running",
            ("spec", "restartPolicy"),
        )
    yield from _ports(spec)


def _job(pod: outcome.Tree) -> Iterator[outcome.Refusal]:
    owners = (pod.get("metadata") or {}).get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if isinstance(owner, dict) and owner.get("kind") == "Job":
            yield outcome.Refusal(
                CODE,
                f"the pod belongs to the job {owner.get('name')}, and jobs are left alone: they run once, as they are",
                "sync to the workload that goes on running",
                ("metadata", "ownerReferences"),
            )


def _ports(spec: outcome.Tree) -> Iterator[outcome.Refusal]:
    for index, container in enumerate(spec["containers"]):
        for at, port in enumerate(container.get("ports") or []):
            if port.get("containerPort") == names.PORT:
                yield outcome.Refusal(
                    CODE,
                    f"the container {container['name']} listens on port {names.PORT}, which is the agent's",
                    "let it listen on another one in the personal environment",
                    ("spec", "containers", index, "ports", at),
                )
