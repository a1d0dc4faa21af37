"""What an ApplicationSet and an app-of-apps do to a change, and what makes it stay."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from devloop.argocd import application, findings, makers, owners
from devloop.argocd.findings import Answer, Effect
from tests.unit.argocd import samples
from tests.unit.argocd.test_index import app, child

REVISION = "/spec/source/targetRevision"
LEASE = "devloop.dev/lease"
CHANGE = findings.Change((REVISION, owners.POLICY))


def generated(**spec: Any) -> application.Application:
    raw = samples.raw(**spec)
    raw["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": "devs", "controller": True}]
    return application.read(raw)


def maker(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "devs", "namespace": "argocd"}, "spec": spec}


def judged(found: dict[str, Any], change: findings.Change = CHANGE, **spec: Any) -> findings.Finding:
    (finding,) = makers.of_set(generated(**spec), findings.Surroundings(sets=[found]), change)
    return finding


def test_what_nobody_generates_has_no_set() -> None:
    assert list(makers.of_set(application.read(samples.raw()), findings.Surroundings(), CHANGE)) == []


def test_a_set_reverts_with_the_yaml_that_ends_it() -> None:
    found = judged(maker())
    assert (found.effect, found.answer, found.name) == (Effect.REVERTS, Answer.REFUSE, "argocd/devs")
    assert "spec.source.targetRevision and spec.syncPolicy.automated" in found.why
    assert found.where == "ApplicationSet argocd/devs"
    made = yaml.safe_load(found.fix)
    assert made["spec"]["ignoreApplicationDifferences"][0]["jsonPointers"] == [REVISION, owners.POLICY]


def test_the_yaml_has_what_is_missing_only() -> None:
    found = judged(maker(ignoreApplicationDifferences=[{"jsonPointers": [REVISION]}]))
    assert yaml.safe_load(found.fix)["spec"]["ignoreApplicationDifferences"][-1]["jsonPointers"] == [owners.POLICY]


def test_a_set_with_that_yaml_leaves_it_alone() -> None:
    told = judged(maker(**yaml.safe_load(judged(maker()).fix)["spec"]))
    assert (told.effect, told.answer, told.fix) == (Effect.NOTHING, Answer.FINE, "")


def test_an_annotation_that_would_be_removed_counts() -> None:
    rules = [{"jsonPointers": ["/spec"]}]
    found = judged(maker(ignoreApplicationDifferences=rules), findings.Change((REVISION,), (LEASE,)))
    assert (found.answer, LEASE in found.why) == (Answer.WARN, True)
    assert yaml.safe_load(found.fix)["spec"] == {"preservedFields": {"annotations": [LEASE]}}
    kept = maker(ignoreApplicationDifferences=rules, preservedFields={"annotations": [LEASE]})
    assert judged(kept, findings.Change((REVISION,), (LEASE,))).answer is Answer.FINE


@pytest.mark.parametrize(
    ("policy", "answer"),
    [
        ("create-only", Answer.FINE),
        ("create-delete", Answer.FINE),
        ("create-update", Answer.REFUSE),
        ("sync", Answer.REFUSE),
    ],
)
def test_a_policy_that_updates_nothing_is_enough(policy: str, answer: Answer) -> None:
    assert judged(maker(syncPolicy={"applicationsSync": policy})).answer is answer


def test_a_rule_that_is_not_understood_is_a_warning() -> None:
    rules = [{"jqPathExpressions": ['.spec | select(.project=="x")']}]
    assert judged(maker(ignoreApplicationDifferences=rules)).answer is Answer.WARN


def test_lists_of_sources_are_written_whole() -> None:
    change = findings.Change(("/spec/sources/0/targetRevision",))
    rules = [{"jsonPointers": ["/spec/sources/0/targetRevision"]}]
    found = judged(maker(ignoreApplicationDifferences=rules), change, sources=[{"repoURL": "r"}])
    assert (found.answer, "the list of sources whole" in found.why) == (Answer.WARN, True)


def test_a_progressive_sync_is_told_with_its_step() -> None:
    strategy = {"type": "RollingSync", "rollingSync": {"steps": [{}, {}, {}]}}
    found = maker(strategy=strategy, ignoreApplicationDifferences=[{"jsonPointers": ["/spec"]}])
    assert (judged(found).answer, judged(found).state) == (Answer.WARN, "progressive sync of 3 steps")
    found["status"] = {"applicationStatus": [{"application": "shop", "step": "2", "status": "Waiting", "message": "x"}]}
    assert judged(found).state == "progressive sync: step 2 of 3, Waiting: x"
    assert makers.rollout(maker(), "shop") == ""


def test_a_set_that_may_not_be_read_is_a_warning() -> None:
    (found,) = makers.of_set(generated(), findings.Surroundings(sets=[{"metadata": 7}]), CHANGE)
    assert (found.answer, found.fix) == (Answer.WARN, "")
    assert "could not be read" in found.why


def parent(**changes: Any) -> application.Application:
    raw = samples.raw("root")
    raw["status"]["resources"] = [child("shop")]
    raw["spec"].update(changes)
    return application.read(raw)


def under(*parents: application.Application) -> findings.Finding:
    around = findings.Surroundings(applications=(app("shop"), *parents))
    (found,) = makers.of_parent(app("shop"), around, CHANGE)
    return found


def test_what_nobody_renders_has_no_parent() -> None:
    around = findings.Surroundings(applications=(app("shop"), app("other")))
    assert list(makers.of_parent(app("shop"), around, CHANGE)) == []


@pytest.mark.parametrize(
    ("policy", "answer", "why"),
    [
        ({"automated": {"selfHeal": True}}, Answer.REFUSE, "heals itself"),
        ({"automated": {}}, Answer.WARN, "the next commit"),
        ({}, Answer.WARN, "whoever syncs it"),
    ],
)
def test_a_parent_puts_it_back(policy: dict[str, Any], answer: Answer, why: str) -> None:
    found = under(parent(syncPolicy=policy))
    assert (found.effect, found.answer, why in found.why) == (Effect.REVERTS, answer, True)
    assert found.name == "argocd/root"


def test_a_parent_with_the_yaml_leaves_it_alone() -> None:
    made = yaml.safe_load(under(parent()).fix)["spec"]
    found = under(parent(**made))
    assert (found.answer, found.fix) == (Answer.FINE, "")


def test_a_parent_that_ignores_and_still_writes() -> None:
    rule = {"group": "argoproj.io", "kind": "Application", "jsonPointers": ["/spec"]}
    found = under(parent(ignoreDifferences=[rule]))
    assert (found.answer, "its next sync writes them" in found.why) == (Answer.WARN, True)
    assert list(yaml.safe_load(found.fix)["spec"]) == ["syncPolicy"]


def test_a_parents_rule_that_is_not_understood_is_a_warning() -> None:
    rule = {"group": "argoproj.io", "kind": "Application", "jqPathExpressions": [".spec | keys"]}
    assert under(parent(ignoreDifferences=[rule])).answer is Answer.WARN
