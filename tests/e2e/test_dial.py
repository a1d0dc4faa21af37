"""What the agent of a real pod dials, and what it does not: by the kubelet's resolv.conf and the cluster's own DNS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devloop import errors
from devloop.transport import dial
from devloop.wire import streams
from tests.e2e import cluster, shapes, space
from tests.e2e.test_agent_pod import key_of
from tests.tunnel import rig
from tests.unit.wire import wired

NAME = "web"
SERVE = ("python", "-m", "http.server", "8000", "--bind", "0.0.0.0", "--directory", "/app")


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def developer(ns: space.Space, agent_image: str, app_image: str) -> cluster.Kubectl:
    """A developer's rights, with the pod running, and services of several kinds."""
    ports = [{"port": 80, "targetPort": 8000}]
    ns.apply(
        shapes.with_agent(NAME, agent_image, app_image, *SERVE),
        service(NAME, selector={"app": NAME}, ports=ports),
        service("bare", selector={"app": NAME}, ports=ports, clusterIP="None"),
        service("outside", type="ExternalName", externalName="kubernetes.default.svc.cluster.local"),
    )
    ns.ready(NAME)
    return ns.developer()


@contextlib.asynccontextmanager
async def carried(developer: cluster.Kubectl) -> AsyncIterator[streams.Streams]:
    key = key_of(developer)
    with space.forwarded(developer, NAME, shapes.PORT) as opened:
        connection = await dial.over(wired.Wired(opened), NAME)
        async with rig.linked_by(key, connection, to=shapes.TO) as link:
            yield link.streams


async def fetched(carrier: streams.Streams, host: str, port: int) -> bytes:
    channel = await carrier.dial(host, port, timeout_s=30)
    await channel.write(b"GET / HTTP/1.0\r\n\r\n")
    got = b""
    while data := await channel.read():
        got += data
    await channel.write_eof()
    return got


async def test_the_pod_and_the_services_of_its_namespace(ns: space.Space, developer: cluster.Kubectl) -> None:
    address = ns.get("service", NAME)["spec"]["clusterIP"]
    pod = ns.get("pod", NAME)["status"]["podIP"]
    async with carried(developer) as carrier:
        for host, port in (
            ("127.0.0.1", 8000),
            ("localhost", 8000),
            (NAME, 80),
            (f"{NAME}.{ns.name}", 80),
            (f"{NAME}.{ns.name}.svc", 80),
            (f"{NAME}.{ns.name}.svc.cluster.local", 80),
            ("bare", 8000),
        ):
            assert b"200 OK" in await fetched(carrier, host, port), host
        # Raw addresses count by their reverse names, where the cluster's DNS has them.
        for host, port in ((address, 80), (pod, 8000)):
            with contextlib.suppress(errors.DialError):
                assert b"200 OK" in await fetched(carrier, host, port)


async def test_nothing_else(developer: cluster.Kubectl) -> None:
    async with carried(developer) as carrier:
        for host, port in (
            ("127.0.0.1", shapes.PORT),
            (NAME + ".default", 443),
            ("kubernetes.default", 443),
            ("kubernetes.default.svc.cluster.local", 443),
            ("outside", 443),
            ("169.254.169.254", 80),
            ("::ffff:127.0.0.1", 8000),
            ("0.0.0.0", 8000),
        ):
            with pytest.raises(errors.DialError) as caught:
                await carrier.dial(host, port, timeout_s=30)
            # Not every cluster's DNS knows services by ExternalName, and the first of these is no service at all.
            unknown = {errors.Refused.NAME} if host in (NAME + ".default", "outside") else set()
            assert caught.value.why in {errors.Refused.RULE, *unknown}, host
            assert caught.value.message
