"""A cluster in memory that the verbs find instead of a real one, the same one for each verb of a test."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from devloop.cli import clustered
from devloop.kube import client
from tests.unit.inject import fake_cluster

PROJECT = """\
version: 1
services:
  web: {workload: deployment/web, sync: [{from: ./src, to: /app}]}
  labels: {selector: {app: web}, sync: [{from: ./src, to: /app}]}
  here: {target: {local: ./t}, sync: [{from: ./a, to: /app}]}
"""


def found(monkeypatch: pytest.MonkeyPatch) -> fake_cluster.Cluster:
    """Have the verbs connect to a cluster with the Deployment `web`, and return it."""
    cluster = fake_cluster.Cluster()
    cluster.put(fake_cluster.WORKLOAD, fake_cluster.deployment())
    cluster.roll_out()

    @contextlib.asynccontextmanager
    async def connection(*said: object) -> AsyncIterator[client.Client]:
        async with fake_cluster.serving(cluster) as (_, api):
            yield api

    monkeypatch.setattr(clustered, "connection", connection)
    return cluster
