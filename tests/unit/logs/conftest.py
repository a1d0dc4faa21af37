"""What these tests share: an API server with a node behind it, and a client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devloop.kube import client
from tests.unit.kube import fake_api
from tests.unit.logs import node as nodes


@pytest.fixture
async def node() -> AsyncIterator[nodes.Node]:
    async with fake_api.serving() as server:
        made = nodes.Node(server)
        yield made
        made.end()


@pytest.fixture
async def api(node: nodes.Node) -> AsyncIterator[client.Client]:
    async with client.connect(node.server.cluster()) as connected:
        yield connected
