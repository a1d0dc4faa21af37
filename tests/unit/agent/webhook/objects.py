"""Objects as an API server sends them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.unit.kube import fake_api

SESSION_UID = "6f1f8c5e-0000-4000-8000-000000000001"


def session(name: str = "deployment-web", kind: str = "Deployment", named: str = "web", **spec: Any) -> dict[str, Any]:
    told = {
        "workload": {"kind": kind, "name": named},
        "service": "web",
        "syncs": [{"to": "/app"}],
        "owner": "alice@laptop",
        "author": {"name": "alice", "groups": ["devs"]},
        **spec,
    }
    meta = {
        "name": name,
        "namespace": "dev",
        "uid": SESSION_UID,
        "resourceVersion": "7",
        "generation": 2,
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"apiVersion": "devloop.dev/v1alpha1", "kind": "DevSession", "metadata": meta, "spec": told}


def pod(owner: tuple[str, str] | None = ("ReplicaSet", "web-5d4f"), **meta: Any) -> dict[str, Any]:
    labels = {"app": "web", "pod-template-hash": "5d4f"}
    told: dict[str, Any] = {"generateName": "web-5d4f-", "labels": labels, **meta}
    if owner is not None:
        told["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    app = {"name": "app", "image": "shop:1", "command": ["serve"]}
    spec = {"securityContext": {"runAsUser": 1000}, "containers": [app]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": told, "spec": spec}


def workload(**spec: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def answered(body: Any, status: int = 200) -> fake_api.Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return handler


def failed(code: int, message: str = "", reason: str = "") -> fake_api.Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return fake_api.status(code, message, reason)

    return handler


def listed(*items: dict[str, Any]) -> fake_api.Handler:
    return answered({"kind": "List", "metadata": {"resourceVersion": "9"}, "items": list(items)})
