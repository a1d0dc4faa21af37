"""What is found out of a running container, from its manifest and from its first process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from devloop import errors
from devloop.kube import client, execute, observe, workloads
from tests.unit.kube import fake_api, test_pods


def raw(*containers: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-1", **meta}, "spec": {"containers": list(containers)}}


APP: dict[str, Any] = {
    "name": "app",
    "command": ["gunicorn"],
    "args": ["app:main", "-w", "2"],
    "workingDir": "/srv",
    "ports": [{"containerPort": 8000}, {"name": "odd"}],
    "securityContext": {"runAsUser": 1000},
}


def test_what_the_manifest_says() -> None:
    found = observe.of_pod(raw(APP), "")
    assert found == observe.Running("app", True, ("gunicorn", "app:main", "-w", "2"), "/srv", 1000, None, (8000,))


def test_arguments_alone_do_not_tell_the_command() -> None:
    assert observe.of_pod(raw({"name": "app", "args": ["-w", "2"]}), "").command == ()


def test_the_agent_is_not_the_app_and_its_launcher_is_looked_through() -> None:
    launched = ["/devloop/tools/busybox", "sh", "/devloop/tools/launcher.sh", "--grace", "5", "--", "node", "x.js"]
    found = observe.of_pod(raw({"name": "app", "command": launched}, {"name": "devloop-agent"}), "")
    assert (found.container, found.is_only, found.command) == ("app", True, ("node", "x.js"))


def test_of_several_containers_one_must_be_named() -> None:
    two = [{"name": "app"}, {"name": "proxy"}]
    assert observe.of_pod(raw(*two), "proxy").container == "proxy"
    annotated = raw(*two, annotations={"kubectl.kubernetes.io/default-container": "proxy"})
    assert observe.of_pod(annotated, "").container == "proxy"
    for wanted, words in (("", "several"), ("none", "no container 'none'")):
        with pytest.raises(errors.UsageError, match=words) as caught:
            observe.of_pod(raw(*two), wanted)
        assert "app, proxy" in caught.value.hint


def test_the_process_adds_what_the_manifest_leaves_open() -> None:
    known = observe.Running("app", True)
    status = b"Name:\tpython\nUid:\t0\t1000\t0\t0\nGid:\t0\t1001\t0\t0\n"
    found = observe.of_process(known, b"python\0app.py\0--port\x008000\0", status, b"/app\n")
    assert (found.command, found.cwd, found.uid, found.gid) == (
        ("python", "app.py", "--port", "8000"),
        "/app",
        1000,
        1001,
    )


@pytest.mark.parametrize("status", [b"", b"garbage", b"Uid:", b"Uid:\tx\ty\tz\n"])
def test_what_cannot_be_read_is_left_open(status: bytes) -> None:
    found = observe.of_process(observe.Running("app", True), b"", status, b"")
    assert (found.command, found.cwd, found.uid, found.gid) == ((), "", None, None)


async def test_the_newest_pod_is_asked(
    server: fake_api.FakeApi, api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[execute.Where, Sequence[str]]] = []

    async def run(api: object, where: execute.Where, argv: Sequence[str], *, timeout_s: float) -> execute.Result:
        asked.append((where, argv))
        if argv[0] == "readlink":
            raise errors.ExecError("no such program")
        return execute.Result(0, b"python\0app.py\0" if "cmdline" in argv[1] else b"Uid:\t1\t7\t1\t1\n", b"")

    monkeypatch.setattr(execute, "run", run)
    selector = {"spec": {"selector": {"matchLabels": {"app": "web"}}}}
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", fake_api.giving(selector))
    old, new = test_pods.raw("web-5d-a"), test_pods.raw("web-5d-b", created="2026-02-01T00:00:00Z")
    listing = {"items": [new, old], "metadata": {"resourceVersion": "1"}}
    server.on("GET", "/api/v1/namespaces/dev/pods", fake_api.giving(listing))
    found = await observe.running(api, workloads.parse("deployment/web"))
    assert (found.command, found.cwd, found.uid) == (("python", "app.py"), "", 7)
    assert {where.pod for where, _ in asked} == {"web-5d-b"}


async def test_a_workload_without_pods_cannot_be_looked_at(server: fake_api.FakeApi, api: client.Client) -> None:
    selector = {"spec": {"selector": {"matchLabels": {"app": "web"}}}}
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", fake_api.giving(selector))
    server.on("GET", "/api/v1/namespaces/dev/pods", fake_api.listing())
    with pytest.raises(errors.NotThereError, match="has no pods"):
        await observe.running(api, workloads.parse("deployment/web"))
