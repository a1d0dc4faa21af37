"""Requests to Argo CD's server, and what is made of its refusals."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from devloop import errors
from devloop.argocd import login, server
from tests.unit.kube import fake_api

APPS = "/api/v1/applications"


@pytest.fixture
async def fake() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def argocd(fake: fake_api.FakeApi) -> AsyncIterator[server.Server]:
    async with server.connect(login.Login(fake.url, "secret-token")) as made:
        yield made


def refusing(status: int, message: str) -> fake_api.Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": message, "code": 7, "message": message}, status=status)

    return answer


async def test_the_token_and_the_type_go_with_every_request(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    fake.on("DELETE", f"{APPS}/shop/operation", fake_api.giving({}))
    assert await argocd.ask("DELETE", ("applications", "shop", "operation")) == {}
    assert fake.requests[-1].headers["Authorization"] == "Bearer secret-token"
    # what has no body is refused without it
    assert fake.requests[-1].headers["Content-Type"] == "application/json"


async def test_a_name_is_never_taken_for_a_part_of_the_path(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    with pytest.raises(errors.NotThereError):
        await argocd.ask("GET", ("applications", "../projects?x"))
    assert fake.requests[-1].raw_path == f"{APPS}/..%2Fprojects%3Fx"


async def test_a_redirect_does_not_lead_the_token_elsewhere(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect("/stolen")

    fake.on("GET", APPS, elsewhere)
    with pytest.raises(errors.RefusedError, match=r"argocd\.server"):
        await argocd.ask("GET", ("applications",))
    assert [request.path for request in fake.requests] == [APPS]


@pytest.mark.parametrize(
    ("status", "message", "kind", "words"),
    [
        (401, "token has expired", errors.CredentialsError, "token has expired"),
        (
            403,
            "permission denied: applications, sync, team/shop, sub: ann, iat: 2026-11-20T10:00:00Z",
            errors.ForbiddenError,
            "does not let you sync team/shop",
        ),
        (403, "permission denied", errors.ForbiddenError, "permission denied"),
        (404, "no such project", errors.NotThereError, "no such project"),
        (409, "changed", errors.ConflictError, "changed"),
        (503, "starting", errors.UnreachableError, "starting"),
        (400, "revision is wrong", errors.RefusedError, "revision is wrong"),
    ],
)
async def test_refusals(
    status: int,
    message: str,
    kind: type[errors.DevloopError],
    words: str,
    fake: fake_api.FakeApi,
    argocd: server.Server,
) -> None:
    fake.on("GET", APPS, refusing(status, message))
    with pytest.raises(kind, match=words) as raised:
        await argocd.ask("GET", ("applications",))
    assert "secret-token" not in f"{raised.value.message} {raised.value.hint}"


async def test_a_missing_right_comes_with_the_line_that_gives_it(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    fake.on("GET", APPS, refusing(403, "permission denied: applications, sync, team/ann/shop, sub: ann"))
    with pytest.raises(errors.ForbiddenError) as raised:
        await argocd.ask("GET", ("applications",))
    assert raised.value.hint.endswith("p, ROLE, applications, sync, team/ann/shop, allow")


async def test_a_login_page_is_no_answer(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    fake.on("GET", APPS, fake_api.raw(b"<html>Log in</html>"))
    with pytest.raises(errors.UnreachableError) as raised:
        await argocd.ask("GET", ("applications",))
    assert raised.value.error_code == "DL1041"


async def test_nobody_there() -> None:
    async with server.connect(login.Login("http://127.0.0.1:1")) as nobody:
        with pytest.raises(errors.UnreachableError) as raised:
            await nobody.ask("GET", ("applications",))
    assert raised.value.error_code == "DL1043"


async def test_a_stream_is_read_value_by_value_however_it_is_cut(fake: fake_api.FakeApi, argocd: server.Server) -> None:
    fake.on("GET", "/api/v1/stream/applications", fake_api.streaming(b'{"result": 1}\n{"res', b'ult": 2}\n', cut=True))
    seen = []
    with pytest.raises(errors.UnreachableError):
        async with contextlib.aclosing(argocd.follow(("stream", "applications"))) as told:
            async for each in told:
                seen.append(each["result"])  # noqa: PERF401  (the generator raises at its end)
    assert seen == [1, 2]
