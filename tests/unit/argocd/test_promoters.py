"""Tools that promote and update: known by their marks only, and what they do to a switch."""

from __future__ import annotations

from typing import Any

import pytest

from devloop.argocd import application, findings, promoters
from devloop.argocd.findings import Answer, Effect
from tests.unit.argocd import samples


def app(
    annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None, **spec: Any
) -> application.Application:
    raw = samples.raw(**spec)
    raw["metadata"] |= {"annotations": annotations or {}, "labels": labels or {}}
    return application.read(raw)


PLAIN = app()
UPDATER = "argocd-image-updater.argoproj.io/"


def test_nobody_owns_what_has_no_mark() -> None:
    around = findings.Surroundings()
    found = [
        *promoters.kargo(PLAIN, True),
        *promoters.image_updater(PLAIN, around, True),
        *promoters.telefonistka(PLAIN, True),
        *promoters.codefresh(PLAIN),
        *promoters.hydrator(PLAIN, True),
        *promoters.promoter(PLAIN, around, True),
    ]
    assert found == []


def test_kargo_writes_revisions_and_syncs_in_any_case() -> None:
    one = app({"kargo.akuity.io/authorized-stage": "shop:dev"})
    (moved,) = promoters.kargo(one, True)
    assert (moved.name, moved.answer, moved.effect) == ("shop:dev", Answer.REFUSE, Effect.REVERTS)
    assert "shop:dev" in moved.evidence
    (paused,) = promoters.kargo(one, False)
    assert paused.answer is Answer.WARN


@pytest.mark.parametrize(
    ("more", "effect", "answer", "why"),
    [
        ({}, Effect.NOTHING, Answer.FINE, "no revision"),
        ({"write-back-method": "argocd"}, Effect.NOTHING, Answer.FINE, "no revision"),
        ({"write-back-method": "git"}, Effect.COMMITS, Answer.WARN, "to yours"),
        ({"write-back-method": "git:secret:argocd/x", "git-branch": "dev"}, Effect.COMMITS, Answer.WARN, "branch dev"),
        # BASE:NEW makes a branch of its own out of the one that is followed
        ({"write-back-method": "git", "git-branch": "main:new"}, Effect.COMMITS, Answer.WARN, "to yours"),
    ],
)
def test_image_updater_by_annotation(more: dict[str, str], effect: Effect, answer: Answer, why: str) -> None:
    one = app({UPDATER + "image-list": "web", **{UPDATER + key: value for key, value in more.items()}})
    (found,) = promoters.image_updater(one, findings.Surroundings(), True)
    assert (found.effect, found.answer, why in found.why) == (effect, answer, True)
    (paused,) = promoters.image_updater(one, findings.Surroundings(), False)
    assert paused.answer is Answer.FINE


def updater(rule: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "images", "namespace": "argocd"}, "spec": {**spec, "applicationRefs": [rule]}}


GIT = {"method": "git"}


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (updater({"namePattern": "sh*"}), True),
        (updater({"namePattern": "other*"}), False),
        (updater({"namePattern": "*"}, namespace="elsewhere"), False),
        (updater({"namePattern": "*"}, namespace="argocd"), True),
        (updater({"namePattern": "*", "labelSelectors": {"matchLabels": {"team": "a"}}}), True),
        (updater({"namePattern": "*", "labelSelectors": {"matchLabels": {"team": "b"}}}), False),
        (updater({"namePattern": "*", "useAnnotations": True}), False),
        ({"metadata": {"namespace": "argocd"}, "spec": {"applicationRefs": "all"}}, False),
    ],
)
def test_image_updater_by_its_objects(found: dict[str, Any], seen: bool) -> None:
    around = findings.Surroundings(updaters=[found])
    assert bool([*promoters.image_updater(app(labels={"team": "a"}), around, True)]) is seen


@pytest.mark.parametrize(
    ("operator", "values", "seen"),
    [
        ("In", ["a"], True),
        ("In", ["b"], False),
        ("NotIn", ["a"], False),
        ("NotIn", ["b"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_image_updater_by_expressions(operator: str, values: list[str], seen: bool) -> None:
    expression = {"key": "team", "operator": operator, "values": values}
    found = updater({"namePattern": "*", "labelSelectors": {"matchExpressions": [expression]}})
    around = findings.Surroundings(updaters=[found])
    assert bool([*promoters.image_updater(app(labels={"team": "a"}), around, True)]) is seen


def test_the_settings_of_a_rule_go_before_those_of_the_object() -> None:
    both = updater({"namePattern": "*", "writeBackConfig": {"method": "argocd"}}, writeBackConfig=GIT)
    (found,) = promoters.image_updater(PLAIN, findings.Surroundings(updaters=[both]), True)
    assert found.effect is Effect.NOTHING
    (found,) = promoters.image_updater(
        PLAIN, findings.Surroundings(updaters=[updater({"namePattern": "*"}, writeBackConfig=GIT)]), True
    )
    assert (found.effect, found.name) == (Effect.COMMITS, "argocd/images")


def test_telefonistka_points_back_on_merge() -> None:
    one = app(labels={"telefonistka.io/component-path-sha1": "1234"})
    (found,) = promoters.telefonistka(one, True)
    assert (found.answer, found.effect) == (Answer.WARN, Effect.REVERTS)
    (paused,) = promoters.telefonistka(one, False)
    assert (paused.answer, paused.effect) == (Answer.FINE, Effect.NOTHING)


def test_codefresh_commits() -> None:
    (found,) = promoters.codefresh(app({"codefresh.io/product": "shop"}))
    assert (found.name, found.answer, found.effect) == ("shop", Answer.WARN, Effect.COMMITS)


def hydrated(**more: Any) -> application.Application:
    dry = {"repoURL": "r", "path": "p", "targetRevision": "main"}
    return app(source=None, sourceHydrator={"drySource": dry, "syncSource": {"targetBranch": "env/dev"}, **more})


def test_a_hydrator_commits_what_it_renders() -> None:
    (found,) = promoters.hydrator(hydrated(), True)
    assert (found.effect, "the branch env/dev" in found.why) == (Effect.COMMITS, True)
    (staged,) = promoters.hydrator(hydrated(hydrateTo={"targetBranch": "env/dev-next"}), True)
    assert "env/dev-next, and comes to env/dev when" in staged.why
    (paused,) = promoters.hydrator(hydrated(), False)
    assert paused.answer is Answer.FINE


@pytest.mark.parametrize(
    ("one", "seen"),
    [(hydrated(), True), (app(source={"repoURL": "r", "targetRevision": "env/dev"}), True), (PLAIN, False)],
)
def test_a_promotion_strategy_by_its_branches(one: application.Application, seen: bool) -> None:
    strategy = {
        "metadata": {"name": "shop", "namespace": "promoter"},
        "spec": {"environments": [{"branch": "env/dev"}, {"branch": "env/prod"}, {}]},
    }
    found = [*promoters.promoter(one, findings.Surroundings(promotions=[strategy]), True)]
    assert [each.name for each in found] == (["promoter/shop"] if seen else [])
    assert all(each.answer is Answer.WARN for each in found)
    broken = findings.Surroundings(promotions=[{"spec": {"environments": 7}}])
    assert [*promoters.promoter(one, broken, True)] == []
