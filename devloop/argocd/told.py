"""Applications as the JSON of `devloop env`: a stable form of our own, not Argo CD's.

Pure. Described field by field in docs/env.md; fields are added and never change their meaning, else `v` grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devloop.argocd import application, checkout, environment, findings, links, manifestfiles, picture, rendered


def brief(member: environment.Member) -> dict[str, Any]:
    """Return what `env list` tells of an Application."""
    one = member.app
    return {
        **reference(one.reference),
        "because": {"kind": member.why.value, "of": member.of or None},
        "services": list(member.services),
        "project": one.project,
        "sync": one.sync,
        "health": one.health,
        "destination": {"server": one.server, "namespace": one.destination},
        "automated": automated(one.automated),
        "sources": [source(each, _at(one.revisions, position)) for position, each in enumerate(one.sources)],
    }


def whole(found: picture.Picture) -> dict[str, Any]:
    """Return what `env status` tells."""
    clone = found.clone
    return {
        "v": 1,
        "way": found.way,
        "applications": [shown(each) for each in found.shown],
        "services": [way(each) for each in found.ways],
        "related": [brief(each) for each in found.related],
        "checkout": {
            "folder": clone.top if isinstance(clone, checkout.Clone) else found.asked.templates or None,
            "branch": (clone.branch or None) if isinstance(clone, checkout.Clone) else None,
            "problem": (clone or None) if isinstance(clone, str) else None,
        },
        "unseen": list(found.around.unseen),
    }


def shown(each: picture.Shown) -> dict[str, Any]:
    """Return an Application with all that is known of it."""
    one = each.app
    told = brief(each.member)
    for made, known in zip(told["sources"], each.standings, strict=True):
        made["branch"] = standing(known) if known is not None else None
    return {
        **told,
        "hydrated": one.hydrated,
        "healthMessage": one.health_message or None,
        "syncOptions": sorted(one.options),
        "reconciledAt": one.reconciled or None,
        "conditions": [{"type": condition.type, "message": condition.message} for condition in one.conditions],
        "operation": operation(one),
        "resources": [resource(item) for item in one.resources],
        "images": list(one.images),
        "owners": [finding(item) for item in each.verdict.findings],
        "switch": each.verdict.answer.value,
        "links": dict(each.links),
        "externalUrls": list(links.external(one)),
    }


def operation(one: application.Application) -> dict[str, Any] | None:
    """Return the sync that runs or was the last."""
    last = one.operation
    if last is None:
        return {"phase": "Pending", "running": True} if one.is_asked else None
    done, total = progress(one)
    return {
        "phase": last.phase,
        "running": one.is_running,
        "message": last.message or None,
        "startedAt": last.started or None,
        "finishedAt": last.finished or None,
        "by": last.by or None,
        "revisions": list(last.revisions),
        "done": done,
        "total": total,
    }


def progress(one: application.Application) -> tuple[int, int]:
    """Return how many objects a sync has dealt with, and how many there are."""
    if one.operation is None:
        return 0, len(one.resources)
    handled = [each for each in one.operation.resources if each.sync and each.sync != "SyncFailed"]
    return len(handled), max(len(one.resources), len(one.operation.resources))


def resource(one: application.Resource) -> dict[str, Any]:
    """Return one object of an Application."""
    return {
        "group": one.group,
        "kind": one.kind,
        "namespace": one.namespace or None,
        "name": one.name,
        "sync": one.sync or None,
        "health": one.health or None,
        "message": one.message or None,
        "toPrune": one.to_prune,
    }


def finding(one: findings.Finding) -> dict[str, Any]:
    """Return an owner."""
    return {
        "kind": one.kind.value,
        "name": one.name,
        "evidence": one.evidence,
        "effect": one.effect.value,
        "switch": one.answer.value,
        "why": one.why,
        "state": one.state or None,
        "fix": {"where": one.where, "yaml": one.fix} if one.fix else None,
    }


def standing(one: checkout.Standing) -> dict[str, Any]:
    """Return how what was compared stands to the branch, as the clone knows it."""
    return {
        "name": one.branch,
        "tip": one.tip,
        "known": one.known,
        "behind": one.behind if one.known else None,
        "ahead": one.ahead if one.known else None,
        "fetchedAt": one.fetched_s or None,
    }


def way(each: picture.Way) -> dict[str, Any]:
    """Return a service and its way to the file."""
    one = each.chain
    return {
        "service": one.service,
        "namespace": one.namespace,
        "pods": list(one.pods),
        "replicaSet": one.replica_set or None,
        "workload": {"kind": one.kind, "name": one.name} if one.workload else None,
        "application": reference(each.owner) if each.owner is not None else None,
        "foreign": each.foreign or None,
        "problem": one.trouble or None,
        "source": located(each.located) if each.located is not None else None,
        "links": dict(each.links),
    }


def located(one: rendered.Located) -> dict[str, Any]:
    """Return where a workload is written."""
    return {
        "folder": one.folder or None,
        "files": [place(each) for each in one.files],
        "changedBy": [place(each) for each in one.changed_by],
        "values": list(one.values),
        "why": one.why or None,
    }


def place(one: manifestfiles.Place) -> dict[str, Any]:
    """Return a place in the checkout."""
    return {"file": one.path, "line": one.line or None}


def reference(one: application.Reference) -> dict[str, str]:
    """Return which Application is meant."""
    return {"namespace": one.namespace, "name": one.name}


def automated(one: application.Automated | None) -> Mapping[str, bool] | None:
    """Return auto-sync; None where it is off."""
    return None if one is None else {"selfHeal": one.self_heal, "prune": one.prune}


def source(one: application.Source, compared: str = "") -> dict[str, Any]:
    """Return a source.

    Args:
        one: It.
        compared: The commit or version that was compared; empty where it is not known.
    """
    return {
        "repo": one.repo,
        "targetRevision": one.revision or None,
        "revision": compared or None,
        "path": one.path or None,
        "chart": one.chart or None,
        "ref": one.ref or None,
        "name": one.name or None,
        "generator": one.generator.value if one.generator is not None else None,
    }


def _at(some: tuple[str, ...], position: int) -> str:
    return some[position] if position < len(some) else ""
