"""What Argo CD writes of an Application is read as it is meant, and nonsense in it does no harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.argocd import application
from tests.unit.argocd import samples


def test_a_plain_one() -> None:
    one = application.read(samples.raw())
    assert str(one.reference) == "argocd/shop"
    assert one.project == "team"
    assert [(each.repo, each.path, each.revision, each.generator) for each in one.sources] == [
        ("https://git.example/templates.git", "envs/ann", "main", None)
    ]
    assert (one.sync, one.health, one.revisions) == ("Synced", "Healthy", ("a" * 40,))
    assert one.automated == application.Automated(prune=True, self_heal=True)
    assert one.options == {"CreateNamespace=true"}
    assert [str(each) for each in one.resources] == ["Deployment/web", "Service/web"]
    assert one.operation is not None
    assert (one.operation.by, one.operation.phase) == ("auto-sync", "Succeeded")
    assert not one.is_running
    assert one.images == ("registry.example/web:1.2",)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, None),
        ({"automated": None}, None),
        ({"automated": {}}, application.Automated()),
        ({"automated": {"enabled": True, "selfHeal": True}}, application.Automated(self_heal=True)),
        ({"automated": {"enabled": False, "selfHeal": True}}, None),
    ],
)
def test_auto_sync(policy: dict[str, Any], expected: application.Automated | None) -> None:
    assert application.read(samples.raw(syncPolicy=policy)).automated == expected


def test_several_sources_keep_their_order_and_their_revisions() -> None:
    sources = [
        {"repoURL": "https://charts.example", "chart": "redis", "targetRevision": "18.*"},
        {"repoURL": "https://git.example/values.git", "ref": "values"},
        {"repoURL": "https://git.example/app.git", "path": ".", "kustomize": {"images": ["a=b"]}, "name": "app"},
    ]
    raw = samples.raw(sources=sources)
    raw["status"]["sync"] = {"status": "Synced", "revisions": ["18.4.0", "b" * 40, "c" * 40]}
    one = application.read(raw)
    assert one.is_multi
    assert [each.is_git for each in one.sources] == [False, True, True]
    assert [each.generator for each in one.sources] == [
        application.Generator.HELM,
        None,
        application.Generator.KUSTOMIZE,
    ]
    assert one.sources[1].ref == "values"
    assert one.revisions == ("18.4.0", "b" * 40, "c" * 40)


def test_of_a_hydrated_one_the_dry_source_counts() -> None:
    dry = {"repoURL": "https://git.example/dry.git", "path": "envs/ann", "targetRevision": "HEAD"}
    raw = samples.raw(sourceHydrator={"drySource": dry, "syncSource": {"targetBranch": "env/ann", "path": "out"}})
    one = application.read(raw)
    assert one.hydrated and not one.is_multi
    assert [each.repo for each in one.sources] == ["https://git.example/dry.git"]


def test_an_operation_runs_while_it_is_asked_for_or_has_no_end() -> None:
    asked = samples.raw()
    asked["operation"] = {"sync": {"revision": "main"}}
    assert application.read(asked).is_running
    running = samples.raw()
    running["status"]["operationState"] = {
        "phase": "Running",
        "startedAt": "2026-11-20T10:00:00Z",
        "operation": {"initiatedBy": {"username": "bob"}, "sync": {"revisions": ["x", "y"]}},
    }
    one = application.read(running)
    assert one.is_running and one.operation is not None
    assert (one.operation.by, one.operation.revisions) == ("bob", ("x", "y"))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": json,
            "operation": json,
            "spec": json
            | st.fixed_dictionaries({}, optional=dict.fromkeys(("source", "sources", "syncPolicy", "project"), json)),
            "status": json
            | st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("sync", "health", "resources", "operationState", "conditions"), json)
            ),
        },
    )
)
def test_nothing_that_is_sent_breaks_it(raw: dict[str, Any]) -> None:
    one = application.read(raw)
    assert one.sync and one.health and one.project
    assert all(isinstance(each.repo, str) for each in one.sources)


def test_what_argo_cd_found_out_of_the_sources() -> None:
    raw = samples.raw(sources=[{"repoURL": "a", "path": "p"}, {"repoURL": "b", "ref": "v"}, {"repoURL": "c"}])
    raw["status"] |= {"sourceTypes": ["Kustomize", "", "Strange"], "controllerNamespace": "gitops"}
    one = application.read(raw)
    assert [each.generator for each in one.sources] == [application.Generator.KUSTOMIZE, None, None]
    assert one.home == "gitops"
    single = samples.raw()
    single["status"]["sourceType"] = "Helm"
    assert application.read(single).sources[0].generator is application.Generator.HELM
