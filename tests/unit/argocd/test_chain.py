"""From a service to its workload: what is missing ends the chain, and not the verb."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.argocd import chain
from devloop.config import model
from devloop.kube import client
from tests.unit.kube import fake_api

DEPLOYMENT = "/apis/apps/v1/namespaces/dev/deployments/web"
PODS = "/api/v1/namespaces/dev/pods"
WEB = {"metadata": {"name": "web", "namespace": "dev"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}


def service(**said: Any) -> model.Service:
    return model.Service.model_validate({"sync": [{"from": ".", "to": "/app"}], **said}, context={"folder": "/p"})


def pod(name: str, created: str, owner: str = "web-9", kind: str = "ReplicaSet", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": {"pod-template-hash": "9"},
            "ownerReferences": [{"kind": kind, "name": owner, "controller": True}],
            **metadata,
        }
    }


def listing(*found: dict[str, Any]) -> fake_api.Handler:
    return fake_api.giving({"items": list(found), "metadata": {}})


async def test_a_workload_with_its_replica_set_and_pods(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", DEPLOYMENT, fake_api.giving(WEB))
    ending = pod("web-9-c", "2026-03", deletionTimestamp="2026-04")
    server.on("GET", PODS, listing(pod("web-9-a", "2026-01"), pod("web-9-b", "2026-02"), ending))
    found = await chain.look(api, "web", service(workload="deployment/web"))
    assert (found.pods, found.replica_set, str(found)) == (("web-9-b", "web-9-a"), "web-9", "deployment/web")
    assert (found.workload["apiVersion"], found.trouble) == ("apps/v1", "")
    assert server.requests[-1].query["labelSelector"] == "app=web"


async def test_labels_lead_up_to_the_workload(server: fake_api.FakeApi, api: client.Client) -> None:
    owned = {"metadata": {"name": "web-9", "ownerReferences": [{"kind": "Deployment", "name": "web", "controller": 1}]}}
    server.on("GET", PODS, listing(pod("web-9-a", "2026-01")))
    server.on("GET", "/apis/apps/v1/namespaces/dev/replicasets/web-9", fake_api.giving(owned))
    server.on("GET", DEPLOYMENT, fake_api.giving(WEB))
    found = await chain.look(api, "web", service(selector={"app": "web"}))
    assert (found.kind, found.name, found.replica_set) == ("Deployment", "web", "web-9")


async def test_pods_of_a_kind_that_is_not_known_keep_its_name(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PODS, listing(pod("x-0", "2026-01", "x", "Postgres")))
    found = await chain.look(api, "db", service(selector={"app": "x"}))
    assert (str(found), found.replica_set) == ("postgres/x", "")


async def test_a_pod_without_an_owner_is_its_own_workload(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PODS, listing(pod("x", "2026-01", ownerReferences=[])))
    assert str(await chain.look(api, "x", service(selector={"app": "x"}))) == "pod/x"


async def test_what_is_not_there_is_said(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments", listing())
    server.on("GET", PODS, listing())
    found = await chain.every(api, {"web": service(workload="deployment/web"), "x": service(selector={"app": "x"})})
    assert found[0].trouble
    assert not found[0].workload
    assert found[1].trouble == "no pod has these labels"


async def test_pods_that_may_not_be_listed_leave_the_workload(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", DEPLOYMENT, fake_api.giving(WEB))
    server.on("GET", PODS, fake_api.refusing(403, 'User "u" cannot list resource "pods" in API group ""', "Forbidden"))
    found = await chain.look(api, "web", service(workload="deployment/web"))
    assert (found.name, found.pods) == ("web", ())
    assert "list" in found.trouble


async def test_a_workload_without_pods(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", DEPLOYMENT, fake_api.giving(WEB))
    server.on("GET", PODS, listing())
    assert (await chain.look(api, "web", service(workload="deployment/web"))).trouble == "it has no pods"


async def test_a_selector_that_selects_all_is_no_reason_to_stop(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", DEPLOYMENT, fake_api.giving({**WEB, "spec": {}}))
    found = await chain.look(api, "web", service(workload="deployment/web"))
    assert (found.name, "no selector" in found.trouble) == ("web", True)


async def test_a_user_who_is_not_known_is_an_error(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", DEPLOYMENT, fake_api.refusing(401, "who", "Unauthorized"))
    with pytest.raises(errors.CredentialsError):
        await chain.every(api, {"web": service(workload="deployment/web")})


async def test_a_target_on_this_machine_has_no_chain(api: client.Client) -> None:
    assert await chain.every(api, {"here": service(target={"local": "./t"})}) == ()
