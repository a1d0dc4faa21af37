"""`devloop doctor` against real pods: what is well, what is not, and that it disturbs nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import devloop
from tests.e2e import laptop, space


@pytest.fixture
def project(ns: space.Space, tmp_path: Path) -> laptop.Laptop:
    return laptop.Laptop(tmp_path, ns)


def checks(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in found["checks"]}


def levels(found: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["level"] for check in found["checks"]}


def test_all_is_well_with_the_role_that_devloop_ships(
    ns: space.Space, project: laptop.Laptop, app_image: str, agent_image: str
) -> None:
    project.inject(app_image, agent_image)
    pod = laptop.ready(ns)
    found = project.doctor()
    told = checks(found)
    assert found["exit"] == 0, found
    # The Role reads nothing outside of the namespace, so its labels are not known.
    assert {name for name, level in levels(found).items() if level != "pass"} == {"Pod Security"}
    assert told["API server"]["text"].startswith(f"Kubernetes v{ns.cluster.version}")
    assert (told["agent"]["subject"], told["agent"]["text"]) == (pod, f"devloop {devloop.__version__}")
    assert told["write"]["subject"] == f"{pod}:{laptop.TO}" and "as user 1000" in told["write"]["text"]
    assert told["way in"]["text"] == "declared: the agent is in 1 of 1 pods"
    assert [each["rung"] for each in found["rungs"]["web"]] == ["declared", "admission", "ephemeral", "patch"]
    assert "you may not" in found["rungs"]["web"][3]["reason"]


def test_it_claims_nothing(ns: space.Space, project: laptop.Laptop, app_image: str, agent_image: str) -> None:
    project.inject(app_image, agent_image)
    laptop.ready(ns)
    assert project.once().returncode == 0
    before = checks(project.doctor())["write"]["text"]
    assert "1 path of devloop's" in before
    # Everything is there already, and still ours.
    assert "0 files" in project.once().stdout


def test_a_pod_without_an_agent_is_told_what_to_do(ns: space.Space, project: laptop.Laptop, app_image: str) -> None:
    ns.apply(laptop.deployment(app_image))
    laptop.ready(ns)
    found = project.doctor()
    assert found["exit"] == 1
    assert [name for name, level in levels(found).items() if level == "fail"] == ["way in"]
    assert "devloop inject" in checks(found)["way in"]["fix"]
    # What the app has there, and its user, are seen from within its container.
    assert checks(found)["user"]["text"] == "1000" and levels(found)["seed"] == "pass"


def test_an_image_that_cannot_be_pulled_is_named(ns: space.Space, project: laptop.Laptop, app_image: str) -> None:
    project.inject(app_image, "localhost/no-such-agent:1")
    ns.wait("deployment", "web", lambda each: each["status"].get("unavailableReplicas") == 1, "a pod that waits")
    (pod,) = ns.pods("app=web")
    ns.wait("pod", pod["metadata"]["name"], _is_refused, "the refusal of the image")
    told = checks(project.doctor())["agent"]
    assert told["level"] == "fail"
    assert "no-such-agent" in told["text"] + "".join(told["details"])


def _is_refused(pod: dict[str, Any]) -> bool:
    waiting = space.container_state(pod, "devloop-tools").get("state", {}).get("waiting", {})
    return waiting.get("reason") in {"ErrImagePull", "ImagePullBackOff"}


def test_a_server_that_does_not_answer_is_5_and_one_that_does_not_know_you_is_4(
    ns: space.Space, tmp_path: Path
) -> None:
    gone = laptop.Laptop(tmp_path / "gone", ns, ns.developer(server="https://127.0.0.1:9"))
    assert gone.doctor()["exit"] == 5
    user = ns.developer()
    text = user.kubeconfig.read_text()
    token = text.split('"token": "')[1].split('"')[0]
    user.kubeconfig.write_text(text.replace(token, "nobody"))
    stranger = laptop.Laptop(tmp_path / "stranger", ns, user)
    assert stranger.doctor()["exit"] == 4
