"""Pods of many shapes, injected by devloop's own verb: the loop works in each, and what is not devloop's stays."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import cluster, loop, project, shapes, space


def app(ns: space.Space, *argv: str) -> str:
    """Run a command in the app's container of the only living pod."""
    (pod,) = loop.living(ns)
    return ns.exec(pod, *argv, container=shapes.APP)


def seeded(*patterns: str, **more: Any) -> dict[str, Any]:
    """Return a service whose folder begins with the image's own files, all of them where no pattern is given."""
    seed = {"seed": list(patterns)} if patterns else {"seed": "all"}
    return loop.service(sync=[{"from": "./web", "to": "/app", **seed}], **more)


def test_restricted_a_high_uid_and_a_read_only_root(bench: loop.Bench) -> None:
    made = bench.make()
    with project.watching(made):
        made.write("web/deep/page.txt", "second")
        made.flush()
        assert app(bench.ns, "cat", "/app/deep/page.txt") == "second"
        owner = app(bench.ns, "stat", "-c", "%u:%g", "/app/deep/page.txt").strip()
        assert owner == f"{shapes.UID}:{shapes.UID}"
        with pytest.raises(cluster.CommandError, match="Read-only"):
            app(bench.ns, "touch", "/probe")


# ---- images ---------------------------------------------------------------------------------------------------------


def image_of(whole: cluster.Cluster, bench: loop.Bench, folder: Path, *command: str) -> str:
    """Load an image of a folder and the static busybox that the agent's image has; nothing else is in it."""
    taken = "import base64; print(base64.b64encode(open('/usr/share/devloop/busybox', 'rb').read()).decode())"
    bench.ns.apply(shapes.once("busybox", bench.agent_image, "python", "-c", taken))
    assert bench.ns.finished("busybox") == "Succeeded"
    program = folder / "busybox"
    program.write_bytes(base64.b64decode(bench.ns.logs("busybox")))
    program.chmod(0o755)
    named = hashlib.sha256(repr(sorted(str(each) for each in folder.rglob("*"))).encode()).hexdigest()[:12]
    name = f"localhost/devloop-app:{named}"
    whole.folder_image(name, folder, list(command))
    return name


def test_a_distroless_image_with_seed_and_launcher_and_what_only_the_image_has(
    bench: loop.Bench, whole: cluster.Cluster, tmp_path: Path
) -> None:
    image = tmp_path / "image"
    for path, text in {
        "app/page.txt": "of the image",
        "app/node_modules/left/index.js": "left",
        "app/.venv/bin/tool": "tool",
        "app/gone.txt": "of the image",
    }.items():
        (image / path).parent.mkdir(parents=True, exist_ok=True)
        (image / path).write_text(text)
    bench.app_image = image_of(whole, bench, image, "/busybox", "sleep", "1000")
    command = ["/busybox", "httpd", "-f", "-p", "127.0.0.1:8000"]
    made = bench.make(
        "/busybox", "sleep", "1000",
        services=seeded(command=command, reload={"mode": "supervise", "grace": "1s"}),
    )  # fmt: skip
    made.write("web/.gitignore", "node_modules\n.venv\n")
    with project.watching(made) as watch:
        ask = ("/busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8000/page.txt")
        watch.until("app", lambda event: event["phase"] == "running")
        assert app(bench.ns, *ask) == "first"
        made.write("web/page.txt", "second")
        made.flush()
        watch.until("app", lambda event: event["phase"] == "running" and event["starts"] > 1)
        assert app(bench.ns, *ask) == "second"
        kept = app(bench.ns, "/busybox", "find", "/app", "-type", "f").split()
        # of root in the image, and the app's own in the pod; what nobody shipped is extra, and stays
        assert sorted(kept) == [
            "/app/.gitignore", "/app/.venv/bin/tool", "/app/gone.txt", "/app/node_modules/left/index.js",
            "/app/page.txt",
        ]  # fmt: skip
        owners = app(bench.ns, "/busybox", "stat", "-c", "%u", "/app/gone.txt", "/app/.venv/bin/tool").split()
        assert owners == [str(shapes.UID)] * 2
        # a look through the pod, which else comes by itself
        made.run("diff")
        (target,) = made.states()["targets"]
        assert (target["extra"], target["drift"]) == (1, 0)


# ---- more than one container, and volumes ---------------------------------------------------------------------------


def test_of_two_containers_one_must_be_named(bench: loop.Bench) -> None:
    plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    proxy = shapes.container("proxy", bench.app_image, "/bin/sleep", "infinity")
    plain["spec"]["template"]["spec"]["containers"].append(proxy)
    asked = bench.laptop("asked")
    done = asked.run("inject", "-f", "-", told=json.dumps(plain))
    assert done.returncode == 2
    assert "app" in done.stderr and "proxy" in done.stderr and "container:" in done.stderr, done.stderr
    bench.ns.apply(plain)
    done = asked.run("watch", "--once")
    assert done.returncode == 1 and "no agent in it" in done.stderr, done.stderr
    named = bench.laptop("named", services=loop.service(container="proxy"))
    bench.ns.apply(*named.injected(plain, image=bench.agent_image))
    bench.ns.admin("rollout", "status", "deployment/web", "--timeout=60s")
    with project.watching(named):
        (pod,) = loop.living(bench.ns)
        assert bench.ns.read(pod, "/app/page.txt", "proxy") == "first"
        with pytest.raises(cluster.CommandError):
            bench.ns.read(pod, "/app/page.txt", shapes.APP)


