"""Applications as the JSON of `devloop env`: a stable form of our own, not Argo CD's.

Pure. Described field by field in docs/env.md; fields are added and never change their meaning, else `v` grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devloop.argocd import application, environment


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
