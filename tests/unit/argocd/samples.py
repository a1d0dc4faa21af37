"""Applications as Argo CD writes them, for the tests of this package."""

from __future__ import annotations

from typing import Any


def raw(name: str = "shop", namespace: str = "argocd", **spec: Any) -> dict[str, Any]:
    """Return an Application of one git source that is in sync and healthy; `spec` replaces fields of its spec."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "7", "uid": f"uid-{name}"},
        "spec": {
            "project": "team",
            "source": {"repoURL": "https://git.example/templates.git", "path": "envs/ann", "targetRevision": "main"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "ann"},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["CreateNamespace=true"]},
            **spec,
        },
        "status": {
            "sync": {"status": "Synced", "revision": "a" * 40},
            "health": {"status": "Healthy"},
            "reconciledAt": "2026-11-20T10:00:00Z",
            "resources": [
                {"group": "apps", "kind": "Deployment", "namespace": "ann", "name": "web", "status": "Synced"},
                {"kind": "Service", "namespace": "ann", "name": "web", "status": "Synced"},
            ],
            "operationState": {
                "phase": "Succeeded",
                "startedAt": "2026-11-20T09:59:00Z",
                "finishedAt": "2026-11-20T09:59:30Z",
                "operation": {"initiatedBy": {"automated": True}, "sync": {"revision": "a" * 40}},
                "syncResult": {"revision": "a" * 40},
            },
            "summary": {"images": ["registry.example/web:1.2"]},
        },
    }


def deployment(name: str = "web", namespace: str = "ann", **metadata: Any) -> dict[str, Any]:
    """Return a Deployment, without its spec."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
    }
