"""Everything that people get wrong: each an error with a code, a hint and an exit status, before long waiting."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from devloop import errors
from devloop.kube import client, config, execute
from tests.e2e import cluster, laptop, shapes, space


@pytest.fixture
def project(ns: space.Space, tmp_path: Path) -> laptop.Laptop:
    return laptop.Laptop(tmp_path, ns)


def refused(ended: subprocess.CompletedProcess[str], code: str, status: int, *parts: str) -> None:
    """Expect an error with a hint."""
    assert ended.returncode == status, ended
    assert f"error[{code}]" in ended.stderr and "hint: " in ended.stderr, ended
    assert "Traceback" not in ended.stderr
    for part in parts:
        assert part in ended.stderr, ended


def test_a_context_that_is_not_there(project: laptop.Laptop) -> None:
    refused(project.once("--context", "nope"), "DL0710", 2, "nope", "e2e")


def test_another_context_than_the_projects(ns: space.Space, tmp_path: Path) -> None:
    project = laptop.Laptop(tmp_path, ns, overlay={"context": "production"})
    refused(project.once("--context", "e2e"), "DL0711", 2, "production")


def test_a_namespace_without_rights(project: laptop.Laptop) -> None:
    refused(project.once("-n", "nobody-knows"), "DL0721", 4, "nobody-knows", "can-i")


def test_a_namespace_that_is_not_there(ns: space.Space, tmp_path: Path) -> None:
    project = laptop.Laptop(tmp_path, ns, ns.admin)
    refused(project.once("-n", "nobody-knows"), "DL0730", 1, "the namespace nobody-knows does not exist")


def test_a_workload_that_is_not_there(ns: space.Space, project: laptop.Laptop, app_image: str) -> None:
    ns.apply(laptop.deployment(app_image, name="wbe"))
    refused(project.once(), "DL0730", 1, "there is no deployment web", "did you mean wbe?")


def test_a_container_that_is_not_there(ns: space.Space, tmp_path: Path, app_image: str) -> None:
    ns.apply(laptop.deployment(app_image))
    project = laptop.Laptop(tmp_path, ns, container="apq")
    refused(project.once(), "DL0802", 1, "no container apq", "did you mean app?")


def test_a_workload_without_an_agent(ns: space.Space, project: laptop.Laptop, app_image: str) -> None:
    ns.apply(laptop.deployment(app_image))
    laptop.ready(ns)
    refused(project.once(), "DL0760", 1, "no agent in it", "devloop inject")


@pytest.mark.parametrize("whose", ["agent", "app"])
def test_an_image_that_cannot_be_pulled(
    ns: space.Space, project: laptop.Laptop, app_image: str, agent_image: str, whose: str
) -> None:
    bad = "localhost/no-such-image:1"
    project.inject(*((app_image, bad) if whose == "agent" else (bad, agent_image)))
    refused(project.once(), "DL0761", 1, "does not start", bad, "failed to resolve", "imagePullSecrets")


def test_a_quota_that_is_used_up(ns: space.Space, project: laptop.Laptop, app_image: str, agent_image: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    ns.apply(quota)
    ns.wait("resourcequota", "none", lambda each: "hard" in each.get("status", {}), "the quota's first count")
    project.inject(app_image, agent_image)
    refused(project.once(), "DL0760", 1, "deployment/web has no pods", "exceeded quota: none", "describe quota")


# The rules of the Role that syncing needs: what is taken away, and what is then said to be missing.
NEEDED: Final = [
    ("pods", "", "list pods"),
    ("deployments", "", "get deployments.apps"),
    ("pods/portforward", "", "get pods/portforward"),
    ("pods/exec", "", "get pods/exec"),
    ("pods", "watch", "watch pods"),
    # a websocket, which is asked for with GET, changes something all the same: since 1.35 it needs both verbs
    pytest.param("pods/portforward", "create", "create pods/portforward", marks=pytest.mark.kube(min="1.35")),
    pytest.param("pods/exec", "create", "create pods/exec", marks=pytest.mark.kube(min="1.35")),
]


@pytest.mark.parametrize(("resource", "verb", "missing"), NEEDED)
def test_a_right_that_is_missing(
    ns: space.Space, project: laptop.Laptop, app_image: str, resource: str, verb: str, missing: str
) -> None:
    ns.apply(laptop.deployment(app_image))
    _take_away(ns, resource, verb)
    refused(project.once(), "DL0721", 4, f"you may not {missing}", "kubectl auth can-i")
    found = project.doctor()
    (told,) = [check for check in found["checks"] if check["name"] == "rights"]
    assert found["exit"] == 4 and told["level"] == "fail"
    assert missing.split()[1] in told["text"] and "config/rbac" in told["fix"]


@pytest.mark.kube(min="1.35")
async def test_the_cluster_itself_asks_for_both_verbs(ns: space.Space, app_image: str) -> None:
    # so that the check above is not one of devloop's own invention
    ns.apply(shapes.pod("web", [shapes.container(shapes.APP, app_image, "/bin/sleep", "infinity")]))
    ns.ready("web")
    cluster_ = config.load(config.Choice(kubeconfig=str(ns.developer().kubeconfig)))
    where = execute.Where(ns.name, "web", shapes.APP)
    async with client.connect(cluster_) as api:
        assert (await execute.run(api, where, ("true",))).status == 0
        for verb in ("create", "get"):
            ns.admin("apply", "-k", str(cluster.REPO / "config" / "rbac"))
            _take_away(ns, "pods/exec", verb)
            with pytest.raises(errors.ForbiddenError, match=f"you may not {verb} pods/exec"):
                await execute.run(api, where, ("true",))


def _take_away(ns: space.Space, resource: str, verb: str) -> None:
    """Give the developer the Role without one of its resources, or only without a verb of it."""
    role: dict[str, Any] = yaml.safe_load((cluster.REPO / "config" / "rbac" / "role.yaml").read_text())
    for rule in role["rules"]:
        if resource in rule["resources"] and verb:
            rule["verbs"].remove(verb)
        elif resource in rule["resources"]:
            rule["resources"].remove(resource)
    role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
    ns.admin("apply", "-f", "-", told=json.dumps(role))


def test_nothing_was_left_in_the_cluster_by_a_watch_that_failed(
    ns: space.Space, project: laptop.Laptop, app_image: str
) -> None:
    ns.apply(laptop.deployment(app_image))
    laptop.ready(ns)
    before = _specs(ns)
    project.once()
    project.doctor()
    assert _specs(ns) == before


def _specs(ns: space.Space) -> list[Any]:
    found = ns.admin.json("get", "deployments,replicasets,pods,configmaps,secrets,services")["items"]
    return [[each["kind"], each["metadata"]["name"], each["metadata"]["uid"], each.get("spec")] for each in found]
