"""Rung 3 on a real cluster: nothing restarts, and what cannot be is refused with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import machine, shapes, space
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


def attached(tmp_path: Path, ns: space.Space) -> machine.Laptop:
    made = machine.Laptop(tmp_path / "ann", ns.developer("attach"), WEB)
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


@pytest.fixture
def plain(ns: space.Space, app_image: str) -> str:
    """The only pod of a Deployment under `restricted`, without any agent; its folder can be written."""
    ns.cluster.admin("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    ns.apply(writable(app_image))
    return up(ns)


def up(ns: space.Space) -> str:
    ns.wait("deployment", "web", lambda each: each["status"].get("availableReplicas") == 1, "a pod")
    (pod,) = [each["metadata"]["name"] for each in ns.pods("app=web")]
    return str(pod)


def agents(ns: space.Space, pod: str) -> list[str]:
    """Return the ephemeral containers of a pod, the oldest first."""
    return sorted(each["name"] for each in ns.get("pod", pod)["spec"].get("ephemeralContainers", []))


def said(watch: machine.Watch) -> list[str]:
    return [event["message"] for event in watch.seen if event["event"] == "notice"]


def restart(ns: space.Space, pod: str) -> None:
    ns.exec(pod, "sh", "-c", "kill -USR1 1", container=shapes.APP)


def until_another(watch: machine.Watch) -> None:
    watch.until(lambda event: event["event"] == "link" and not event["up"], "the agent's end")
    watch.until(lambda event: event["event"] == "link" and event["up"], "the next agent")


@pytest.mark.kube(min="1.25")
def test_a_running_pod_gets_files_without_a_restart_and_again_after_the_apps(
    ns: space.Space, plain: str, agent_image: str, tmp_path: Path
) -> None:
    ann = attached(tmp_path, ns)
    with ann.watching("--attach", agent_image=agent_image) as watch:
        watch.until_ready()
        assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "one\n"
        assert space.container_state(ns.get("pod", plain), shapes.APP)["restartCount"] == 0

        restart(ns, plain)
        until_another(watch)
        ann.write("web/page.html", "two\n")
        watch.until(lambda event: event["event"] == "sync_complete", "the save")
        assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "two\n"
    # one for each run of the app, and no more
    assert agents(ns, plain) == ["devloop-agent-1", "devloop-agent-2"]
    told = ann("down")
    assert told.status == 0
    assert f"pod {plain} keeps the ephemeral container devloop-agent-1, devloop-agent-2" in told.err
    assert ann("down", "--evict").status == 0
    ns.admin("wait", "--for=delete", f"pod/{plain}", "--timeout=60s")


@pytest.mark.kube(min="1.25")
def test_it_is_chosen_by_itself_where_nothing_else_brings_the_agent_and_is_said(
    ns: space.Space, plain: str, agent_image: str, tmp_path: Path
) -> None:
    before = ns.get("deployment", "web")["metadata"]["generation"]
    ann = attached(tmp_path, ns)
    with ann.watching(agent_image=agent_image) as watch:
        watch.until_ready()
        assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "one\n"
        (told,) = [each for each in said(watch) if "so devloop attaches to the pods that run" in each]
        assert "no workload is changed" in told
    assert ns.get("deployment", "web")["metadata"]["generation"] == before

    # the next watch takes up what is there, without a word, also when the app restarts
    with ann.watching(agent_image=agent_image) as watch:
        watch.until_ready()
        assert agents(ns, plain) == ["devloop-agent-1"]
        restart(ns, plain)
        until_another(watch)
        assert not [each for each in said(watch) if "so devloop attaches" in each]
    assert agents(ns, plain) == ["devloop-agent-1", "devloop-agent-2"]


@pytest.mark.kube(min="1.25")
def test_an_app_that_restarted_while_nobody_watched_gets_another_agent(
    ns: space.Space, plain: str, agent_image: str, tmp_path: Path
) -> None:
    ann = attached(tmp_path, ns)
    assert ann("watch", "--once", agent_image=agent_image).status == 0
    restart(ns, plain)
    ns.wait("pod", plain, lambda each: space.container_state(each, shapes.APP)["restartCount"] == 1, "its restart")
    ann.write("web/page.html", "two\n")
    done = ann("watch", "--once", agent_image=agent_image)
    assert done.status == 0, done.err
    assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "two\n"
    assert agents(ns, plain) == ["devloop-agent-1", "devloop-agent-2"]


@pytest.mark.kube(min="1.25")
@pytest.mark.parametrize("why", ["--no-attach", "no right", "declared"])
def test_nobody_is_surprised(ns: space.Space, plain: str, agent_image: str, tmp_path: Path, why: str) -> None:
    user = ns.developer() if why == "no right" else ns.developer("attach")
    ann = machine.Laptop(tmp_path / "ann", user, WEB)
    ann.write("web/page.html", "one\n")
    if why == "declared":
        # its pods are yet to come
        ns.admin("rollout", "pause", "deployment/web")
        sidecar = {"name": shapes.AGENT, "image": agent_image, "securityContext": shapes.RESTRICTED}
        change = {"spec": {"template": {"spec": {"containers": [sidecar]}}}}
        ns.admin("patch", "deployment", "web", "--type=strategic", "-p", json.dumps(change))
    with ann.watching(*([why] if why == "--no-attach" else []), agent_image=agent_image) as watch:
        told = watch.until(lambda event: event.get("code") == "DL0760", "that nobody has one")
        assert "no agent in it" in told["message"]
        words = {"no right": "you may not patch pods/ephemeralcontainers", "--no-attach": "sessions cannot bring"}
        assert why not in words or any(words[why] in each for each in said(watch)), said(watch)
    assert agents(ns, plain) == []


@pytest.mark.kube(min="1.25")
def test_every_pod_is_attached_to_the_ones_that_come_later_too(
    ns: space.Space, plain: str, agent_image: str, tmp_path: Path
) -> None:
    ann = attached(tmp_path, ns)
    with ann.watching(agent_image=agent_image) as watch:
        watch.until_ready()
        ns.admin("scale", "deployment/web", "--replicas=2")
        until_there(watch, 2)
        ns.admin("delete", "pod", plain, "--grace-period=1", "--wait=false")
        watch.until(lambda event: event["event"] == "link" and event["gone"], "the first pod's end")
        until_there(watch, 3)
        ann.write("web/page.html", "two\n")
        assert ann("flush").status == 0
        living = [each for each in ns.pods("app=web") if "deletionTimestamp" not in each["metadata"]]
        names = [each["metadata"]["name"] for each in living]
        assert [ns.read(name, "/srv/web/page.html", shapes.APP) for name in names] == ["two\n"] * 2


def until_there(watch: machine.Watch, count: int) -> None:
    """Wait until so many pods were attached to, since the watch began."""
    while sum("attached to pod" in each for each in said(watch)) < count:
        watch.until(lambda event: "attached to pod" in event.get("message", ""), f"{count} pods with an agent")


@pytest.mark.kube(min="1.25")
def test_an_image_of_one_static_program_is_attached_to(ns: space.Space, agent_image: str, tmp_path: Path) -> None:
    made = writable(space.bare_image(ns, agent_image))
    made["spec"]["template"]["spec"]["containers"][0]["command"] = ["/busybox", "sleep", "100000"]
    ns.cluster.admin("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    ns.apply(made)
    pod = up(ns)
    done = attached(tmp_path, ns)("watch", "--once", agent_image=agent_image)
    assert done.status == 0, done.err
    assert ns.exec(pod, "/busybox", "cat", "/srv/web/page.html", container=shapes.APP) == "one\n"


@pytest.mark.kube(min="1.25")
def test_an_app_that_is_root_and_says_so_nowhere_gets_files_of_its_own_in_its_own_layer(
    ns: space.Space, app_image: str, agent_image: str, tmp_path: Path
) -> None:
    made = deployment(app_image)
    spec = made["spec"]["template"]["spec"]
    del spec["securityContext"], spec["containers"][0]["securityContext"]
    ns.apply(made)
    pod = up(ns)
    done = attached(tmp_path, ns)("watch", "--once", agent_image=agent_image)
    assert done.status == 0, done.err
    assert ns.exec(pod, "stat", "-c", "%u", "/srv/web/page.html", container=shapes.APP) == "0\n"


@pytest.mark.kube(min="1.25")
def test_an_image_that_cannot_be_pulled_is_told_and_another_one_can_follow(
    ns: space.Space, plain: str, agent_image: str, tmp_path: Path
) -> None:
    ann = attached(tmp_path, ns)
    done = ann("watch", "--once", agent_image="localhost/no-such-agent:1")
    assert done.status == 1 and "error[DL0761]" in done.err, done.err
    assert "no-such-agent" in done.err and "--agent-image" in done.err
    done = ann("watch", "--once", agent_image=agent_image)
    assert done.status == 0, done.err
    assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "one\n"


@pytest.mark.kube(min="1.25")
def test_what_pod_security_forbids_is_told_in_the_clusters_words(
    ns: space.Space, app_image: str, agent_image: str, tmp_path: Path
) -> None:
    # an app that is root, from before the rule
    made = writable(app_image)
    spec = made["spec"]["template"]["spec"]
    spec["securityContext"] = {"runAsUser": 0}
    del spec["containers"][0]["securityContext"]
    ns.apply(made)
    pod = up(ns)
    ns.cluster.admin("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    with attached(tmp_path, ns).watching("--attach", agent_image=agent_image) as watch:
        told = watch.until(lambda event: "PodSecurity" in event.get("message", ""), "the reason")
    assert "restricted" in told["message"] and pod in told["message"] and told["hint"]
    assert agents(ns, pod) == []


@pytest.mark.kube(min="1.25")
def test_a_second_developer_is_told_who_has_it(ns: space.Space, plain: str, agent_image: str, tmp_path: Path) -> None:
    bob = machine.Laptop(tmp_path / "bob", ns.developer("attach"), WEB, host="bob")
    bob.write("web/page.html", "bob's\n")
    with attached(tmp_path, ns).watching(agent_image=agent_image) as watch:
        watch.until_ready()
        done = bob("watch", "--once", agent_image=agent_image)
        assert done.status == 7 and "ann" in done.err, done.err
    assert ns.read(plain, "/srv/web/page.html", shapes.APP) == "one\n"
    assert agents(ns, plain) == ["devloop-agent-1"]
