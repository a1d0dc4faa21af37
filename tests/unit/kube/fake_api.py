"""An API server that does what a real one does not do on demand: each test says what it answers.

Answers are handlers by method and path, taken one after the other; the last one stays.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from devloop.kube import config, kubeconfig

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeApi:
    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self._handlers: dict[tuple[str, str], list[Handler]] = {}

    def on(self, method: str, path: str, *handlers: Handler) -> None:
        self._handlers[method, path] = list(handlers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.method != "GET":
            self.bodies.append(await request.read())
        handlers = self._handlers.get((request.method, request.path))
        if not handlers:
            return status(404, f"{request.path} not found", "NotFound")
        return await (handlers.pop(0) if len(handlers) > 1 else handlers[0])(request)

    def cluster(self, user: kubeconfig.User | None = None, **changes: Any) -> config.Cluster:
        return config.Cluster(
            context="test",
            server=changes.pop("server", self.url),
            namespace="dev",
            tls=changes.pop("tls", config.Tls()),
            proxy=changes.pop("proxy", ""),
            user=user or kubeconfig.User(token="t0"),
            **changes,
        )


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[FakeApi]:
    fake = FakeApi()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"{'https' if context else 'http'}://{host}:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def status(code: int, message: str = "", reason: str = "", **more: Any) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response({**body, **more}, status=code)


def refusing(code: int, message: str = "", reason: str = "") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return status(code, message, reason)

    return answer


def giving(body: object) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(body)

    return answer


def raw(body: bytes, code: int = 200, content_type: str = "text/html") -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=code, content_type=content_type)

    return answer


def listing(*names: str, version: str = "1", more: str = "") -> Handler:
    return giving(
        {"items": [named(name) for name in names], "metadata": {"resourceVersion": version, "continue": more}}
    )


def named(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}}


def event(kind: str, found: object) -> bytes:
    return json.dumps({"type": kind, "object": found}).encode() + b"\n"


def streaming(*parts: bytes, cut: bool = False, until: Any = None) -> Handler:
    """Answer with parts; then wait for an event, end, or cut the connection off."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if until is not None:
            await until.wait()
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    return answer
