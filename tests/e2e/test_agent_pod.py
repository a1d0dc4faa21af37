"""The agent's image as a pod written by hand: it runs under the strictest rules, and only those with a key get in."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devloop import __version__
from devloop.protocol import messages
from devloop.transport import dial
from tests.e2e import cluster, shapes, space
from tests.unit.agent import linked
from tests.unit.wire import wired

NAME = "web"
SLEEP = ("/bin/sleep", "infinity")


def key_of(user: cluster.Kubectl, pod: str = NAME) -> bytes:
    """Read the agent's key as devloop does."""
    argv = ("python", "-m", "agent", "key", "--state", shapes.KEY)
    return space.in_container(user, pod, *argv, container=shapes.AGENT).encode()


@contextlib.asynccontextmanager
async def laptop(user: cluster.Kubectl, key: bytes, pod: str = NAME) -> AsyncIterator[linked.Laptop]:
    """Link a laptop to a pod's agent through the API server."""
    with space.forwarded(user, pod, shapes.PORT) as opened:
        connection = await dial.over(wired.Wired(opened), pod)
        claim = linked.hello(syncs=(messages.SyncSpec(shapes.TO),))
        one = linked.Laptop(connection, claim, key)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.run())
            yield one
            task.cancel()


@pytest.fixture
def developer(ns: space.Space, agent_image: str, app_image: str) -> cluster.Kubectl:
    """A developer's rights, with the pod running."""
    ns.apply(shapes.with_agent(NAME, agent_image, app_image, *SLEEP))
    ns.ready(NAME)
    return ns.developer()


async def test_the_handshake_over_a_port_forward(developer: cluster.Kubectl) -> None:
    async with laptop(developer, key_of(developer)) as one:
        await one.opened()
        assert one.hello is not None
        assert one.hello.version == __version__
        assert [each.to for each in one.hello.roots] == [shapes.TO]
        assert (one.hello.uid, one.hello.gid) == (shapes.UID, shapes.UID)


async def test_a_batch_is_in_the_apps_container_when_it_is_acked(ns: space.Space, developer: cluster.Kubectl) -> None:
    async with laptop(developer, key_of(developer)) as one:
        await one.opened()
        ack = await one.batch({"src/main.py": "print('new')\n", "empty": ""})
        assert ack.problems == ()
    assert ns.read(NAME, "/app/src/main.py", shapes.APP) == "print('new')\n"
    assert ns.read(NAME, "/app/empty", shapes.APP) == ""


async def test_an_app_of_one_static_program_gets_its_files(
    ns: space.Space, developer: cluster.Kubectl, agent_image: str
) -> None:
    bare = space.bare_image(ns, agent_image)
    ns.apply(shapes.with_agent("bare", agent_image, bare, "/busybox", "sleep", "1000"))
    ns.ready("bare")
    async with laptop(developer, key_of(developer, "bare"), "bare") as one:
        await one.opened()
        await one.batch({"page.html": "new"})
    assert ns.exec("bare", "/busybox", "cat", "/app/page.html", container=shapes.APP) == "new"


async def test_another_key_is_refused(developer: cluster.Kubectl) -> None:
    async with laptop(developer, b"0" * 64) as one:
        await one.ended()
        assert one.hello is None
        assert one.error is not None and "could not prove" in one.error.message


def test_the_key_is_for_the_agents_container_alone(ns: space.Space, developer: cluster.Kubectl) -> None:
    assert len(key_of(developer)) == 64
    with pytest.raises(cluster.CommandError, match="No such file"):
        ns.read(NAME, f"{shapes.KEY}/key", shapes.APP)


def test_an_agent_that_is_told_to_stop_ends_in_order_and_the_next_has_a_new_key(
    ns: space.Space, developer: cluster.Kubectl
) -> None:
    before = key_of(developer)
    ns.exec(NAME, "python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)", container=shapes.AGENT)
    seen = ns.wait("pod", NAME, lambda pod: restarts(pod) == 1 and space.is_ready(pod), "the agent's second start")
    assert space.container_state(seen, shapes.AGENT)["lastState"]["terminated"]["exitCode"] == 0
    assert key_of(developer) != before


