"""What belongs to Argo CD is left alone; what only looks like it is not."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.inject import ownership
from devloop.kube import workloads
from tests.unit.inject.conftest import Bench

WEB = workloads.parse("deployment/web")
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop"
IGNORES = {
    "syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true"]},
    "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "managedFieldsManagers": ["devloop"]}],
}


def raw(tracking: str = "", label: str = "", manager: str = "kubectl") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "web",
            "annotations": {"argocd.argoproj.io/tracking-id": tracking} if tracking else {},
            "labels": {"app.kubernetes.io/instance": label} if label else {},
            "managedFields": [{"manager": manager}],
        }
    }


def claim(**how: str) -> ownership.Claim | None:
    return ownership.claim_of(raw(**how), WEB, "dev")


def test_the_tracking_annotation_of_this_very_object() -> None:
    found = claim(tracking="shop:apps/Deployment:dev/web")
    assert found is not None and found.proof
    assert (found.application, found.namespace) == ("shop", "")


def test_an_application_in_a_namespace_of_its_own() -> None:
    found = claim(tracking="team-a_shop:apps/Deployment:dev/web")
    assert found is not None and (found.application, found.namespace) == ("shop", "team-a")


@pytest.mark.parametrize("tracking", ["shop:apps/Deployment:dev/api", "shop:apps/Deployment:prod/web", "shop", ":"])
def test_an_annotation_that_was_copied_is_nobodys(tracking: str) -> None:
    assert claim(tracking=tracking) is None


def test_the_instance_label_alone_proves_nothing() -> None:
    assert claim(label="shop") == ownership.Claim("shop")


def test_with_argo_cds_manager_it_does() -> None:
    found = claim(label="shop", manager="argocd-controller")
    assert found is not None and found.proof


async def test_a_tracked_workload_is_refused_whether_the_application_can_be_read_or_not(bench: Bench) -> None:
    with pytest.raises(errors.RefusedError, match="the Application shop of Argo CD") as caught:
        await ownership.check(bench.api, raw(tracking="shop:apps/Deployment:dev/web"), WEB, "dev")
    assert caught.value.error_code == ownership.CODE


async def test_the_label_counts_where_there_is_such_an_application(bench: Bench) -> None:
    await ownership.check(bench.api, raw(label="shop"), WEB, "dev")
    bench.cluster.put(APPLICATION, {"spec": {}})
    with pytest.raises(errors.RefusedError, match="the Application shop"):
        await ownership.check(bench.api, raw(label="shop"), WEB, "dev")


async def test_applications_that_may_not_be_read_are_no_proof(bench: Bench) -> None:
    bench.cluster.refused[f"GET {APPLICATION}"] = (
        403,
        'cannot get resource "applications" in API group "argoproj.io"',
        "Forbidden",
    )
    await ownership.check(bench.api, raw(label="shop"), WEB, "dev")


async def test_the_projects_own_namespace_of_applications(bench: Bench) -> None:
    bench.cluster.put(APPLICATION.replace("/argocd/", "/ops/"), {"spec": {}})
    with pytest.raises(errors.RefusedError):
        await ownership.check(bench.api, raw(label="shop"), WEB, "dev", "ops")


async def test_an_application_that_ignores_devloop_is_no_obstacle(bench: Bench) -> None:
    bench.cluster.put(APPLICATION, {"spec": IGNORES})
    await ownership.check(bench.api, raw(tracking="shop:apps/Deployment:dev/web"), WEB, "dev")


@pytest.mark.parametrize(
    "change",
    [
        {"syncPolicy": {}},
        {"syncPolicy": {"syncOptions": ["RespectIgnoreDifferences=true", "Replace=true"]}},
        {"ignoreDifferences": []},
        {"ignoreDifferences": [{"kind": "StatefulSet", "managedFieldsManagers": ["devloop"]}]},
        {"ignoreDifferences": [{"kind": "Deployment", "name": "api", "managedFieldsManagers": ["devloop"]}]},
        {"ignoreDifferences": [{"kind": "Deployment", "managedFieldsManagers": ["kubectl"]}]},
    ],
)
def test_half_of_that_is_not_enough(change: dict[str, Any]) -> None:
    assert ownership.leaves_alone({"spec": IGNORES}, WEB)
    assert not ownership.leaves_alone({"spec": {**IGNORES, **change}}, WEB)


async def test_a_plain_workload_asks_nobody(bench: Bench) -> None:
    await ownership.check(bench.api, raw(), WEB, "dev")
    assert bench.cluster.log == []