def test_a_config_map_mounted_beneath_the_folder_is_left_alone(bench: loop.Bench) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a.ini": "theirs"}}
    bench.ns.apply(settings)
    plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    spec = plain["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "settings", "configMap": {"name": "settings"}}]
    spec["containers"][0]["volumeMounts"] = [shapes.mount("settings", "/app/conf")]
    deleting = {"from": "./web", "to": "/app", "seed": "none", "extra": "delete"}
    made = bench.laptop("laptop", services=loop.service(sync=[deleting]))
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    with project.watching(made) as watch:
        # nobody shipped it, and extra paths are to be deleted
        made.ok("diff")
        made.flush()
        assert app(bench.ns, "cat", "/app/conf/a.ini") == "theirs"
        made.write("web/conf/a.ini", "ours")
        told = watch.until("problems", lambda event: event["count"] > 0)
        assert {each["path"] for each in told["problems"]} == {"conf", "conf/a.ini"}
        assert "`ignore:`" in told["problems"][0]["detail"]
        assert made.states()["state"] == "partial"
        made.write("web/page.txt", "second")
        until_app(bench.ns, "/app/page.txt", "second")
        assert app(bench.ns, "cat", "/app/conf/a.ini") == "theirs"


def test_files_of_root_in_a_volume_of_the_pods_own(bench: loop.Bench) -> None:
    plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    spec = plain["spec"]["template"]["spec"]
    mount = shapes.mount("own", "/app")
    roots = (
        "mkdir /app/theirs && echo root > /app/theirs/page.txt && echo root > /app/page.txt && chmod 0755 /app/theirs"
    )
    root = {"runAsUser": 0, "runAsNonRoot": False}
    made_by_root = shapes.container("root", bench.app_image, "sh", "-c", roots, volumeMounts=[mount])
    spec["initContainers"] = [made_by_root | {"securityContext": root}]
    spec["volumes"] = [{"name": "own", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [mount]
    made = bench.laptop("laptop")
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    made.write("web/theirs/page.txt", "ours")
    with made.watch() as watch:
        told = watch.until("problems", lambda event: event["count"] > 0)
        assert {each["path"] for each in told["problems"]} == {"theirs/page.txt"}
        assert "ermission" in told["problems"][0]["detail"], told
        # A file of root's in a folder that the app may write is replaced; the other stays as it is.
        until_app(bench.ns, "/app/page.txt", "first")
        assert app(bench.ns, "stat", "-c", "%u", "/app/page.txt").strip() == str(shapes.UID)
        assert app(bench.ns, "cat", "/app/theirs/page.txt") == "root\n"
        assert made.states()["state"] == "partial"
        made.write("web/page.txt", "second")
        until_app(bench.ns, "/app/page.txt", "second")


def until_app(ns: space.Space, path: str, text: str) -> None:
    """Look in the app's container until a file is as it should be."""
    script = """
import sys, time
until = time.monotonic() + 40
while open(sys.argv[1]).read() != sys.argv[2]:
    assert time.monotonic() < until
    time.sleep(0.1)
"""
    app(ns, "python3", "-c", script, path, text)


# ---- workloads ------------------------------------------------------------------------------------------------------


def workload(kind: str, image: str, **more: Any) -> dict[str, Any]:
    """Return the Deployment's pods under another kind of workload."""
    plain = loop.deployment(image, "/bin/sleep", "infinity")
    plain["kind"] = kind
    del plain["spec"]["replicas"]
    plain["spec"] |= more
    return plain


def test_a_pod_of_a_stateful_set_that_is_replaced_under_its_name(bench: loop.Bench) -> None:
    made = bench.laptop("laptop", services=loop.service(workload="statefulset/web"))
    plain = workload("StatefulSet", bench.app_image, serviceName="web")
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    with project.watching(made) as watch:
        before = bench.ns.get("pod", "web-0")["metadata"]["uid"]
        bench.ns.admin("delete", "pod", "web-0", "--grace-period=1")
        watch.until("link", lambda event: event["gone"])
        made.write("web/page.txt", "second")
        watch.until("link", lambda event: event["up"])
        made.flush()
        assert bench.ns.get("pod", "web-0")["metadata"]["uid"] != before
        assert bench.ns.read("web-0", "/app/page.txt", shapes.APP) == "second"
        words = watch.words()
        assert "web-0 is gone" in words and "linked to web-0" in words and "scaled to zero" not in words, words


@pytest.mark.parametrize("how", ["daemonset", "selector", "pod"])
def test_what_else_may_be_named(bench: loop.Bench, how: str) -> None:
    services = loop.service(workload={"daemonset": "daemonset/web", "pod": "pod/web"}.get(how))
    plain = workload("DaemonSet", bench.app_image)
    if how == "selector":
        del services["web"]["workload"]
        services["web"]["selector"] = {"app": "web"}
        plain = loop.deployment(bench.app_image, "/bin/sleep", "infinity")
    elif how == "pod":
        plain = shapes.pod("web", [shapes.container(shapes.APP, bench.app_image, "/bin/sleep", "infinity")])
    made = bench.laptop("laptop", services=services)
    bench.ns.apply(*made.injected(plain, image=bench.agent_image))
    with project.watching(made):
        assert loop.shown(bench.ns, "/app/page.txt") == ["first"]
