"""Owners that write the whole Application again: an ApplicationSet, and the app-of-apps that renders it.

Pure. What they do was read in the source of Argo CD 3.6: `applicationset/controllers/applicationset_controller.go`
(createOrUpdateInCluster), `applicationset/utils/policy.go`, `applicationset/progressivesync`, and of the parent
`controller/sync.go` (RespectIgnoreDifferences).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from devloop.argocd import application, environment, findings, ignoring, index
from devloop.argocd.findings import Answer, Effect, Kind

# What an ApplicationSet may do to Applications that are there; `applicationsSync` names one.
_DEFAULT: Final = "sync"
_UPDATING: Final = frozenset({"sync", "create-update"})
_ROLLING: Final = "RollingSync"


def of_set(
    one: application.Application, around: findings.Surroundings, change: findings.Change
) -> Iterator[findings.Finding]:
    """Yield what the ApplicationSet means that generates an Application, if one does."""
    name = environment.maker_of(one)
    if not name:
        return
    # A controller and what it owns are in one namespace (Kubernetes, owner references).
    namespace = one.reference.namespace
    evidence = f"its ownerReference names the ApplicationSet {name}"
    found = next((raw for raw in around.sets if _is(raw, name, namespace)), None)
    full = f"{namespace}/{name}"
    if found is None:
        why = "it writes the Application again from its template, unless it is told not to; its rules could not be read"
        yield findings.Finding(Kind.APPLICATION_SET, full, evidence, Effect.REVERTS, Answer.WARN, why)
        return
    yield _judged(one, found, full, evidence, change)


def _judged(
    one: application.Application, found: application.Raw, full: str, evidence: str, change: findings.Change
) -> findings.Finding:
    policy = application.text(application.mapping(found, "spec", "syncPolicy"), "applicationsSync") or _DEFAULT
    state, rolling = rollout(found, one.name), _is_rolling(found)
    rules = application.mappings(application.mapping(found, "spec"), "ignoreApplicationDifferences")
    covered = {field: ignoring.of_set(rules, one, field) for field in change.fields}
    open_fields = [field for field in change.fields if covered[field] is not ignoring.Covered.YES]
    kept = application.items(application.mapping(found, "spec", "preservedFields"), "annotations")
    lost = [key for key in change.annotations if key not in kept]
    effect, answer, why = Effect.NOTHING, Answer.FINE, ""
    if policy not in _UPDATING:
        why = f"its policy is {policy}, so it leaves Applications as they are"
        open_fields, lost = [], []
    elif not open_fields and not lost:
        why = "it is told to leave these fields alone"
        if any(field.startswith("/spec/sources/") for field in change.fields):
            answer = Answer.WARN
            why += "; but it writes the list of sources whole, so a change of its template there reverts them"
    elif all(covered[field] is ignoring.Covered.PERHAPS for field in open_fields) and not lost:
        effect, answer = Effect.REVERTS, Answer.WARN
        why = (
            "it has jq rules that devloop does not understand; if they do not cover the change, it is reverted at once"
        )
    else:
        # Without the annotation the change stays; only whoever looks at the Application is not told whose it is.
        effect, answer = Effect.REVERTS, Answer.REFUSE if open_fields else Answer.WARN
        what = _listed(open_fields, lost)
        why = f"it writes the Application again from its template, and with that {what}, within seconds"
    if rolling and answer is not Answer.REFUSE:
        answer = Answer.WARN
        why += "; it syncs its Applications itself, step by step, with auto-sync off"
    fix = ignoring.set_rules(found, one, open_fields, lost) if open_fields or lost else ""
    where = f"ApplicationSet {full}" if fix else ""
    return findings.Finding(Kind.APPLICATION_SET, full, evidence, effect, answer, why, fix, where, state)


def rollout(found: application.Raw, name: str) -> str:
    """Return how far a progressive sync is with an Application; empty where there is none.

    Args:
        found: The ApplicationSet.
        name: The Application.
    """
    if not _is_rolling(found):
        return ""
    steps = application.mappings(application.mapping(found, "spec", "strategy", "rollingSync"), "steps")
    for each in application.mappings(application.mapping(found, "status"), "applicationStatus"):
        if application.text(each, "application") == name:
            step, status = application.text(each, "step"), application.text(each, "status")
            told = f"progressive sync: step {step} of {len(steps)}, {status}"
            message = application.text(each, "message")
            return f"{told}: {message}" if message else told
    return f"progressive sync of {len(steps)} steps"


def of_parent(
    one: application.Application, around: findings.Surroundings, change: findings.Change
) -> Iterator[findings.Finding]:
    """Yield what the app-of-apps means that renders an Application, if one does."""
    parent = index.Index(around.applications, around.home).parent(one)
    if parent is None:
        return
    full = str(parent.reference)
    evidence = f"the Application {full} renders it"
    rules = application.mappings(application.mapping(parent.raw, "spec"), "ignoreDifferences")
    covered = {field: ignoring.of_parent(rules, one, field) for field in change.fields}
    open_fields = [field for field in change.fields if covered[field] is not ignoring.Covered.YES]
    respected = ignoring.RESPECT in parent.options
    if not open_fields and respected:
        why = "it is told to leave these fields alone"
        yield findings.Finding(Kind.APP_OF_APPS, full, evidence, why=why)
        return
    answer, why = _undone(parent, open_fields, respected=respected)
    if open_fields and all(covered[field] is ignoring.Covered.PERHAPS for field in open_fields):
        answer = Answer.WARN
        why += "; it has jq rules that devloop does not understand, which may cover them"
    fix = ignoring.parent_rules(parent, one, open_fields)
    yield findings.Finding(
        Kind.APP_OF_APPS, full, evidence, Effect.REVERTS, answer, why, fix, f"Application {full}, and what renders it"
    )


def _undone(parent: application.Application, open_fields: list[str], *, respected: bool) -> tuple[Answer, str]:
    """Return when a parent puts its children back."""
    if not open_fields and not respected:
        return (
            Answer.WARN,
            f"it ignores these fields when it compares, but its next sync writes them ({ignoring.RESPECT})",
        )
    what = _listed(open_fields)
    if parent.automated is None:
        return Answer.WARN, f"it shows OutOfSync, and whoever syncs it puts {what} back"
    if parent.automated.self_heal:
        return Answer.REFUSE, f"it heals itself, and puts {what} back within seconds"
    return Answer.WARN, f"it shows OutOfSync, and the next commit that it syncs puts {what} back"


def _is(raw: application.Raw, name: str, namespace: str) -> bool:
    metadata = application.mapping(raw, "metadata")
    return (application.text(metadata, "name"), application.text(metadata, "namespace")) == (name, namespace)


def _is_rolling(found: application.Raw) -> bool:
    return application.text(application.mapping(found, "spec", "strategy"), "type") == _ROLLING


def _listed(fields: list[str], annotations: Sequence[str] = ()) -> str:
    """Return fields as people write them: `spec.source.targetRevision and spec.syncPolicy`."""
    words = [field.strip("/").replace("/", ".") for field in fields]
    words += [f"the annotation {key}" for key in annotations]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
