"""Owners that write some of an Application, or the branch that it follows: tools that promote and update.

Pure. Each is known by a mark that was looked up in its own source:

- Kargo: annotation `kargo.akuity.io/authorized-stage`, and what the step `argocd-update` writes
  (akuity/kargo, pkg/promotion/runner/builtin/argocd_updater.go);
- Argo CD Image Updater: annotations `argocd-image-updater.argoproj.io/…`, and ImageUpdater objects that match
  (argoproj-labs/argocd-image-updater, api/v1alpha1/imageupdater_types.go);
- Telefonistka: label `telefonistka.io/component-path-sha1` (commercetools/telefonistka, internal/pkg/argocd); what it
  finds by the annotation `manifest-generate-paths` instead cannot be told from what it does not;
- GitOps Promoter: PromotionStrategy objects with the branch (argoproj-labs/gitops-promoter, api/v1alpha1);
- Codefresh: annotation `codefresh.io/product` (codefresh.io/docs, products).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Final

from devloop.argocd import application, findings
from devloop.argocd.findings import Answer, Effect, Kind

_KARGO: Final = "kargo.akuity.io/authorized-stage"
_UPDATER: Final = "argocd-image-updater.argoproj.io/"
_IMAGES: Final = _UPDATER + "image-list"
_METHOD: Final = _UPDATER + "write-back-method"
_BRANCH: Final = _UPDATER + "git-branch"
_TELEFONISTKA: Final = "telefonistka.io/component-path-sha1"
_CODEFRESH: Final = "codefresh.io/product"


def kargo(one: application.Application, changes_revision: bool) -> Iterator[findings.Finding]:
    """Yield what a Kargo Stage means that may write an Application."""
    stage = one.annotations.get(_KARGO, "")
    if not stage:
        return
    evidence = f"its annotation {_KARGO} is {stage}"
    if not changes_revision:
        why = "its promotions sync the Application themselves"
        yield findings.Finding(Kind.KARGO, stage, evidence, Effect.NOTHING, Answer.WARN, why)
        return
    why = "the next promotion writes the sources and syncs; until then the Stage compares with another revision"
    yield findings.Finding(Kind.KARGO, stage, evidence, Effect.REVERTS, Answer.REFUSE, why)


def image_updater(
    one: application.Application, around: findings.Surroundings, changes_revision: bool
) -> Iterator[findings.Finding]:
    """Yield what Argo CD Image Updater means, by annotation and by its objects."""
    if one.annotations.get(_IMAGES):
        method, branch = one.annotations.get(_METHOD, ""), one.annotations.get(_BRANCH, "")
        yield _updating(one.name, f"its annotation {_IMAGES}", method, branch, changes_revision)
    for raw in around.updaters:
        spec, metadata = application.mapping(raw, "spec"), application.mapping(raw, "metadata")
        own = application.text(metadata, "namespace")
        if one.reference.namespace != (application.text(spec, "namespace") or own):
            continue
        name = f"{own}/{application.text(metadata, 'name')}"
        for each in application.mappings(spec, "applicationRefs"):
            # It takes its settings from the annotations then, which were told already.
            if not each.get("useAnnotations") and _is_selected(each, one):
                written = application.mapping(each, "writeBackConfig") or application.mapping(spec, "writeBackConfig")
                method = application.text(written, "method")
                branch = application.text(application.mapping(written, "gitConfig"), "branch")
                evidence = f"the ImageUpdater {name} selects {application.text(each, 'namePattern')}"
                yield _updating(name, evidence, method, branch, changes_revision)
                break


def _updating(name: str, evidence: str, method: str, branch: str, changes_revision: bool) -> findings.Finding:
    if not method.startswith("git"):
        why = "it writes images into the Application, and no revision"
        return findings.Finding(Kind.IMAGE_UPDATER, name, evidence, why=why)
    if branch and ":" not in branch:
        why = f"it commits new images to the branch {branch}; an Application that follows another one does not see them"
        answer = Answer.WARN if changes_revision else Answer.FINE
        return findings.Finding(Kind.IMAGE_UPDATER, name, evidence, Effect.COMMITS, answer, why)
    why = "it commits new images to the branch that the Application follows: after a switch, to yours"
    answer = Answer.WARN if changes_revision else Answer.FINE
    return findings.Finding(Kind.IMAGE_UPDATER, name, evidence, Effect.COMMITS, answer, why)


def _is_selected(rule: application.Raw, one: application.Application) -> bool:
    if not fnmatch.fnmatchcase(one.name, application.text(rule, "namePattern")):
        return False
    selector = application.mapping(rule, "labelSelectors")
    wanted: Mapping[str, object] = application.mapping(selector, "matchLabels")
    if any(one.labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, one.labels) for each in application.mappings(selector, "matchExpressions"))


def _holds(expression: application.Raw, labels: Mapping[str, str]) -> bool:
    key, values = application.text(expression, "key"), application.items(expression, "values")
    match application.text(expression, "operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def telefonistka(one: application.Application, changes_revision: bool) -> Iterator[findings.Finding]:
    """Yield what Telefonistka means, which sets revisions from pull requests."""
    if _TELEFONISTKA not in one.labels:
        return
    why = "whoever ticks its box in a pull request points the Application to that branch, and its merge points it back"
    answer = Answer.WARN if changes_revision else Answer.FINE
    effect = Effect.REVERTS if changes_revision else Effect.NOTHING
    yield findings.Finding(Kind.TELEFONISTKA, one.name, f"its label {_TELEFONISTKA}", effect, answer, why)


def codefresh(one: application.Application) -> Iterator[findings.Finding]:
    """Yield what Codefresh means, which promotes by commits and pull requests."""
    product = one.annotations.get(_CODEFRESH, "")
    if product:
        why = "promotions of its product commit to the branch that is promoted to; the Application itself is left alone"
        yield findings.Finding(
            Kind.CODEFRESH, product, f"its annotation {_CODEFRESH}", Effect.COMMITS, Answer.WARN, why
        )


def hydrator(one: application.Application, changes_revision: bool) -> Iterator[findings.Finding]:
    """Yield what Argo CD's own source hydrator means, which renders into branches."""
    if not one.hydrated:
        return
    spec = application.mapping(one.raw, "spec", "sourceHydrator")
    target = application.text(application.mapping(spec, "syncSource"), "targetBranch")
    staging = application.text(application.mapping(spec, "hydrateTo"), "targetBranch")
    why = f"what is rendered is committed to the branch {staging or target}"
    if staging:
        why += f", and comes to {target} when somebody, or a promoter, merges it"
    answer = Answer.WARN if changes_revision else Answer.FINE
    yield findings.Finding(Kind.HYDRATOR, target, "spec.sourceHydrator", Effect.COMMITS, answer, why)


def promoter(
    one: application.Application, around: findings.Surroundings, changes_revision: bool
) -> Iterator[findings.Finding]:
    """Yield what a PromotionStrategy means that has a branch of an Application among its environments."""
    target = application.text(application.mapping(one.raw, "spec", "sourceHydrator", "syncSource"), "targetBranch")
    followed = {target} if one.hydrated else {source.revision for source in one.sources if source.is_git}
    for raw in around.promotions:
        metadata, spec = application.mapping(raw, "metadata"), application.mapping(raw, "spec")
        branches = {application.text(each, "branch") for each in application.mappings(spec, "environments")}
        shared = sorted((followed & branches) - {""})
        if not shared:
            continue
        name = f"{application.text(metadata, 'namespace')}/{application.text(metadata, 'name')}"
        evidence = f"the PromotionStrategy {name} has the branch {shared[0]}"
        why = "it opens and merges pull requests into that branch, and waits for the health of what follows it"
        answer = Answer.WARN if changes_revision else Answer.FINE
        effect = Effect.BLOCKS if changes_revision else Effect.NOTHING
        yield findings.Finding(Kind.PROMOTER, name, evidence, effect, answer, why)
