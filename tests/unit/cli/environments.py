"""A cluster with Argo CD, in memory, that the verbs of `devloop env` find instead of a real one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from devloop.cli import clustered
from devloop.kube import client
from tests.unit.argocd import samples
from tests.unit.kube import fake_api

APPLICATIONS = "/apis/argoproj.io/v1alpha1/applications"
PROJECT = """\
version: 1
namespace: ann
services:
  web: {workload: deployment/web, sync: [{from: ., to: /app}]}
"""

Setup = Callable[[fake_api.FakeApi], None]


def listing(*found: dict[str, Any]) -> fake_api.Handler:
    return fake_api.giving({"items": list(found), "metadata": {"resourceVersion": "9"}})


def project(more: str = "") -> None:
    Path("devloop.yaml").write_text(PROJECT + more)


def shop(server: fake_api.FakeApi) -> None:
    """The service `web` with a pod, in the Application `shop`; another Application is somebody else's."""
    metadata: dict[str, Any] = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:ann/web"}}
    web = {**samples.deployment(**metadata), "spec": {"selector": {"matchLabels": {"app": "web"}}}}
    pod = {
        "metadata": {
            "name": "web-9-a",
            "labels": {"pod-template-hash": "9"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-9", "controller": True}],
        }
    }
    bobs = samples.raw("bobs", destination={"server": "s", "namespace": "bob"})
    server.on("GET", APPLICATIONS, listing(samples.raw(), bobs))
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", fake_api.giving(web))
    server.on("GET", "/api/v1/namespaces/dev/pods", listing(pod))


def found(monkeypatch: pytest.MonkeyPatch, *setups: Setup) -> list[fake_api.FakeApi]:
    """Have the verbs connect to a fake API server that is set up anew for each; returns those that were."""
    served: list[fake_api.FakeApi] = []

    @contextlib.asynccontextmanager
    async def connection(*said: object) -> AsyncIterator[client.Client]:
        async with fake_api.serving() as server:
            for setup in setups:
                setup(server)
            served.append(server)
            async with client.connect(server.cluster()) as api:
                yield api

    monkeypatch.setattr(clustered, "connection", connection)
    return served
