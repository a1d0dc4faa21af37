from __future__ import annotations

import json
from typing import Any

import pytest

from agent.webhook import cluster
from devloop.kube import client
from devloop.podspec import devsession
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
AUTHOR = devsession.Author("alice", "u1", ("devs",), {"scopes": ("a",)})


@pytest.mark.parametrize(
    ("status", "may"),
    [
        ({"allowed": True}, True),
        ({"allowed": False}, False),
        ({"allowed": True, "denied": True}, False),
        ({}, False),
        ({"allowed": "yes"}, False),
    ],
)
async def test_only_a_plain_yes_is_one(
    api: client.Client, server: fake_api.FakeApi, status: dict[str, Any], may: bool
) -> None:
    server.on("POST", REVIEWS, objects.answered({"status": status}, 201))
    assert await cluster.may_exec(api, "dev", AUTHOR) is may
    spec = json.loads(server.bodies[0])["spec"]
    assert (spec["user"], spec["uid"], spec["groups"], spec["extra"]) == ("alice", "u1", ["devs"], {"scopes": ["a"]})


async def test_the_workload_is_looked_up_by_its_kind(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", "/apis/argoproj.io/v1alpha1/namespaces/dev/rollouts/web", objects.answered({"spec": 1}))
    session = devsession.read(objects.session(kind="Rollout"))
    assert await cluster.workload(api, session) == {"spec": 1}


CLAIM = "/api/v1/namespaces/dev/persistentvolumeclaims/devloop-web"


async def test_a_claim_is_looked_for_only_where_one_is_needed(api: client.Client, server: fake_api.FakeApi) -> None:
    assert await cluster.missing_claim(api, devsession.read(objects.session())) == ""
    assert server.requests == []
    keeps = devsession.read(objects.session(persist=["/app/node_modules"]))
    assert await cluster.missing_claim(api, keeps) == "devloop-web"
    server.on("GET", CLAIM, objects.answered({}))
    assert await cluster.missing_claim(api, keeps) == ""


async def test_sessions_of_all_namespaces(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", "/apis/devloop.dev/v1alpha1/devsessions", objects.listed(objects.session()))
    assert [each.name for each in await cluster.sessions(api)] == ["deployment-web"]
