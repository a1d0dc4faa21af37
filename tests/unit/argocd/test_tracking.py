"""Which Application an object belongs to, by what is written on it."""

from __future__ import annotations

from typing import Any

import pytest

from devloop.argocd import application, tracking
from tests.unit.argocd import samples

Mark = tracking.Mark
ANNOTATION, LABEL = tracking.Method.ANNOTATION, tracking.Method.LABEL


def tracked(identity: str) -> dict[str, Any]:
    return {"annotations": {tracking.TRACKING_ID: identity}}


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ("shop:apps/Deployment:ann/web", [Mark("shop", "", ANNOTATION)]),
        ("teams_shop:apps/Deployment:ann/web", [Mark("shop", "teams", ANNOTATION)]),
        # copied from another object: not its own
        ("shop:apps/Deployment:ann/other", []),
        ("shop:apps/Deployment:bob/web", []),
        ("shop:apps/StatefulSet:ann/web", []),
        ("shop", []),
        (":apps/Deployment:ann/web", []),
    ],
)
def test_the_annotation_counts_on_its_own_object_alone(identity: str, expected: list[Mark]) -> None:
    assert list(tracking.marks(samples.deployment(**tracked(identity)))) == expected


def test_the_core_group_is_empty() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "ann"}}
    assert tracking.identity(service) == "/Service:ann/web"


def test_the_label_comes_second_and_may_have_another_name() -> None:
    both = samples.deployment(
        labels={tracking.INSTANCE: "chart", "argo/instance": "shop"}, **tracked("shop:apps/Deployment:ann/web")
    )
    assert list(tracking.marks(both)) == [Mark("shop", "", ANNOTATION), Mark("chart", "", LABEL)]
    assert tracking.marks(both, "argo/instance")[-1] == Mark("shop", "", LABEL)


def test_a_label_is_proved_by_the_applications_own_list() -> None:
    one = application.read(samples.raw())
    assert tracking.lists(one, samples.deployment())
    assert not tracking.lists(one, samples.deployment("worker"))
    assert not tracking.lists(one, samples.deployment(namespace="bob"))
