"""Requests: what is sent, what comes back, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, config, kubeconfig, paths
from tests.unit.kube import fake_api

PODS = paths.of("v1", "pods", "dev")
WEB = paths.of("v1", "pods", "dev", "web")


async def test_an_object_is_a_plain_dict(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", WEB, fake_api.giving(fake_api.named("web")))
    assert await api.get(WEB) == fake_api.named("web")
    (sent,) = server.requests
    assert sent.headers["Authorization"] == "Bearer t0" and sent.headers["User-Agent"].startswith("devloop/")
    assert api.skew_s is not None and abs(api.skew_s) < 30


async def test_a_list_is_read_page_by_page(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PODS, fake_api.listing("a", more="next"), fake_api.listing("b", version="9"))
    found = await api.list(PODS, {"labelSelector": "app=web"})
    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"] and found.version == "9"
    assert [request.query.get("continue") for request in server.requests] == [None, "next"]
    assert all(request.query["labelSelector"] == "app=web" for request in server.requests)


@pytest.mark.parametrize("kind", list(client.Patch))
async def test_a_patch_says_its_form(server: fake_api.FakeApi, api: client.Client, kind: client.Patch) -> None:
    server.on("PATCH", WEB, fake_api.giving({}))
    await api.patch(WEB, [{"op": "add"}], kind, {"fieldManager": "devloop"})
    assert server.requests[0].headers["Content-Type"] == kind.value
    assert server.bodies == [b'[{"op":"add"}]'] and server.requests[0].query["fieldManager"] == "devloop"


async def test_objects_are_made_replaced_and_deleted(server: fake_api.FakeApi, api: client.Client) -> None:
    for method, path in (("POST", PODS), ("PUT", WEB), ("DELETE", WEB)):
        server.on(method, path, fake_api.giving({"did": method}))
    large = {"data": "x" * 3_000_000}
    assert await api.create(PODS, large) == {"did": "POST"}
    assert await api.replace(WEB, {}) == {"did": "PUT"}
    assert await api.delete(WEB, {"gracePeriodSeconds": 0}) == {"did": "DELETE"}
    assert len(server.bodies[0]) > 3_000_000 and server.bodies[1:] == [b"{}", b'{"gracePeriodSeconds":0}']


@pytest.mark.parametrize(("minor", "number"), [("20", 20), ("29+", 29)])
async def test_the_version(server: fake_api.FakeApi, api: client.Client, minor: str, number: int) -> None:
    server.on("GET", "/version", fake_api.giving({"major": "1", "minor": minor, "gitVersion": "v1"}))
    found = await api.version()
    assert found == client.Version(1, number, "v1") and found.at_least(1, 20) and not found.at_least(1, 30)


async def test_a_refused_token_is_renewed_once(server: fake_api.FakeApi) -> None:
    tokens = ["t1", "t1"]

    def reread() -> config.Cluster:
        return server.cluster(kubeconfig.User(token=tokens.pop(0)))

    server.on("POST", PODS, fake_api.refusing(401), fake_api.giving({}), fake_api.refusing(401))
    async with client.connect(server.cluster(), reread) as api:
        await api.create(PODS, {"a": 1})
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer t0", "Bearer t1"]
        assert server.bodies == [b'{"a":1}'] * 2
        with pytest.raises(errors.CredentialsError):
            await api.create(PODS, {})
    assert len(server.requests) == 3


async def test_a_name_that_does_not_exist_is_told_with_those_that_do(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    server.on("GET", PODS, fake_api.listing("webs", "db"))
    with pytest.raises(errors.NotThereError) as caught:
        await api.find(WEB)
    assert caught.value.hint == "did you mean webs?"


async def test_a_missing_namespace_or_kind_is_told_as_that(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PODS, fake_api.listing())
    server.on("GET", "/api/v1/namespaces", fake_api.listing("deve"))
    with pytest.raises(errors.NotThereError) as caught:
        await api.find(WEB)
    assert caught.value.hint == "the namespace dev does not exist; did you mean deve?"
    server.on("GET", "/api/v1/namespaces/dev", fake_api.refusing(403))
    with pytest.raises(errors.NotThereError, match="no pod web"):
        await api.find(WEB)
    with pytest.raises(errors.NotThereError, match=r"the cluster has no rollouts\.argoproj\.io"):
        await api.find(paths.of("argoproj.io/v1alpha1", "rollouts", "dev", "web"))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff\xfe", b'{"a":', b""])
async def test_garbage_is_told_as_such(server: fake_api.FakeApi, api: client.Client, body: bytes) -> None:
    server.on("GET", WEB, fake_api.raw(body))
    with pytest.raises(errors.UnreachableError) as caught:
        await api.get(WEB)
    assert caught.value.error_code == "DL0743"


async def test_a_list_without_items_or_a_version_without_numbers_is_garbage(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    server.on("GET", PODS, fake_api.giving({"items": {"a": 1}}))
    server.on("GET", "/version", fake_api.giving({"major": "one"}))
    for call in (api.list(PODS), api.version()):
        with pytest.raises(errors.UnreachableError):
            await call


async def test_a_redirect_to_a_login_page_is_not_followed(server: fake_api.FakeApi, api: client.Client) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/login"})

    server.on("GET", WEB, redirect)
    with pytest.raises(errors.UnreachableError, match="not a Kubernetes API server"):
        await api.get(WEB)
    assert len(server.requests) == 1


async def test_an_answer_that_does_not_come_or_is_cut_is_unreachable(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    never = asyncio.Event()
    server.on("GET", WEB, fake_api.streaming(until=never), fake_api.streaming(b'{"a', cut=True))
    with pytest.raises(errors.UnreachableError, match="in time"):
        await api.get(WEB, timeout_s=0.05)
    with pytest.raises(errors.UnreachableError):
        await api.get(WEB)
    never.set()


@pytest.mark.parametrize(("url", "code"), [("http://127.0.0.1:1", "DL0740"), ("http://no-such-host.invalid", "DL0741")])
async def test_a_server_that_is_not_there(url: str, code: str) -> None:
    cluster = fake_api.FakeApi().cluster(server=url)
    async with client.connect(cluster) as api:
        with pytest.raises(errors.UnreachableError) as caught:
            await api.version()
        with pytest.raises(errors.UnreachableError):
            await api.websocket(WEB, {}, ["p"], max_bytes=1, timeout_s=5)
    assert caught.value.error_code == code and "Connect call failed" not in caught.value.message


# TLS


@contextlib.asynccontextmanager
async def secure(pki: Path) -> AsyncIterator[fake_api.FakeApi]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    async with fake_api.serving(context) as running:

        async def who(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            peer = request.transport.get_extra_info("peercert")
            return web.json_response({"peer": str(peer.get("subject")) if peer else ""})

        async def socket(request: web.Request) -> web.StreamResponse:
            answer = web.WebSocketResponse(protocols=["p"])
            await answer.prepare(request)
            await answer.send_bytes(b"hello")
            await answer.close()
            return answer

        running.on("GET", "/who", who)
        running.on("GET", "/socket", socket)
        yield running


async def greet(api: client.Client) -> object:
    opened = await api.websocket("/socket", {}, ["p"], max_bytes=100, timeout_s=5)
    try:
        return (await opened.receive()).data
    finally:
        await opened.close()


async def test_tls_with_a_client_certificate(pki: Path) -> None:
    user = kubeconfig.User(client_certificate=str(pki / "client.crt"), client_key=str(pki / "client.key"))
    async with secure(pki) as server:
        async with client.connect(server.cluster(user, tls=config.Tls(str(pki / "ca.crt")))) as api:
            assert "client" in (await api.get("/who"))["peer"]
            assert await greet(api) == b"hello"


@pytest.mark.parametrize(("authority", "name"), [("stranger.crt", ""), ("ca.crt", "other.test")])
async def test_a_certificate_of_another_authority_or_name_is_refused(pki: Path, authority: str, name: str) -> None:
    tls = config.Tls(authority_file=str(pki / authority), server_name=name)
    async with secure(pki) as server:
        async with client.connect(server.cluster(tls=tls)) as api:
            for call in (api.get("/who"), greet(api)):
                with pytest.raises(errors.UnreachableError) as caught:
                    await call
                assert caught.value.error_code == "DL0742"


async def test_not_verifying_and_another_name_hold_for_websockets_too(pki: Path) -> None:
    async with secure(pki) as server:
        for tls in (config.Tls(verify=False), config.Tls(str(pki / "ca.crt"), server_name="api.test")):
            cluster = server.cluster(tls=tls, server=server.url.replace("127.0.0.1", "localhost"))
            async with client.connect(cluster) as api:
                assert await api.get("/who") == {"peer": ""}
                assert await greet(api) == b"hello"


async def test_requests_and_websockets_go_through_the_proxy(pki: Path) -> None:
    asked: list[str] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split()[1])
        host, _, port = asked[-1].rpartition(":")
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
            sink.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, inner_writer))
            group.create_task(pump(inner_reader, writer))

    async with secure(pki) as server:
        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        tls = config.Tls(str(pki / "ca.crt"), server_name="api.test")
        cluster = server.cluster(tls=tls, proxy=f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with client.connect(cluster) as api:
            assert await api.get("/who") == {"peer": ""}
            assert await greet(api) == b"hello"
        proxy.close()
    assert set(asked) == {server.url.removeprefix("https://")}


# Websockets


async def test_a_refused_upgrade_is_told_with_the_servers_reason(server: fake_api.FakeApi, api: client.Client) -> None:
    words = (
        'pods "web" is forbidden: User "u" cannot create resource "pods/exec" in API group "" in the namespace "dev"'
    )
    server.on("GET", f"{WEB}/exec", fake_api.refusing(403, words))
    with pytest.raises(errors.ForbiddenError, match="create pods/exec"):
        await api.websocket(f"{WEB}/exec", {}, ["p"], max_bytes=1, timeout_s=5)
    server.on("GET", f"{WEB}/exec", fake_api.refusing(404, "no"))
    server.on("GET", PODS, fake_api.listing("webs"))
    with pytest.raises(errors.NotThereError, match="no pod web") as caught:
        await api.websocket(f"{WEB}/exec", {}, ["p"], max_bytes=1, timeout_s=5)
    assert caught.value.hint == "did you mean webs?"


async def test_an_upgrade_that_only_the_proxy_refuses_is_told(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", "/x", fake_api.refusing(502), fake_api.refusing(400, "Upgrade request required"))
    with pytest.raises(errors.UnreachableError, match="502"):
        await api.websocket("/x", {}, ["p"], max_bytes=1, timeout_s=5)


async def test_a_refused_token_is_renewed_for_a_websocket_too(server: fake_api.FakeApi) -> None:
    async def greeting(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse(protocols=["p"])
        await answer.prepare(request)
        await answer.send_str(request.headers["Authorization"])
        return answer

    server.on("GET", "/socket", fake_api.refusing(401), greeting)
    async with client.connect(server.cluster(), lambda: server.cluster(kubeconfig.User(token="t1"))) as api:
        assert await greet(api) == "Bearer t1"
