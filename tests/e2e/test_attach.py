"""Rung 3 on a real cluster: nothing restarts, and what cannot be is refused with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import laptop, shapes, space
from tests.e2e.test_patch import WEB, before, deployment

__all__ = ["before"]

# The app restarts when it is told to, which ends the agent with it.
RESTARTS = "trap 'exit 0' USR1; while :; do sleep 1; done"


def writable(image: str) -> dict[str, Any]:
    """Return a Deployment that may write its own folder, which is a volume."""
    made = deployment(image)
    spec = made["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "web", "emptyDir": {}}]
    app = spec["containers"][0]
    app |= {"command": ["sh", "-c", RESTARTS], "volumeMounts": [shapes.mount("web", "/srv/web")]}
    return made


def attached(tmp_path: Path, ns: space.Space) -> laptop.Laptop:
    made = laptop.Laptop(tmp_path / "ann", ns.developer("attach"), WEB)
    made.write("web/page.html", "one\n")
    return made


def test_what_cannot_be_is_told_with_its_reason(
    ns: space.Space, before: dict[str, Any], agent_image: str, tmp_path: Path
) -> None:
    # on an old cluster the version, on every cluster the read-only root
    with attached(tmp_path, ns).watching("--attach", agent_image=agent_image) as watch:
        told = watch.until(lambda event: event.get("code") == "DL0786", "the reason")
    assert "the app's root is read-only, and /srv/web lies in it" in told["message"]
    assert ns.get("deployment", "web")["spec"]["template"] == before


@pytest.mark.kube(min="1.25")
def test_a_running_pod_gets_files_without_a_restart_and_again_after_the_apps(
    ns: space.Space, agent_image: str, app_image: str, tmp_path: Path
) -> None:
    ns.cluster.admin("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    ns.apply(writable(app_image))
    ns.wait("deployment", "web", lambda each: each["status"].get("availableReplicas") == 1, "a pod")
    (pod,) = [each["metadata"]["name"] for each in ns.pods("app=web")]
    ann = attached(tmp_path, ns)
    with ann.watching("--attach", agent_image=agent_image) as watch:
        watch.until_ready()
        assert ns.read(pod, "/srv/web/page.html", shapes.APP) == "one\n"
        assert space.container_state(ns.get("pod", pod), shapes.APP)["restartCount"] == 0

        ns.exec(pod, "sh", "-c", "kill -USR1 1", container=shapes.APP)
        watch.until(lambda event: event["event"] == "link" and not event["up"], "the agent's end")
        watch.until(lambda event: event["event"] == "link" and event["up"], "the next agent")
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
        assert ns.read(pod, "/srv/web/page.html", shapes.APP) == "two\n"
    told = ann("down")
    assert (told.status, f"pod {pod} keeps the ephemeral container devloop-agent-1, devloop-agent-2" in told.err) == (
        0,
        True,
    ), told.err
    assert ann("down", "--evict").status == 0
    ns.admin("wait", "--for=delete", f"pod/{pod}", "--timeout=60s")