def restarts(pod: dict[str, Any]) -> int:
    return int(space.container_state(pod, shapes.AGENT).get("restartCount", 0))


def test_the_agent_has_no_privileges(ns: space.Space, developer: cluster.Kubectl) -> None:
    look = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/1/status"))
def writable(path):
    try:
        open(path + "/probe", "w").close()
    except OSError as error:
        return error.strerror
    return "yes"
print(json.dumps({
    "uid": status["Uid"].split()[1], "gid": status["Gid"].split()[1],
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "places": {path: writable(path) for path in ("/", "/tmp", "/usr/lib/devloop", "/devloop/sync-0", "/devloop/key")},
    "token": os.path.exists("/var/run/secrets/kubernetes.io"),
}))
"""
    seen = json.loads(ns.exec(NAME, "python", "-c", look, container=shapes.AGENT))
    assert (seen["uid"], seen["gid"]) == (str(shapes.UID), str(shapes.UID))
    assert (seen["capabilities"], seen["no_new_privileges"], seen["token"]) == (0, "1", False)
    read_only = "Read-only file system"
    assert seen["places"] == {
        "/": read_only,
        "/tmp": read_only,
        "/usr/lib/devloop": read_only,
        "/devloop/sync-0": "yes",
        "/devloop/key": "yes",
    }


def test_another_pod_cannot_reach_the_port(ns: space.Space, developer: cluster.Kubectl, app_image: str) -> None:
    address = ns.get("pod", NAME)["status"]["podIP"]
    dials = f"""
import socket
for host, port in (({address!r}, {shapes.PORT}), ("127.0.0.1", {shapes.PORT})):
    try:
        socket.create_connection((host, port), 5).close()
        print("open")
    except OSError as error:
        print(error.strerror)
"""
    ns.apply(shapes.once("neighbour", app_image, "python", "-c", dials))
    assert ns.finished("neighbour") == "Succeeded"
    assert ns.logs("neighbour").splitlines() == ["Connection refused"] * 2


def test_a_process_in_the_pod_without_a_key_gets_no_hello(ns: space.Space, developer: cluster.Kubectl) -> None:
    # the port is open to the pod's own containers; a browser's upgrade is refused before anything is said
    asks = f"""
import socket
upgrade = "GET / HTTP/1.1\\r\\nHost: a\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
upgrade += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\nSec-WebSocket-Version: 13\\r\\nOrigin: http://evil\\r\\n\\r\\n"
with socket.create_connection(("127.0.0.1", {shapes.PORT}), 5) as link:
    link.sendall(upgrade.encode())
    print(link.recv(100).split(b"\\r\\n")[0].decode())
"""
    assert ns.exec(NAME, "python", "-c", asks, container=shapes.APP).startswith("HTTP/1.1 403")


@pytest.mark.kube(min="1.29")
def test_the_agent_as_a_native_sidecar_is_up_before_the_app(ns: space.Space, agent_image: str, app_image: str) -> None:
    shape = shapes.with_agent(NAME, agent_image, app_image, *SLEEP)
    app, agent = shape["spec"]["containers"]
    shape["spec"] |= {"containers": [app], "initContainers": [{**agent, "restartPolicy": "Always"}]}
    ns.apply(shape)
    seen = ns.ready(NAME)
    assert "running" in space.container_state(seen, shapes.AGENT)["state"]
    assert len(key_of(ns.developer())) == 64


@pytest.mark.kube(min="1.25")
def test_the_shape_is_admitted_under_restricted_pod_security(ns: space.Space, agent_image: str, app_image: str) -> None:
    ns.cluster.admin("label", "namespace", ns.name, "pod-security.kubernetes.io/enforce=restricted")
    ns.apply(shapes.with_agent(NAME, agent_image, app_image, *SLEEP))
    ns.ready(NAME)
