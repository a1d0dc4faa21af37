"""List and watch, through everything that a server and a network may do to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.kube import client, paths, watch
from tests.unit.kube import fake_api
from tests.unit.kube.fake_api import event, named

PODS = paths.of("v1", "pods", "dev")


class Script:
    """Lists and watches in their order; each is one handler."""

    def __init__(
        self, server: fake_api.FakeApi, lists: list[fake_api.Handler], watches: list[fake_api.Handler]
    ) -> None:
        self.versions: list[str] = []
        self.server = server
        self.lists, self.watches = lists, watches
        self.never = asyncio.Event()
        server.on("GET", PODS, self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        which = self.lists
        if "watch" in request.query:
            which = self.watches
            self.versions.append(request.query["resourceVersion"])
        handler = which.pop(0) if which else fake_api.streaming(until=self.never)
        return await handler(request)


@contextlib.asynccontextmanager
async def watching(api: client.Client, **options: float) -> AsyncIterator[AsyncIterator[watch.Event]]:
    made = watch.Watch(api, PODS, {"labelSelector": "a=b"}, first_s=0.001, **options)
    async with asyncio.timeout(20), contextlib.aclosing(made.events()) as events:
        yield events


async def take(events: AsyncIterator[watch.Event], count: int) -> list[str]:
    told = []
    for _ in range(count):
        match await anext(events):
            case watch.Listed(objects):
                told.append("listed " + ",".join(each["metadata"]["name"] for each in objects))
            case watch.Changed(found):
                told.append("changed " + found["metadata"]["name"])
            case watch.Gone(found):
                told.append("gone " + found["metadata"]["name"])
            case watch.Trouble(error):
                told.append(f"trouble {error.error_code}")
    return told


async def test_what_there_is_then_each_change(server: fake_api.FakeApi, api: client.Client) -> None:
    changes = [event("ADDED", named("b", "2")), event("MODIFIED", named("b", "3")), event("DELETED", named("a", "4"))]
    script = Script(server, [fake_api.listing("a", version="1")], [fake_api.streaming(*changes)])
    async with watching(api) as events:
        assert await take(events, 4) == ["listed a", "changed b", "changed b", "gone a"]
    query = server.requests[-1].query
    assert script.versions == ["1"] and query["allowWatchBookmarks"] == "true" and query["labelSelector"] == "a=b"


async def test_a_watch_that_ends_or_is_cut_is_resumed_from_the_last_version(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    script = Script(
        server,
        [fake_api.listing("a", version="1")],
        [
            fake_api.streaming(event("ADDED", named("b", "2")), event("BOOKMARK", named("", "7"))),
            fake_api.streaming(event("ADDED", named("c", "8")) + b'{"type":"ADD', cut=True),
            fake_api.streaming(event("ADDED", named("d", "9"))),
        ],
    )
    async with watching(api) as events:
        assert await take(events, 5) == ["listed a", "changed b", "changed c", "trouble DL0740", "changed d"]
    assert script.versions == ["1", "7", "8"]


@pytest.mark.parametrize(
    "forgotten",
    [
        fake_api.refusing(410, "too old", "Expired"),
        fake_api.streaming(event("ERROR", {"kind": "Status", "code": 410, "reason": "Gone"})),
        fake_api.streaming(event("ERROR", {"kind": "Status", "reason": "Expired"})),
    ],
)
async def test_a_forgotten_version_lists_all_anew(
    server: fake_api.FakeApi, api: client.Client, forgotten: fake_api.Handler
) -> None:
    script = Script(
        server,
        [fake_api.listing("a", version="1"), fake_api.refusing(410, "", "Expired"), fake_api.listing("b", version="5")],
        [forgotten, fake_api.streaming(event("ADDED", named("c", "6")))],
    )
    async with watching(api) as events:
        assert await take(events, 3) == ["listed a", "listed b", "changed c"]
    assert script.versions == ["1", "5"]


async def test_trouble_is_told_and_the_watch_goes_on(server: fake_api.FakeApi, api: client.Client) -> None:
    script = Script(
        server,
        [fake_api.refusing(503), fake_api.listing("a")],
        [
            fake_api.refusing(403),
            fake_api.streaming(event("ERROR", {"code": 500, "message": "etcd"})),
            fake_api.streaming(b"<html>\n"),
            fake_api.streaming(b'{"type":"ADDED","object":5}\n'),
            fake_api.streaming(event("ADDED", named("b", "2"))),
        ],
    )
    async with watching(api) as events:
        told = await take(events, 7)
    expected = ["trouble DL0744", "listed a", "trouble DL0721", "trouble DL0744", "trouble DL0743", "trouble DL0743"]
    assert told == [*expected, "changed b"]
    assert script.versions == ["1"] * 5


@pytest.mark.parametrize(
    ("code", "kind"), [(403, errors.ForbiddenError), (404, errors.NotThereError), (401, errors.CredentialsError)]
)
async def test_what_no_wait_mends_ends_it_from_the_beginning_only(
    server: fake_api.FakeApi, api: client.Client, code: int, kind: type[errors.ClusterError]
) -> None:
    Script(server, [fake_api.refusing(code)], [])
    async with watching(api) as events:
        with pytest.raises(kind):
            await anext(events)


async def test_a_silent_connection_is_given_up(server: fake_api.FakeApi, api: client.Client) -> None:
    never = asyncio.Event()
    watches = [fake_api.streaming(until=never), fake_api.streaming(event("ADDED", named("b", "2")))]
    Script(server, [fake_api.listing("a")], watches)
    async with watching(api, silence_s=0.05) as events:
        assert await take(events, 3) == ["listed a", "trouble DL0740", "changed b"]
    never.set()


async def test_an_object_of_many_megabytes_comes_whole(server: fake_api.FakeApi, api: client.Client) -> None:
    large = {**named("b", "2"), "data": "x" * 5_000_000}
    Script(server, [fake_api.listing("a")], [fake_api.streaming(event("ADDED", large))])
    async with watching(api) as events:
        await take(events, 1)
        assert await anext(events) == watch.Changed(large)


async def test_a_watch_can_be_cancelled_while_it_waits(server: fake_api.FakeApi, api: client.Client) -> None:
    Script(server, [fake_api.listing("a")], [])
    listed = asyncio.Event()

    async def follow() -> None:
        async with watching(api) as events:
            async for _ in events:
                listed.set()

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            await listed.wait()
            raise RuntimeError


@given(st.lists(st.binary(max_size=12)), st.data())
def test_lines_are_cut_alike_wherever_the_bytes_come_apart(parts: list[bytes], data: st.DataObject) -> None:
    whole = b"\n".join(parts) + b"\n"
    place = data.draw(st.integers(0, len(whole)))
    lines = watch.Lines()
    found = lines.feed(whole[:place]) + lines.feed(whole[place:])
    assert found == [line for line in whole.split(b"\n") if line.strip()]


def test_a_line_without_end_is_refused() -> None:
    lines = watch.Lines(max_bytes=10)
    lines.feed(b"12345")
    with pytest.raises(errors.UnreachableError, match="10 bytes"):
        lines.feed(b"678901")
