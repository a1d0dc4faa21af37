"""What `down` finds, ends and proves, from the cluster alone."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from aiohttp import web

from devloop import errors
from devloop.inject import ending, lease, leasing, putback
from devloop.podspec import inject, request
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_lease import ONE
from tests.unit.inject.test_patch import ANN, ASKED, BOB, install

WEB = ["deployment/web"]
CLAIMS = "/api/v1/namespaces/dev/persistentvolumeclaims"


async def end(bench: Bench, found: ending.Survey) -> tuple[list[str], list[str]]:
    said: list[str] = []
    failed = await ending.end(bench.api, "dev", found, said.append)
    return said, [error.message for error in failed]


async def test_a_session_is_found_ended_and_proved_gone(bench: Bench) -> None:
    before = copy.deepcopy(bench.cluster.template)
    await install(bench)
    assert (await ending.prove(bench.api, "dev")).left == ("leases/devloop-deployment-web",)
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    assert [each.workload for each in found.leases] == WEB
    assert await end(bench, found) == (["deployment/web: put back exactly as it was"], [])
    assert await ending.settle(bench.api, "dev", found, 10) == []
    assert bench.cluster.template == before
    proof = await ending.prove(bench.api, "dev")
    assert (proof.left, proof.looked, proof.unseen) == ((), ("leases", "persistentvolumeclaims", "pods"), ())


async def test_other_owners_and_other_projects_sessions_stay(bench: Bench) -> None:
    await install(bench, me=BOB)
    assert (await ending.survey(bench.api, "dev", WEB, ANN)).leases == ()
    assert [each.owner for each in (await ending.survey(bench.api, "dev", WEB, ANN)).others] == [BOB]
    assert (await ending.survey(bench.api, "dev", ["deployment/api"], BOB)).leases == ()
    everyone = await ending.survey(bench.api, "dev", [], ANN, everyone=True)
    assert [each.owner for each in everyone.leases] == [BOB]


async def test_declared_pods_are_named_and_left_alone(bench: Bench) -> None:
    made = inject.inject(bench.cluster.template, ASKED.service, request.Platform("agent:1"))
    bench.cluster.objects[fake_cluster.WORKLOAD]["spec"]["template"] = made.pod
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    assert (found.leases, found.declared) == ((), ("deployment/web",))
    assert await end(bench, found) == ([], [])
    assert inject.is_injected(bench.cluster.template)


async def test_a_workload_that_is_gone_is_no_trouble(bench: Bench) -> None:
    await install(bench)
    del bench.cluster.objects[fake_cluster.WORKLOAD]
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    said, failed = await end(bench, found)
    assert failed == [] and "deleted meanwhile" in said[0]


async def test_trouble_with_one_does_not_keep_the_others(bench: Bench) -> None:
    other = fake_cluster.WORKLOAD.replace("/web", "/api")
    bench.cluster.put(other, fake_cluster.deployment())
    await leasing.write(bench.api, "dev", msgspec.structs.replace(ONE, workload="deployment/api", session="s"))
    await install(bench)
    bench.cluster.refused[f"GET {other}"] = (500, "broken", "InternalError")
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    everything = msgspec.structs.replace(found, leases=(*found.others, *found.leases))
    said, failed = await end(bench, everything)
    assert len(failed) == 1 and said == ["deployment/web: put back exactly as it was"]


async def test_a_lease_that_cannot_be_understood_is_told(bench: Bench) -> None:
    strange = ONE.manifest("dev")
    strange["metadata"]["annotations"] = {}
    bench.cluster.put(fake_cluster.LEASE, strange)
    found = await ending.survey(bench.api, "dev", WEB, ANN, everyone=True)
    assert found.leases == () and "cannot be understood" in found.problems[0]
    assert (await ending.prove(bench.api, "dev")).left == ("leases/devloop-deployment-web",)


async def test_a_kind_that_may_not_be_listed_is_no_proof(bench: Bench) -> None:
    no_right = 'User "ann" cannot list resource "persistentvolumeclaims" in API group "" in the namespace "dev"'
    bench.cluster.refused[f"GET {CLAIMS}"] = (403, no_right, "Forbidden")
    proof = await ending.prove(bench.api, "dev")
    assert proof.looked == ("leases", "pods")
    assert len(proof.unseen) == 1 and proof.unseen[0].startswith("persistentvolumeclaims: you may not list")


async def test_without_the_right_to_see_leases_the_rest_is_looked_at(bench: Bench) -> None:
    attach(bench)
    words = 'User "ann" cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "dev"'
    bench.cluster.refused[f"GET {fake_cluster.LEASE.rpartition('/')[0]}"] = (403, words, "Forbidden")
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    assert (found.leases, len(found.attached)) == ((), 1)
    assert (await ending.prove(bench.api, "dev")).unseen[0].startswith("leases: you may not list")


def attach(bench: Bench, **meta: Any) -> str:
    (path,) = [path for path in bench.cluster.objects if path.startswith(f"{fake_cluster.PODS}/")]
    pod = bench.cluster.objects[path]
    pod["spec"]["ephemeralContainers"] = [
        {"name": "devloop-agent-10"},
        {"name": "devloop-agent-9"},
        {"name": "debugger"},
    ]
    pod["metadata"] |= meta
    return path


async def test_pods_that_were_attached_to_are_named_and_evicted_on_request(bench: Bench) -> None:
    path = attach(bench)
    (one,) = (await ending.survey(bench.api, "dev", WEB, ANN)).attached
    assert one.containers == ("devloop-agent-9", "devloop-agent-10") and one.pod.owner is not None
    await ending.evict(bench.api, "dev", one)
    assert path not in bench.cluster.objects


async def test_pods_without_a_controller_are_never_evicted(bench: Bench) -> None:
    path = attach(bench, ownerReferences=[])
    (one,) = (await ending.survey(bench.api, "dev", [], ANN, everyone=True)).attached
    with pytest.raises(errors.RefusedError, match="no controller"):
        await ending.evict(bench.api, "dev", one)
    assert path in bench.cluster.objects


async def test_a_disruption_budget_is_respected_and_told(bench: Bench) -> None:
    path = attach(bench)
    (one,) = (await ending.survey(bench.api, "dev", WEB, ANN)).attached
    said = "Cannot evict pod as it would violate the pod's disruption budget."
    bench.cluster.refused[f"POST {path}/eviction"] = (429, said, "TooManyRequests")
    with pytest.raises(errors.RefusedError, match="disruption budget") as caught:
        await ending.evict(bench.api, "dev", one)
    assert caught.value.error_code == "DL0785"
    assert caught.value.message == f"pod {one.pod.name} may not be evicted now: {said}"


async def test_a_pod_of_the_same_name_that_came_in_its_place_is_not_evicted(bench: Bench) -> None:
    path = attach(bench)
    (one,) = (await ending.survey(bench.api, "dev", WEB, ANN)).attached
    bench.cluster.objects[path]["metadata"]["uid"] = "another"
    await ending.evict(bench.api, "dev", one)
    assert path in bench.cluster.objects


@pytest.mark.parametrize(("minor", "version"), [("20", "policy/v1beta1"), ("36", "policy/v1")])
async def test_eviction_by_the_version_that_the_cluster_has(bench: Bench, minor: str, version: str) -> None:
    bench.cluster.minor = minor
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        return web.json_response({})

    bench.cluster.on("POST", f"{attach(bench)}/eviction", answer)
    (one,) = (await ending.survey(bench.api, "dev", WEB, ANN)).attached
    await ending.evict(bench.api, "dev", one)
    assert seen[-1]["apiVersion"] == version


async def test_pods_that_still_have_an_agent_are_named_in_the_end(bench: Bench) -> None:
    done = await install(bench)
    assert done.lease is not None
    found = await ending.survey(bench.api, "dev", WEB, ANN)
    bench.cluster.rolls_out = False
    await end(bench, found)
    left = await ending.settle(bench.api, "dev", found, 0.05)
    assert len(left) == 1


def test_every_end_is_told() -> None:
    assert set(ending._ENDS) == set(putback.End)
    assert lease.Until.DOWN in lease.Until
