"""What the tests of devloop.inject share: a cluster in memory, and a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from devloop.kube import client
from tests.unit.inject import fake_cluster
from tests.unit.kube.conftest import api, server

__all__ = ["Bench", "api", "bench", "server"]


class Bench(NamedTuple):
    cluster: fake_cluster.Cluster
    api: client.Client


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with fake_cluster.serving() as (cluster, api):
        yield Bench(cluster, api)
