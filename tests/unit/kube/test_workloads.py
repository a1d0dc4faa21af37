"""Which pods are a service's."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.kube import pods, workloads


def pod(name: str = "p", *, owner: tuple[str, str] | None = None, revision: str = "5d") -> pods.Pod:
    absent = pods.Container(pods.AGENT, pods.Phase.ABSENT)
    by = pods.Owner(*owner) if owner else None
    return pods.Pod(name, "uid", "", revision, by, "Running", "", True, False, absent, ())


def selecting(selector: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"selector": selector}}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("deployment/web", "/apis/apps/v1/namespaces/dev/deployments/web"),
        ("Deployments/web", "/apis/apps/v1/namespaces/dev/deployments/web"),
        ("deploy/web", "/apis/apps/v1/namespaces/dev/deployments/web"),
        ("deployment.apps/web", "/apis/apps/v1/namespaces/dev/deployments/web"),
        ("sts/db", "/apis/apps/v1/namespaces/dev/statefulsets/db"),
        ("daemonset/log", "/apis/apps/v1/namespaces/dev/daemonsets/log"),
        ("rollout/api", "/apis/argoproj.io/v1alpha1/namespaces/dev/rollouts/api"),
        ("pod/one", "/api/v1/namespaces/dev/pods/one"),
    ],
)
def test_a_workload_is_named_as_kubectl_names_it(text: str, path: str) -> None:
    assert workloads.parse(text).path("dev") == path


@pytest.mark.parametrize("text", ["", "web", "job/x", "deployment/", "/web"])
def test_what_is_no_workload_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="is no workload"):
        workloads.parse(text)


def test_a_deployments_pods_belong_to_its_replica_sets() -> None:
    wanted = workloads.of_workload(workloads.parse("deployment/web"), selecting({"matchLabels": {"b": "2", "a": "1"}}))
    assert wanted.label_selector == "a=1,b=2"
    assert wanted.has(pod(owner=("ReplicaSet", "web-5d")))
    assert not wanted.has(pod(owner=("ReplicaSet", "web-api-5d")))
    assert not wanted.has(pod(owner=("ReplicaSet", "web-77")))
    assert not wanted.has(pod(owner=("Deployment", "web")))
    assert not wanted.has(pod())


def test_other_workloads_own_their_pods() -> None:
    wanted = workloads.of_workload(workloads.parse("statefulset/db"), selecting({"matchLabels": {"a": "1"}}))
    assert wanted.has(pod(owner=("StatefulSet", "db")))
    assert not wanted.has(pod(owner=("StatefulSet", "db2")))
    assert not wanted.has(pod(owner=("DaemonSet", "db")))


def test_a_pod_is_itself() -> None:
    wanted = workloads.of_workload(workloads.parse("pod/one"), {})
    assert (wanted.label_selector, wanted.field_selector) == ("", "metadata.name=one")
    assert wanted.has(pod("one"))
    assert not wanted.has(pod("other"))


def test_labels_take_whatever_has_them() -> None:
    wanted = workloads.of_labels({"b": "2", "a": "1"})
    assert wanted.label_selector == "a=1,b=2"
    assert wanted.has(pod())


def test_every_operator_of_a_selector() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["web", "api"]},
        {"key": "old", "operator": "NotIn", "values": ["yes"]},
        {"key": "app", "operator": "Exists"},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    assert workloads.selector_text({"matchLabels": {"x": "y"}, "matchExpressions": expressions}) == (
        "x=y,tier in (web,api),old notin (yes),app,!canary"
    )


@pytest.mark.parametrize("raw", [{}, {"spec": {}}, selecting({}), {"spec": None}])
def test_a_workload_that_selects_nothing_does_not_select_everything(raw: dict[str, Any]) -> None:
    with pytest.raises(errors.DevloopError, match="no selector"):
        workloads.of_workload(workloads.parse("deployment/web"), raw)
