"""Leases on Applications in the cluster, and what time it is there."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from aiohttp import web

from devloop import errors
from devloop.argocd import lease, leasing
from devloop.kube import client
from tests.unit.argocd.test_lease import NOW, made
from tests.unit.kube import fake_api

ALL = "/apis/coordination.k8s.io/v1/namespaces/ann/leases"
ONE = f"{ALL}/devloop-branch-argocd.shop"


@pytest.fixture
def leases(api: client.Client) -> leasing.Leases:
    return leasing.Leases(api, "ann")


def raw(**metadata: Any) -> dict[str, Any]:
    found = made().manifest(NOW)
    return {**found, "metadata": {**found["metadata"], "resourceVersion": "7", "uid": "u7", **metadata}}


async def test_found_or_not(server: fake_api.FakeApi, leases: leasing.Leases) -> None:
    assert await leases.find("ann/devloop-branch-argocd.shop") is None
    server.on("GET", ONE, fake_api.giving(raw()))
    found = await leases.find("ann/devloop-branch-argocd.shop")
    assert found is not None and (found.version, found.uid) == ("7", "u7")


async def test_those_that_cannot_be_understood_are_told_apart(server: fake_api.FakeApi, leases: leasing.Leases) -> None:
    broken = {**raw(name="broken"), "spec": {"renewTime": "yesterday"}}
    server.on("GET", ALL, fake_api.giving({"items": [broken, raw()], "metadata": {}}))
    found, wrong = await leases.every()
    assert [each.name for each in found] == ["devloop-branch-argocd.shop"]
    assert [error.error_code for error in wrong] == ["DL1020"]
    assert server.requests[-1].query["labelSelector"] == "devloop.dev/env-lease"


async def test_a_new_one_is_created_and_one_that_is_there_is_replaced(
    server: fake_api.FakeApi, leases: leasing.Leases
) -> None:
    server.on("POST", ALL, fake_api.giving(raw()))
    there = await leases.write(made())
    server.on("PUT", ONE, fake_api.giving(raw()))
    await leases.renew(there)
    sent = json.loads(server.bodies[-1])
    assert sent["metadata"]["resourceVersion"] == "7"
    assert sent["spec"]["acquireTime"] == "2026-11-20T10:00:00.000000Z" != sent["spec"]["renewTime"]


async def test_the_time_is_the_clusters(server: fake_api.FakeApi, leases: leasing.Leases) -> None:
    async def yesterday(request: web.Request) -> web.StreamResponse:
        return web.json_response(raw(), headers={"Date": "Thu, 19 Nov 2020 10:00:00 GMT"})

    server.on("GET", ONE, yesterday)
    await leases.find("ann/devloop-branch-argocd.shop")
    assert abs(leases.now() - datetime.datetime(2020, 11, 19, 10, tzinfo=datetime.UTC)) < datetime.timedelta(minutes=1)


async def test_this_very_one_is_deleted(server: fake_api.FakeApi, leases: leasing.Leases) -> None:
    server.on("DELETE", ONE, fake_api.giving({}), fake_api.refusing(409, "changed", "Conflict"))
    one = lease.read(raw())
    await leases.give_back(one)
    assert json.loads(server.bodies[-1])["preconditions"] == {"uid": "u7", "resourceVersion": "7"}
    with pytest.raises(errors.ConflictError):
        await leases.give_back(one)
    server.on("DELETE", ONE, fake_api.refusing(404, "gone", "NotFound"))
    await leases.give_back(one)
