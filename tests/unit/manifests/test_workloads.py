from __future__ import annotations

from typing import Any

import pytest

from devloop.manifests import workloads


def one(api: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "web"}, **more}


@pytest.mark.parametrize(
    ("api", "kind", "found"),
    [
        ("apps/v1", "Deployment", "deployment/web"),
        ("extensions/v1beta1", "Deployment", "deployment/web"),
        ("apps/v1", "StatefulSet", "statefulset/web"),
        ("apps/v1", "DaemonSet", "daemonset/web"),
        ("argoproj.io/v1alpha1", "Rollout", "rollout/web"),
        ("v1", "Pod", "pod/web"),
        ("other.io/v1", "Deployment", ""),
        ("v1", "Deployment", ""),
        ("batch/v1", "Job", ""),
        ("batch/v1", "CronJob", ""),
        ("v1", "Service", ""),
    ],
)
def test_kinds(api: str, kind: str, found: str) -> None:
    assert [str(each) for each in workloads.find(one(api, kind))] == ([found] if found else [])


def test_workloads_in_lists_and_lists_in_lists() -> None:
    inner = {"kind": "DeploymentList", "items": [one("apps/v1", "Deployment"), None, "x"]}
    (found,) = workloads.find({"kind": "List", "apiVersion": "v1", "items": [inner]})
    assert found.loc == ("items", 0, "items", 0)
    assert found.at == ("items", 0, "items", 0, "spec", "template")


@pytest.mark.parametrize(
    "value", [None, [], "x", 7, {}, {"kind": "Deployment"}, {"kind": ["x"]}, one("v1", "Pod", metadata=1)]
)
def test_what_is_no_workload(value: Any) -> None:
    assert list(workloads.find(value)) == []


def test_what_a_workload_tells() -> None:
    spec = {
        "template": {"metadata": {"labels": {"a": "b"}}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}, {}, "x"],
    }
    (found,) = workloads.find(one("apps/v1", "StatefulSet", spec=spec))
    assert (found.pod(), found.labels(), found.claim_templates()) == (
        {"metadata": {"labels": {"a": "b"}}},
        {"a": "b"},
        frozenset({"data"}),
    )
    (bare,) = workloads.find(one("apps/v1", "Deployment", spec=[]))
    assert (bare.pod(), bare.labels(), bare.claim_templates()) == (None, {}, frozenset())


def test_a_part_is_replaced_without_changing_the_whole() -> None:
    value = {"a": [1, {"b": 2}]}
    assert workloads.replaced(value, ("a", 1, "b"), 3) == {"a": [1, {"b": 3}]}
    assert value == {"a": [1, {"b": 2}]}
