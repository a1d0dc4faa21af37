"""Asking for rights."""

from __future__ import annotations

import json

import pytest

from devloop import errors
from devloop.kube import access, client
from devloop.kube.paths import Asked
from tests.unit.kube import fake_api

REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
EXEC = Asked("create", "pods", namespace="dev", name="web", subresource="exec")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"allowed": True}, access.Verdict(True)),
        ({"allowed": False, "reason": "no"}, access.Verdict(False, "no")),
        ({"allowed": True, "denied": True}, access.Verdict(False)),
        (None, access.Verdict(False)),
    ],
)
async def test_one_right(server: fake_api.FakeApi, api: client.Client, status: object, verdict: access.Verdict) -> None:
    server.on("POST", REVIEW, fake_api.giving({"status": status}))
    assert await access.can(api, EXEC) == verdict
    asked = json.loads(server.bodies[0])["spec"]["resourceAttributes"]
    assert asked == {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": "dev", "name": "web"}


async def test_all_rights_of_a_namespace(server: fake_api.FakeApi, api: client.Client) -> None:
    given = [{"verbs": ["create"], "apiGroups": [""], "resources": ["pods/exec"]}]
    server.on("POST", RULES, fake_api.giving({"status": {"resourceRules": given, "incomplete": True}}))
    found = await access.rules(api, "dev")
    assert found.allow(EXEC) and not found.allow(Asked("create", "pods")) and not found.complete
    server.on("POST", RULES, fake_api.giving({"status": {"resourceRules": [{"verbs": 5}]}}))
    with pytest.raises(errors.UnreachableError):
        await access.rules(api, "dev")


@pytest.mark.parametrize(
    ("rule", "covered"),
    [
        (access.Rule(["*"], ["*"], ["*"]), True),
        (access.Rule(["create"], [""], ["*/exec"]), True),
        (access.Rule(["create"], [""], ["pods/exec"], ["web"]), True),
        (access.Rule(["create"], [""], ["pods/exec"], ["db"]), False),
        (access.Rule(["create"], [""], ["pods"]), False),
        (access.Rule(["get"], [""], ["pods/exec"]), False),
        (access.Rule(["create"], ["apps"], ["pods/exec"]), False),
    ],
)
def test_what_a_rule_covers(rule: access.Rule, covered: bool) -> None:
    assert rule.covers(EXEC) is covered
