"""Rules that leave fields alone: understood as Argo CD does, and where they are not, that is said."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from devloop.argocd import application, ignoring
from devloop.argocd.ignoring import Covered
from tests.unit.argocd import samples

SHOP = application.read(samples.raw())
REVISION = "/spec/source/targetRevision"
SECOND = "/spec/sources/1/targetRevision"


@pytest.mark.parametrize(
    ("rule", "field", "covered"),
    [
        ({"jsonPointers": [REVISION]}, REVISION, Covered.YES),
        ({"jsonPointers": ["/spec/source"]}, REVISION, Covered.YES),
        ({"jsonPointers": ["/spec/source/targetRevision/x"]}, REVISION, Covered.NO),
        ({"jsonPointers": ["/spec/sources/0/targetRevision"]}, SECOND, Covered.NO),
        ({"jsonPointers": ["/spec/source/target"]}, REVISION, Covered.NO),
        ({"jsonPointers": ["/metadata/annotations/a~1b"]}, "/metadata/annotations/a~1b", Covered.YES),
        ({"jqPathExpressions": [".spec.source.targetRevision"]}, REVISION, Covered.YES),
        ({"jqPathExpressions": [".spec.source.targetRevision?"]}, REVISION, Covered.YES),
        ({"jqPathExpressions": ['.spec["source"]']}, REVISION, Covered.YES),
        ({"jqPathExpressions": [".spec.sources[].targetRevision"]}, SECOND, Covered.YES),
        ({"jqPathExpressions": [".spec.sources[1].targetRevision"]}, SECOND, Covered.YES),
        ({"jqPathExpressions": [".spec.sources[0].targetRevision"]}, SECOND, Covered.NO),
        ({"jqPathExpressions": ['.spec.sources[] | select(.ref=="v").targetRevision']}, SECOND, Covered.PERHAPS),
        ({"jqPathExpressions": [".spec.syncPolicy"]}, REVISION, Covered.NO),
        ({"name": "shop", "jsonPointers": [REVISION]}, REVISION, Covered.YES),
        ({"name": "other", "jsonPointers": [REVISION]}, REVISION, Covered.NO),
        ({"jsonPointers": "all", "jqPathExpressions": [7]}, REVISION, Covered.PERHAPS),
        ({}, REVISION, Covered.NO),
    ],
)
def test_rules_of_an_application_set(rule: dict[str, Any], field: str, covered: Covered) -> None:
    assert ignoring.of_set([rule], SHOP, field) is covered


@pytest.mark.parametrize(
    ("rule", "covered"),
    [
        ({"group": "argoproj.io", "kind": "Application"}, Covered.YES),
        ({"group": "*", "kind": "Application"}, Covered.YES),
        ({"group": "argoproj.io", "kind": "*", "name": "shop", "namespace": "argocd"}, Covered.YES),
        ({"group": "apps", "kind": "Application"}, Covered.NO),
        ({"kind": "Application"}, Covered.NO),
        ({"group": "argoproj.io", "kind": "Application", "namespace": "elsewhere"}, Covered.NO),
    ],
)
def test_rules_of_a_parent(rule: dict[str, str], covered: Covered) -> None:
    assert ignoring.of_parent([{**rule, "jsonPointers": [REVISION]}], SHOP, REVISION) is covered


def test_a_parent_that_trusts_our_field_manager() -> None:
    rule = {"group": "argoproj.io", "kind": "Application", "managedFieldsManagers": ["devloop"]}
    assert ignoring.of_parent([rule], SHOP, REVISION) is Covered.YES
    assert ignoring.of_parent([{**rule, "managedFieldsManagers": ["x"]}], SHOP, REVISION) is Covered.NO


def test_what_ops_add_to_a_set_keeps_what_is_there() -> None:
    before = {"jsonPointers": ["/spec/info"]}
    found = {
        "metadata": {"name": "devs", "namespace": "gitops"},
        "spec": {"ignoreApplicationDifferences": [before], "preservedFields": {"annotations": ["mine"]}},
    }
    assert yaml.safe_load(ignoring.set_rules(found, SHOP, [REVISION], ["devloop.dev/lease"])) == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "devs", "namespace": "gitops"},
        "spec": {
            "ignoreApplicationDifferences": [before, {"name": "shop", "jsonPointers": [REVISION]}],
            "preservedFields": {"annotations": ["mine", "devloop.dev/lease"]},
        },
    }


def test_what_ops_add_to_a_parent_keeps_what_is_there() -> None:
    parent = application.read(samples.raw("root", "gitops", ignoreDifferences=[{"kind": "Secret"}]))
    made = yaml.safe_load(ignoring.parent_rules(parent, SHOP, [REVISION]))
    assert made["metadata"] == {"name": "root", "namespace": "gitops"}
    assert made["spec"]["ignoreDifferences"] == [
        {"kind": "Secret"},
        {
            "group": "argoproj.io",
            "kind": "Application",
            "name": "shop",
            "namespace": "argocd",
            "jsonPointers": [REVISION],
        },
    ]
    assert made["spec"]["syncPolicy"]["syncOptions"] == ["CreateNamespace=true", "RespectIgnoreDifferences=true"]


def test_names_that_look_like_numbers_stay_text() -> None:
    parent = application.read(samples.raw("123"))
    assert yaml.safe_load(ignoring.parent_rules(parent, SHOP, []))["metadata"]["name"] == "123"
