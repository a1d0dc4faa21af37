"""Rung 4 on a real cluster: a plain Deployment is patched, synced to, and put back exactly as it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import machine, shapes, space

WEB: dict[str, Any] = {
    "services": {"web": {"workload": "deployment/web", "sync": [{"from": "web", "to": "/srv/web", "seed": "none"}]}}
}


def deployment(image: str, replicas: int = 1) -> dict[str, Any]:
    """Return a Deployment as somebody writes it who has never heard of devloop."""
    made = shapes.pod("web", [shapes.container(shapes.APP, image, "sleep", "100000")])
    template = {"metadata": {"labels": {"app": "web"}}, "spec": made["spec"]}
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/instance": "shop"}},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }


def template(ns: space.Space) -> dict[str, Any]:
    found: dict[str, Any] = ns.get("deployment", "web")["spec"]["template"]
    return found


def labelled(ns: space.Space) -> list[str]:
    return ns.admin("get", "leases,pvc,pods,configmaps", "-l", "devloop.dev/session", "-o", "name").split()


@pytest.fixture
def before(ns: space.Space, app_image: str) -> dict[str, Any]:
    """The Deployment runs; its template as the cluster has it."""
    ns.apply(deployment(app_image))
    ns.wait("deployment", "web", lambda each: each["status"].get("availableReplicas") == 1, "a pod")
    return template(ns)


@pytest.fixture
def ann(ns: space.Space, tmp_path: Path) -> machine.Laptop:
    """A laptop with a project."""
    made = machine.Laptop(tmp_path / "ann", ns.developer("patch"), WEB)
    made.write("web/page.html", "one\n")
    return made


def agents_pod(ns: space.Space) -> str:
    found = [
        pod["metadata"]["name"]
        for pod in ns.pods("app=web")
        if space.container_state(pod, shapes.AGENT) and "deletionTimestamp" not in pod["metadata"]
    ]
    assert len(found) == 1, found
    return str(found[0])


def test_a_deployment_is_patched_synced_to_and_put_back_exactly(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str
) -> None:
    done = ann("install", "--patch", agent_image=agent_image)
    assert done.status == 0, done.err
    assert template(ns) != before
    assert labelled(ns) == ["lease.coordination.k8s.io/devloop-deployment-web"]

    with ann.watching() as watch:
        watch.until_ready()
        pod = agents_pod(ns)
        assert ns.read(pod, "/srv/web/page.html", shapes.APP) == "one\n"
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
        assert ns.read(pod, "/srv/web/page.html", shapes.APP) == "two\n"
        # the change was `install`'s and stays: its end is `down`'s, which ends the watch as well
        ended = ann("down")
    assert ended.status == 0, ended.err
    assert "put back exactly as it was" in ended.err
    assert "nothing labelled devloop.dev/session is left" in ended.err
    assert template(ns) == before
    assert labelled(ns) == []
    assert [pod for pod in ns.pods("app=web") if space.container_state(pod, shapes.AGENT)] == []


def test_a_command_under_the_launcher_with_a_seed_and_probes_comes_back_exactly(
    ns: space.Space, agent_image: str, app_image: str, tmp_path: Path
) -> None:
    made = deployment(app_image, replicas=2)
    app = made["spec"]["template"]["spec"]["containers"][0]
    app["command"] = ["sh", "-c", "while :; do sleep 1; done"]
    app["args"] = ["one", "two"]
    app["env"] = [{"name": "COLOUR", "value": "blue"}]
    app["livenessProbe"] = {"exec": {"command": ["true"]}, "periodSeconds": 5}
    ns.apply(made)
    ns.wait("deployment", "web", lambda each: each["status"].get("availableReplicas") == 2, "both pods")
    before = template(ns)
    web = {
        "workload": "deployment/web",
        "reload": "supervise",
        "env": {"COLOUR": "red", "DEBUG": "1"},
        "sync": [{"from": "web", "to": "/usr/share/doc"}],
    }
    ann = machine.Laptop(tmp_path / "ann", ns.developer("patch"), {"services": {"web": web}})
    ann.write("web/page.html", "one\n")
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        pods = [pod["metadata"]["name"] for pod in ns.pods("app=web") if space.container_state(pod, shapes.AGENT)]
        for pod in pods:
            assert ns.read(pod, "/usr/share/doc/page.html", shapes.APP) == "one\n"
            # the image's own files are there as well
            assert "base-files" in ns.exec(pod, "ls", "/usr/share/doc", container=shapes.APP)
            assert ns.exec(pod, "printenv", "COLOUR", container=shapes.APP) == "red\n"
        assert len(pods) == 2
    assert template(ns) == before
    assert labelled(ns) == []


def test_one_who_takes_over_is_not_undone_by_the_one_before(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str, tmp_path: Path
) -> None:
    bob = machine.Laptop(tmp_path / "bob", ns.developer("patch"), WEB, host="bob")
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        done = bob("install", "--patch", "--takeover", agent_image=agent_image)
        assert done.status == 0, done.err
        watch.process.send_signal(signal.SIGINT)
        watch.process.wait(30)
    assert labelled(ns) == ["lease.coordination.k8s.io/devloop-deployment-web"]
    assert template(ns) != before
    assert bob("down", "--no-wait").status == 0
    assert template(ns) == before


def test_down_twice_is_down_once(ann: machine.Laptop, before: dict[str, Any], agent_image: str) -> None:
    assert ann("install", "--patch", agent_image=agent_image).status == 0
    assert ann("install", "--patch", agent_image=agent_image).err.count("already") == 1
    first, second = ann("down", "--no-wait"), ann("down", "-o", "json")
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert json.loads(second.out)["ended"] == []


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str
) -> None:
    assert ann("install", "--patch", agent_image=agent_image).status == 0
    ns.admin("set", "env", "deployment/web", "-c", shapes.APP, "COLOUR=green")
    ended = ann("down", "--no-wait")
    assert ended.status == 0, ended.err
    assert "was not overwritten" in ended.err
    wanted = json.loads(json.dumps(before))
    wanted["spec"]["containers"][0]["env"] = [{"name": "COLOUR", "value": "green"}]
    assert template(ns) == wanted
    assert labelled(ns) == []


def test_another_developer_is_told_who_has_it_and_can_end_it_from_another_machine(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str, tmp_path: Path
) -> None:
    assert ann("install", "--patch", agent_image=agent_image).status == 0
    bob = machine.Laptop(tmp_path / "bob", ns.developer("patch"), WEB, host="bob")
    told = bob("install", "--patch", agent_image=agent_image)
    assert (told.status, "ann@" in told.err, "--takeover" in told.err) == (7, True, True), told.err
    left = bob("down")
    assert (left.status, "held by ann@" in left.err) == (7, True), left.err
    unasked = bob("down", "--all")
    assert (unasked.status, "confirm with --yes" in unasked.err) == (2, True), unasked.err
    assert template(ns) != before
    ended = bob("down", "--all", "--yes", "--no-wait")
    assert ended.status == 0, ended.err
    assert template(ns) == before
    assert labelled(ns) == []


def test_an_image_that_cannot_be_pulled_is_found_early_and_nothing_stays(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any]
) -> None:
    told = ann("install", "--patch", "--agent-image", "localhost:1/devloop-agent:none")
    assert told.status == 1
    assert ("error[DL0781]" in told.err and "ErrImagePull" in told.err) or "ImagePullBackOff" in told.err, told.err
    assert template(ns) == before
    assert labelled(ns) == []


def test_a_quota_that_forbids_the_new_pods_is_told_and_everything_put_back(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}}
    ns.apply(quota)
    ns.wait(
        "resourcequota", "full", lambda each: each.get("status", {}).get("used", {}).get("pods") == "1", "the count"
    )
    told = ann("install", "--patch", agent_image=agent_image)
    assert told.status == 1, told.err
    assert "error[DL0781]" in told.err and "exceeded quota: full" in told.err, told.err
    assert "kubectl describe quota" in told.err
    assert template(ns) == before
    assert labelled(ns) == []


def test_a_workload_of_argo_cd_is_refused(ns: space.Space, ann: machine.Laptop, before: dict[str, Any]) -> None:
    tracking = f"shop:apps/Deployment:{ns.name}/web"
    ns.admin("annotate", "deployment", "web", f"argocd.argoproj.io/tracking-id={tracking}")
    told = ann("install", "--patch")
    assert told.status == 1
    assert "error[DL0780]" in told.err and "Application shop" in told.err, told.err
    assert template(ns) == before
    assert labelled(ns) == []


def test_without_the_role_nothing_is_changed(
    ns: space.Space, before: dict[str, Any], agent_image: str, tmp_path: Path
) -> None:
    plain = machine.Laptop(tmp_path / "plain", ns.developer(), WEB)
    told = plain("install", "--patch", agent_image=agent_image)
    assert told.status == 4, told.err
    assert "you may not" in told.err
    assert template(ns) == before


def test_a_watch_patches_while_it_runs(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str
) -> None:
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        assert ns.read(agents_pod(ns), "/srv/web/page.html", shapes.APP) == "one\n"
        assert template(ns) != before
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(30) == 0
    assert template(ns) == before
    assert labelled(ns) == []


def test_a_deployment_that_is_made_anew_is_patched_again(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str, app_image: str
) -> None:
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        ns.admin("delete", "deployment", "web", "--wait=true")
        ns.apply(deployment(app_image))
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: "is patched again" in event.get("message", ""), "that it goes on")
        watch.until(lambda event: event["event"] == "sync_complete" and bool(event["files"]), "the save")
        assert ns.read(agents_pod(ns), "/srv/web/page.html", shapes.APP) == "two\n"
        watch.process.send_signal(signal.SIGINT)
        assert watch.process.wait(30) == 0
    assert template(ns) == before
    assert labelled(ns) == []


def test_a_watch_that_was_killed_is_undone_from_another_machine(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str, tmp_path: Path
) -> None:
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        watch.process.kill()
        watch.process.wait(30)
    assert template(ns) != before
    # the same person with another state folder, from which nothing is known
    other = machine.Laptop(tmp_path / "other", ns.developer("patch"), WEB)
    ended = other("down")
    assert ended.status == 0, ended.err
    assert template(ns) == before
    assert labelled(ns) == []


def test_a_watch_that_was_killed_is_undone_by_the_next(
    ns: space.Space, ann: machine.Laptop, before: dict[str, Any], agent_image: str
) -> None:
    with ann.watching("--patch", agent_image=agent_image) as watch:
        watch.until_ready()
        watch.process.kill()
        watch.process.wait(30)
    with ann.watching() as watch:
        watch.until(lambda event: "is put back" in event.get("message", ""), "the leftover")
        assert template(ns) == before
    assert labelled(ns) == []
