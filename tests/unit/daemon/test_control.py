"""The control socket takes requests, refuses what is none, and survives every client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from devloop import errors
from devloop.daemon import bus, control
from devloop.sync import events
from tests.unit.daemon.serving import serving


async def echo(args: Mapping[str, Any]) -> Any:
    return dict(args)


async def refuse(args: Mapping[str, Any]) -> Any:
    raise errors.OwnedError("somebody else has it", hint="ask them")


HANDLERS: dict[str, control.Handler] = {"echo": echo, "refuse": refuse}


@pytest.fixture
def event_bus() -> bus.Bus:
    return bus.Bus()


@pytest.fixture
async def path(tmp_path: pathlib.Path, event_bus: bus.Bus) -> AsyncIterator[str]:
    found = str(tmp_path / "control")
    async with serving(found, HANDLERS, event_bus):
        yield found


async def ask(path: str, raw: bytes) -> Any:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(5):
            return json.loads(await reader.readuntil(b"\n"))
    finally:
        writer.close()


def request(verb: str, args: dict[str, Any] | None = None, v: int = control.VERSION) -> bytes:
    return json.dumps({"v": v, "verb": verb, "args": args or {}}).encode() + b"\n"


async def test_a_request_is_answered(path: str) -> None:
    assert await ask(path, request("echo", {"a": [1]})) == {"ok": True, "result": {"a": [1]}, "error": None}


async def test_only_the_user_may_ask(path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_an_error_crosses_the_socket_whole(path: str) -> None:
    answer = await ask(path, request("refuse"))
    assert not answer["ok"]
    assert answer["error"] == {
        "code": "DL0400",
        "message": "somebody else has it",
        "hint": "ask them",
        "exit_status": 7,
    }


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\n", 2),
        (b"not json\n", 2),
        (b"[]\n", 2),
        (b'{"v": 1}\n', 2),
        (b'{"v": 1, "verb": "echo", "args": {}, "more": 1}\n', 2),
        (b'{"v": 1, "verb": 3}\n', 2),
        (b'{"v": 1, "verb": "\xff"}\n', 2),
        (b'{"v": 1, "verb": "echo", "args": {"a": ' + b"[" * 100_000 + b"\n", 2),
        (request("nothing"), 2),
        (request("echo", v=2), 6),
    ],
)
async def test_what_is_no_request_is_refused_with_words(path: str, raw: bytes, status: int) -> None:
    answer = await ask(path, raw)
    assert not answer["ok"]
    assert answer["error"]["exit_status"] == status
    assert answer["error"]["message"]
    assert (await ask(path, request("echo")))["ok"]


async def test_a_file_name_that_is_not_utf_8_can_be_answered(path: str) -> None:
    HANDLERS["name"] = _name
    try:
        assert (await ask(path, request("name")))["result"] == ["caf\\xe9"]
    finally:
        del HANDLERS["name"]


async def _name(args: Mapping[str, Any]) -> Any:
    return ["caf\udce9"]


async def test_a_client_that_says_too_much_or_nothing_is_dropped(path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.suppress(OSError):
        writer.write(b"x" * (2 * control.MAX_REQUEST_BYTES))
        await writer.drain()
    with contextlib.suppress(OSError):
        assert await reader.read() == b""
    writer.close()
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"v": 1')
    writer.close()
    assert (await ask(path, request("echo")))["ok"]


async def test_no_more_clients_than_a_person_has(path: str) -> None:
    held = [await asyncio.open_unix_connection(path) for _ in range(control.MAX_CLIENTS)]
    reader, writer = await asyncio.open_unix_connection(path)
    assert await reader.read() == b""
    writer.close()
    for _, open_writer in held:
        open_writer.close()


async def test_events_follow_until_the_bus_ends(path: str, event_bus: bus.Bus) -> None:
    event_bus.publish(events.GitMoved(old="", new="past"))
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request("events", {"recent": True}))
    assert json.loads(await reader.readline())["ok"]
    assert json.loads(await reader.readline())["new"] == "past"
    event_bus.publish(events.GitMoved(old="", new="caf\udce9"))
    assert json.loads(await reader.readline())["new"] == "caf\\xe9"
    event_bus.close()
    assert await reader.read() == b""
    writer.close()


async def test_a_follower_that_leaves_with_events_unread_harms_nobody(path: str, event_bus: bus.Bus) -> None:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, path)
    await loop.sock_sendall(client, request("events"))
    assert await loop.sock_recv(client, 1)
    event_bus.publish(events.Ready(ms=1))
    # Closing with data unread resets the connection; the server sees it when it reads or writes next.
    client.close()
    event_bus.publish(events.Ready(ms=2))
    for _ in range(5):
        assert (await ask(path, request("echo")))["ok"]


async def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: pathlib.Path, event_bus: bus.Bus) -> None:
    path = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    async with serving(path, HANDLERS, event_bus):
        assert (await ask(path, request("echo")))["ok"]
    assert not os.path.exists(path)


async def test_the_server_ends_although_clients_are_connected(tmp_path: pathlib.Path, event_bus: bus.Bus) -> None:
    path = str(tmp_path / "control")
    async with serving(path, HANDLERS, event_bus):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request("events"))
        assert json.loads(await reader.readline())["ok"]
    assert await reader.read() == b""
    writer.close()


async def test_what_is_held_is_there_until_the_client_leaves(tmp_path: pathlib.Path, event_bus: bus.Bus) -> None:
    held, over = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(args: Mapping[str, Any]) -> AsyncIterator[Any]:
        held.set()
        try:
            yield dict(args)
        finally:
            over.set()

    @contextlib.asynccontextmanager
    async def taken(args: Mapping[str, Any]) -> AsyncIterator[Any]:
        if not args:
            raise errors.LocalError("the port is taken", code="DL0370")
        yield {}

    found = str(tmp_path / "control")
    async with serving(found, HANDLERS, event_bus, {"hold": hold, "taken": taken}):
        reader, writer = await asyncio.open_unix_connection(found)
        writer.write(request("hold", {"port": 1}))
        assert json.loads(await reader.readuntil(b"\n"))["result"] == {"port": 1}
        assert held.is_set() and not over.is_set()
        writer.close()
        await asyncio.wait_for(over.wait(), 10)
        assert (await ask(found, request("taken")))["error"]["code"] == "DL0370"
        assert not (await ask(found, request("hold", v=99)))["ok"]
