"""What these tests share: an API server of their own, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devloop.kube import client
from tests.unit.kube import fake_api


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected
