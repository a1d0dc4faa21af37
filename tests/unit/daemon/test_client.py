"""Asking the watching process, and what is said when there is none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from devloop import errors
from devloop.daemon import bus, client, control
from devloop.sync import events
from tests.unit.daemon.serving import serving


async def echo(args: Mapping[str, Any]) -> Any:
    return dict(args)


async def refuse(args: Mapping[str, Any]) -> Any:
    raise errors.OwnedError("somebody else has it", hint="ask them")


HANDLERS: dict[str, control.Handler] = {"echo": echo, "refuse": refuse}


@pytest.fixture
def path(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "control")


@contextlib.contextmanager
def answering(path: str, talk: Callable[[socket.socket], object]) -> Iterator[None]:
    """Take one connection in a thread, as a watching process that misbehaves would."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(10)


async def test_asking_returns_the_result(path: str) -> None:
    async with serving(path, HANDLERS, bus.Bus()):
        subject = client.Client(path)
        assert await asyncio.to_thread(subject.ask, "echo", {"paths": ["a b", "é"]}) == {"paths": ["a b", "é"]}
        assert await asyncio.to_thread(subject.alive)


async def test_an_error_is_raised_as_it_was_there(path: str) -> None:
    async with serving(path, HANDLERS, bus.Bus()):
        with pytest.raises(client.RemoteError) as caught:
            await asyncio.to_thread(client.Client(path).ask, "refuse")
    error = caught.value
    assert (error.message, error.hint, error.error_code) == ("somebody else has it", "ask them", "DL0400")
    assert error.exit_status is errors.Exit.OWNED


async def test_events_are_followed_to_the_end(path: str) -> None:
    event_bus = bus.Bus()
    event_bus.publish(events.Ready(ms=1))
    async with serving(path, HANDLERS, event_bus):
        follower = client.Client(path).follow(recent=True)
        first = await asyncio.to_thread(next, follower)
        event_bus.publish(events.Stopping())
        event_bus.close()
        rest = await asyncio.to_thread(list, follower)
    assert [type(events.from_json(line)) for line in [first, *rest]] == [events.Ready, events.Stopping]


def test_nobody_watches(path: str) -> None:
    subject = client.Client(path)
    assert not subject.alive()
    with pytest.raises(client.NotWatchingError) as caught:
        subject.ask("status")
    assert "devloop watch" in caught.value.hint
    with pytest.raises(client.NotWatchingError):
        list(subject.follow(recent=False))


def test_a_socket_that_a_killed_process_left_means_that_nobody_watches(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert os.path.exists(path)
    assert not client.Client(path).alive()


def test_a_process_that_ends_before_it_answers(path: str) -> None:
    with answering(path, lambda connection: None):
        with pytest.raises(client.NotWatchingError):
            client.Client(path).ask("status")


def test_a_process_that_does_not_answer_in_time(path: str) -> None:
    asked = threading.Event()
    with answering(path, lambda connection: asked.wait(10)):
        with pytest.raises(errors.LocalError) as caught:
            client.Client(path).ask("status", timeout_s=0.05)
        asked.set()
    assert caught.value.error_code == "DL0341"


def test_a_status_that_is_not_known_yet_is_a_failure(path: str) -> None:
    raw = b'{"ok":false,"error":{"code":"DL9999","message":"new","hint":"","exit_status":42}}\n'
    with answering(path, lambda connection: connection.sendall(raw)):
        with pytest.raises(client.RemoteError) as caught:
            client.Client(path).ask("status")
    assert caught.value.exit_status is errors.Exit.ERROR


def test_a_line_that_was_cut_off_is_no_event(path: str) -> None:
    raw = b'{"ok":true,"result":null}\n{"v":1,"event":"ready","ms":1}\n{"v":1,"ev'
    with answering(path, lambda connection: connection.sendall(raw)):
        assert list(client.Client(path).follow(recent=False)) == [b'{"v":1,"event":"ready","ms":1}']


async def test_what_is_held_ends_with_the_block_or_with_the_watch(path: str) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(args: Mapping[str, Any]) -> AsyncIterator[Any]:
        began.set()
        try:
            yield dict(args)
        finally:
            ended.set()

    def use(wait: bool) -> object:
        with client.Client(path).hold("hold", {"a": 1}) as (result, until_end):
            if wait:
                until_end()
            return result

    def use_refused() -> None:
        with client.Client(path).hold("refuse"):
            pass

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        async with serving(path, HANDLERS, bus.Bus(), {"hold": hold}):
            assert await asyncio.to_thread(use, False) == {"a": 1}
            await ended.wait()
            with pytest.raises(client.RemoteError):
                await asyncio.to_thread(use_refused)
            began.clear()
            waiting = group.create_task(asyncio.to_thread(use, True))
            await began.wait()
        assert await waiting == {"a": 1}
