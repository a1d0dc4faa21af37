"""One request for a log: what is asked, what comes, what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re

import pytest
from aiohttp import web

from devloop import errors
from devloop.kube import client, podlogs
from tests.unit.kube import fake_api

PATH = "/api/v1/namespaces/dev/pods/web-0/log"
ASK = podlogs.Ask("dev", "web-0", "app")


async def taken(api: client.Client, ask: podlogs.Ask = ASK, silence_s: float = 5.0) -> list[bytes | None]:
    async with asyncio.timeout(20), contextlib.aclosing(podlogs.read(api, ask, silence_s=silence_s)) as pieces:
        return [piece async for piece in pieces]


async def test_what_is_asked_for(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, fake_api.raw(b"", content_type="text/plain"))
    assert await taken(api, podlogs.Ask("dev", "web-0", "app", True, True, "2026-05-01T10:00:00Z", 5)) == []
    assert await taken(api) == []
    asked = [dict(request.query) for request in server.requests]
    every = {"follow": "true", "previous": "true", "sinceTime": "2026-05-01T10:00:00Z", "tailLines": "5"}
    assert asked == [{"container": "app", "timestamps": "true", **every}, {"container": "app", "timestamps": "true"}]


async def test_it_comes_in_pieces_to_its_end(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, fake_api.streaming(b"a" * 300_000, b"b\n"))
    found = await taken(api)
    assert b"".join(each or b"" for each in found) == b"a" * 300_000 + b"b\n" and None not in found


async def test_one_that_says_nothing_is_silent_before_and_after_its_head(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    never = asyncio.Event()
    server.on("GET", PATH, fake_api.streaming(b"a\n", until=never))
    assert await taken(api, silence_s=0.05) == [b"a\n", None]

    async def mute(request: object) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    server.on("GET", PATH, mute)
    assert await taken(api, silence_s=0.05) == [None]
    never.set()


async def test_a_cut_is_an_error(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", PATH, fake_api.streaming(b"a\n", cut=True))
    with pytest.raises(errors.UnreachableError):
        await taken(api)


@pytest.mark.parametrize(
    ("code", "words", "expected", "told"),
    [
        (400, 'container "app" in pod "web-0" is waiting to start: ContainerCreating', "DL0790", "ContainerCreating"),
        (400, 'container "app" in pod "web-0" is not available', "DL0790", "not started"),
        (400, 'previous terminated container "app" in pod "web-0" not found', "DL0791", "no run before"),
        (400, "container app is not valid for pod web-0", "DL0802", "no container app"),
        (400, "something else", "DL0731", "something else"),
        (404, 'pods "web-0" not found', "DL0730", "web-0"),
        (500, "Get https://node:10250: dial tcp: refused", "DL0744", "refused"),
        (
            403,
            'pods "web-0" is forbidden: User "u" cannot get resource "pods/log" in API group "" in the namespace "dev"',
            "DL0721",
            "you may not get pods/log",
        ),
    ],
)
async def test_what_went_wrong(
    server: fake_api.FakeApi, api: client.Client, code: int, words: str, expected: str, told: str
) -> None:
    server.on("GET", PATH, fake_api.refusing(code, words))
    with pytest.raises(errors.ClusterError, match=re.escape(told)) as caught:
        await taken(api)
    assert caught.value.error_code == expected


@pytest.mark.parametrize("previous", [False, True])
async def test_a_log_that_was_removed_is_no_text(server: fake_api.FakeApi, api: client.Client, previous: bool) -> None:
    body = b"unable to retrieve container logs for containerd://0123"
    server.on("GET", PATH, fake_api.raw(body, content_type="text/plain"))
    with pytest.raises(errors.ClusterError) as caught:
        await taken(api, podlogs.Ask("dev", "web-0", "app", previous=previous))
    assert caught.value.error_code == podlogs.RECLAIMED_CODE


async def test_such_words_of_an_app_are_text(server: fake_api.FakeApi, api: client.Client) -> None:
    body = b"2026-05-01T10:00:00Z unable to retrieve container logs for x\n"
    server.on("GET", PATH, fake_api.raw(body, content_type="text/plain"))
    assert await taken(api) == [body]


async def test_as_long_as_nobody_takes_anything_nothing_is_read(server: fake_api.FakeApi, api: client.Client) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(OSError):
            while True:
                await response.write(b"x" * 65_536)
                sent += 65_536
        return response

    server.on("GET", PATH, flood)
    async with asyncio.timeout(20), contextlib.aclosing(podlogs.read(api, ASK, silence_s=5)) as pieces:
        await anext(pieces)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.1)
    # The buffers of two sockets and of the reader.
    assert sent < 32 * 1024 * 1024
