"""Argo CD's kinds on the cluster, without Argo CD: its true schemas, and Applications as its controller writes them.

The schemas are not part of this repository. They are looked for in the folder that DEVLOOP_E2E_ARGOCD_CRDS names, else
in `shared/argocd` beside the checkout; without them the cases that need them are skipped, and say so.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e import cluster, space

VERSION: Final = "argoproj.io/v1alpha1"
KINDS: Final = ("application", "applicationset", "appproject")
COMMIT: Final = "a" * 40
REPO: Final = "https://git.example.com/team/templates.git"

_VARIABLE: Final = "DEVLOOP_E2E_ARGOCD_CRDS"


def folder() -> Path | None:
    """Return where the schemas are, or None."""
    said = os.environ.get(_VARIABLE)
    beside = [parent / "shared" / "argocd" for parent in list(cluster.REPO.parents)[:2]]
    for place in [Path(said)] if said else beside:
        if all((place / f"{kind}-crd.yaml").is_file() for kind in KINDS):
            return place
    return None


def installed(ns: space.Space) -> None:
    """Have the cluster know Argo CD's kinds from now on, or skip.

    They stay: other runs on the same cluster may use them.
    """
    place = folder()
    if place is None:
        pytest.skip(f"needs the CRDs of Argo CD: name their folder in {_VARIABLE}")
    files = [part for kind in KINDS for part in ("-f", str(place / f"{kind}-crd.yaml"))]
    # Client-side apply would keep the whole schema in an annotation, for which it is too large.
    ns.cluster.admin("apply", "--server-side", "--force-conflicts", *files)
    for kind in KINDS:
        argv = ns.cluster.admin.argv("get", "crd", f"{kind}s.argoproj.io", "--watch", "-o", "json")
        ns.until(argv, _is_established, f"{kind}s to be known", 60.0)


def _is_established(found: dict[str, Any]) -> bool:
    conditions = found.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def application(
    name: str, namespace: str, *, renders: list[dict[str, str]] | None = None, **spec: Any
) -> dict[str, Any]:
    """Return an Application that is in sync and healthy.

    Args:
        name: Its name.
        namespace: Where it is, and where it deploys to.
        renders: What its status lists.
        spec: Replaces fields of its spec.
    """
    source = {"repoURL": REPO, "path": f"envs/{name}", "targetRevision": "main"}
    return {
        "apiVersion": VERSION,
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "project": "default",
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
            **spec,
        },
        "status": {
            "controllerNamespace": namespace,
            "sync": {"status": "Synced", "revision": COMMIT, "comparedTo": {"source": source, "destination": {}}},
            "health": {"status": "Healthy"},
            "reconciledAt": "2026-11-20T10:00:00Z",
            "resources": [{"version": "v1", "status": "Synced", **each} for each in renders or []],
        },
    }


def deployment(name: str, namespace: str, owner: str) -> dict[str, Any]:
    """Return a Deployment without pods that an Application has applied."""
    mark = f"{owner}:apps/Deployment:{namespace}/{name}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/tracking-id": mark}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": "none"}]},
            },
        },
    }
