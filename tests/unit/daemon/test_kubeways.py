"""The ways through the cluster's API live as long as its connection."""

from __future__ import annotations

import asyncio

from devloop.daemon import kubeways
from devloop.kube import client
from tests.unit.kube import fake_api, test_portchannel, test_services


async def test_pods_and_services_are_dialled_and_watches_end_with_the_block() -> None:
    ready = test_services.slice_(test_services.endpoint("web"))
    changes: list[None] = []
    async with asyncio.timeout(20), fake_api.serving() as server:
        server.on("GET", test_portchannel.PATH, test_portchannel.Pod())
        server.on("GET", test_services.SERVICE, fake_api.giving(test_services.service()))
        server.on("GET", test_services.SLICES, fake_api.giving(test_services.listing(ready)))
        async with kubeways.connected(
            lambda: client.connect(server.cluster()), lambda: changes.append(None)
        ) as connected:
            for carrier, host, port in (
                (connected.pod("web", confirm=False), "127.0.0.1", 8000),
                (connected.services(confirm=False), "web", 80),
            ):
                stream = await carrier.dial(host, port, timeout_s=5)
                await stream.write(b"x")
                assert await stream.read() == b"x"
                stream.reset()
        assert changes
