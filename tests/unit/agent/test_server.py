"""Listening: who gets in, how many, and what is left when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import websockets
from websockets.asyncio import client

from agent import parent, server, settings
from devloop import errors
from devloop.protocol import messages
from devloop.transport import dial
from tests.unit.agent import linked
from tests.unit.wire import wired


@contextlib.asynccontextmanager
async def serving(told: settings.Settings) -> AsyncIterator[asyncio.Task[int]]:
    """Serve in this process's loop; on leaving, stop it as a signal would."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(server._serve(told, linked.KEY, ready.set))
        await ready.wait()
        try:
            yield running
        finally:
            if not running.done():
                os.kill(os.getpid(), signal.SIGTERM)
                assert await running == 0
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def connect(told: settings.Settings, group: asyncio.TaskGroup) -> linked.Laptop:
    laptop = linked.Laptop(await dial.unix(told.socket), linked.hello())
    group.create_task(laptop.run())
    return laptop


async def test_a_laptop_is_served_and_told_when_the_agent_stops(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with asyncio.TaskGroup() as group:
        async with serving(told):
            laptop = await connect(told, group)
            await laptop.opened()
            assert not (await laptop.batch({"a": "1"})).problems
        await laptop.ended()
    assert isinstance(laptop.error, errors.LinkError)
    assert "the agent was told to stop" in laptop.error.message
    assert (tmp_path / "r" / "data" / "a").read_text() == "1"


async def test_the_socket_is_its_users_alone_and_goes_with_the_agent(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with serving(told):
        assert stat.S_IMODE(os.stat(told.socket).st_mode) == 0o600
    assert not os.path.exists(told.socket)


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(told.socket)
    async with serving(told), asyncio.TaskGroup() as group:
        laptop = await connect(told, group)
        await laptop.opened()
        laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))


async def test_a_port_is_open_on_this_machine_only(tmp_path: Path) -> None:
    port = free_port()
    told = msgspec.structs.replace(linked.told_in(tmp_path), socket="", port=port)
    async with serving(told):
        connected = socket.create_connection(("127.0.0.1", port))
        link = await dial.over(wired.Wired(connected), "a pod")
        await link.close()
        with pytest.raises(OSError):
            socket.create_connection((outer_address(), port), timeout=1).close()


@pytest.mark.parametrize("taken", ["port", "file", "folder"])
async def test_an_address_that_cannot_be_had_is_one_plain_error(tmp_path: Path, taken: str) -> None:
    told = linked.told_in(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        if taken == "port":
            told = msgspec.structs.replace(told, socket="", port=other.getsockname()[1])
        elif taken == "file":
            Path(told.socket).write_text("precious")
        else:
            Path(told.socket).mkdir()
        with pytest.raises(errors.AgentError, match="cannot listen on"):
            await server._serve(told, linked.KEY, lambda: None)
    if taken == "file":
        assert Path(told.socket).read_text() == "precious"


async def test_more_links_than_it_takes_are_told_to_come_again(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with serving(told):
        open_links = [await dial.unix(told.socket) for _ in range(server.MAX_LINKS)]
        for link in open_links:
            assert await link.recv()
        one_more = await dial.unix(told.socket)
        with pytest.raises(ConnectionError, match="links are open already"):
            await one_more.recv()
        await asyncio.gather(*(link.close() for link in open_links))
        while True:
            again = await dial.unix(told.socket)
            try:
                assert await again.recv()
                break
            except ConnectionError:
                continue
        await again.close()


async def test_a_browser_is_refused(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with serving(told):
        with pytest.raises(websockets.InvalidHandshake):
            await client.unix_connect(told.socket, "ws://agent/", origin=websockets.Origin("http://evil.example"))


async def test_a_text_message_ends_the_link_and_the_laptop_is_told(tmp_path: Path) -> None:
    told = linked.told_in(tmp_path)
    async with serving(told):
        async with client.unix_connect(told.socket, "ws://agent/") as connection:
            assert isinstance(await connection.recv(), bytes)
            await connection.send("hello")
            said = await connection.recv()
            assert isinstance(said, bytes) and b"text message" in said


async def test_it_ends_when_its_parent_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = msgspec.structs.replace(linked.told_in(tmp_path), lifeline=True)
    gone = asyncio.Event()

    async def parent_gone(fd: int) -> None:
        await gone.wait()

    monkeypatch.setattr(parent, "parent_gone", parent_gone)
    monkeypatch.setattr(sys.stdin, "fileno", lambda: 0, raising=False)
    async with serving(told) as running:
        gone.set()
        assert await running == 0


async def test_a_lifeline_that_is_none_is_a_plain_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = msgspec.structs.replace(linked.told_in(tmp_path), lifeline=True)
    with open(tmp_path / "plain", "w+") as plain:
        monkeypatch.setattr(sys, "stdin", plain)
        with pytest.raises(errors.AgentError, match="--lifeline needs a pipe"):
            await server._serve(told, linked.KEY, lambda: None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def outer_address() -> str:
    """Return an address of this machine that is not 127.0.0.1 and still leads to it."""
    return "127.0.0.2" if sys.platform == "linux" else socket.gethostname()


async def test_a_port_that_is_taken_is_an_error_with_a_hint_and_no_group_of_them(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as thief:
        port = thief.getsockname()[1]
        told = msgspec.structs.replace(linked.told_in(tmp_path), socket="", port=port)
        with pytest.raises(errors.AgentError) as caught:
            await server._serve(told, linked.KEY, lambda: None)
    assert caught.value.message == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert f"listens on port {port}" in caught.value.hint
