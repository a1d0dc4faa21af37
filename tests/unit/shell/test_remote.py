"""Commands with our own streams: real processes behind a real websocket, real pipes and terminals here."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pty
import re
import shutil
import signal
import sys
import termios
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from devloop import errors
from devloop.kube import client, execute
from devloop.podspec import names
from devloop.shell import find, remote
from tests.unit.kube import fake_api
from tests.unit.shell import fake_pod
from tests.unit.shell.test_terminal import set_size

WHERE = execute.Where("dev", "web", "app")
FOUND = find.Found(WHERE, {})
each_protocol = pytest.mark.parametrize("version", [20, 30])

Started = Callable[..., Awaitable[int]]


class Laptop:
    """Our side: three pipes, or a terminal."""

    def __init__(self, api: client.Client, *, tty: bool = False) -> None:
        self.api = api
        self.said: list[str] = []
        if tty:
            self.keys, end = pty.openpty()
            set_size(self.keys, 24, 80)
            self.fds = (end, end, end)
        else:
            self.ends = [os.pipe() for _ in range(3)]
            self.keys = self.ends[0][1]
            self.fds = (self.ends[0][0], self.ends[1][1], self.ends[2][1])

    async def run(self, *command: str, found: find.Found = FOUND, **more: Any) -> int:
        console = remote.Console(self.said.append, self.fds)
        try:
            return await remote.run(self.api, found, remote.Job(command, **more), console)
        finally:
            if self.fds[0] != self.fds[1]:
                for fd in self.fds[1:]:
                    os.close(fd)

    async def all_of(self, number: int) -> bytes:
        found = bytearray()
        while data := await asyncio.to_thread(os.read, self.ends[number][0], 1 << 20):
            found += data
        return bytes(found)

    async def until(self, words: str) -> str:
        """Read what the terminal shows until it has something."""
        shown = ""
        async with asyncio.timeout(20):
            while not re.search(words, shown):
                shown += (await asyncio.to_thread(os.read, self.keys, 65536)).decode()
        return shown


@contextlib.asynccontextmanager
async def running(made: Awaitable[int]) -> AsyncIterator[asyncio.Task[int]]:
    async def awaited() -> int:
        return await made

    async with asyncio.TaskGroup() as group:
        task = group.create_task(awaited())
        yield task
        async with asyncio.timeout(30):
            await asyncio.wait([task])


@each_protocol
async def test_streams_are_apart_and_the_status_is_the_commands(
    server: fake_api.FakeApi, api: client.Client, version: int
) -> None:
    fake_pod.Pod(server, version)
    mine = Laptop(api)
    code = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.write('err'); sys.exit(42)"
    async with running(mine.run(sys.executable, "-c", code)) as task:
        assert await mine.all_of(1) == bytes(range(256)) and await mine.all_of(2) == b"err"
    assert task.result() == 42


@each_protocol
async def test_input_arrives_whole_and_its_end_too(server: fake_api.FakeApi, api: client.Client, version: int) -> None:
    pod = fake_pod.Pod(server, version)
    mine = Laptop(api)
    sent = os.urandom(3_000_000)

    def write() -> None:
        with open(mine.keys, "wb") as file:
            file.write(sent)

    async with running(mine.run("sh", "-c", "cat; exit 3", stdin=True)) as task, asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(write))
        got = await mine.all_of(1)
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest() and task.result() == 3
    assert await mine.all_of(2) == b"" and len(pod.commands) == 1


@each_protocol
async def test_a_command_may_end_before_its_input(server: fake_api.FakeApi, api: client.Client, version: int) -> None:
    fake_pod.Pod(server, version)
    mine = Laptop(api)
    sent = threading.Event()

    def write() -> None:
        # Until nobody takes it any more.
        with contextlib.suppress(BrokenPipeError):
            while True:
                os.write(mine.keys, bytes(65536))
                sent.set()

    writer = threading.Thread(target=write)
    writer.start()
    async with running(mine.run("sh", "-c", "head -c 3 >/dev/null; exit 4", stdin=True)) as task:
        assert await mine.all_of(2) == b""
    assert task.result() == 4 and sent.is_set()
    os.close(mine.fds[0])
    await asyncio.to_thread(writer.join, 20)


async def test_nothing_is_read_for_a_command_that_does_not_start(server: fake_api.FakeApi, api: client.Client) -> None:
    fake_pod.Pod(server)
    mine = Laptop(api)
    os.write(mine.keys, b"mine")
    with pytest.raises(errors.NotRunError, match="no program no-such-1 in container app of web") as caught:
        await mine.run("no-such-1", stdin=True)
    assert caught.value.missing and os.read(mine.fds[0], 10) == b"mine"


@pytest.mark.parametrize("tools", [False, True])
async def test_without_the_images_shell_the_lent_one_or_none_is_taken(
    server: fake_api.FakeApi, api: client.Client, tools: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busybox = shutil.which("busybox")
    if tools and not busybox:
        pytest.skip("needs busybox")
    monkeypatch.setattr(remote, "LENT_SHELL", (busybox, "sh"))
    pod = fake_pod.Pod(server, lacks=("sh",))
    mine = Laptop(api)
    async with running(mine.run("echo", "hi", found=find.Found(WHERE, {}, tools=tools))) as task:
        assert await mine.all_of(1) == b"hi\n"
    assert task.result() == 0
    assert [command[0] for command in pod.commands] == ["sh", busybox if tools else "echo"]
    with pytest.raises(errors.NotRunError) as caught:
        await Laptop(api).run("sh", found=FOUND, is_shell=True)
    assert caught.value.missing


async def test_an_old_cluster_and_no_shell_is_said_when_the_input_ends(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    fake_pod.Pod(server, 20, lacks=("sh",))
    mine = Laptop(api)
    os.write(mine.keys, b"abc")
    os.close(mine.keys)
    async with running(mine.run("head", "-c", "3", stdin=True)) as task:
        assert await mine.all_of(1) == b"abc"
    assert task.result() == 0 and len(mine.said) <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_the_commands(server: fake_api.FakeApi, api: client.Client, number: signal.Signals) -> None:
    fake_pod.Pod(server)
    mine = Laptop(api)
    code = f"import signal, sys, time; signal.signal({int(number)}, lambda *_: sys.exit(9)); print('up', flush=True)"
    async with running(mine.run(sys.executable, "-c", f"{code}; time.sleep(60)")) as task:
        assert await asyncio.to_thread(os.read, mine.ends[1][0], 2) == b"up"
        os.kill(os.getpid(), number)
    assert task.result() == 9


async def test_who_ignores_two_signals_is_killed(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = fake_pod.Pod(server)
    mine = Laptop(api)
    async with running(mine.run("sh", "-c", "trap '' INT; echo up; sleep 60 & wait; wait; sleep 60")) as task:
        assert await asyncio.to_thread(os.read, mine.ends[1][0], 2) == b"up"
        for count in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            async with asyncio.timeout(20):
                while len(pod.commands) < count + 2:
                    await asyncio.sleep(0.01)
    assert task.result() == 128 + signal.SIGKILL


async def test_before_the_command_runs_a_signal_ends_us(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = fake_pod.Pod(server, lacks=("sh",))
    mine = Laptop(api)
    async with running(mine.run("sleep", "60")) as task:
        async with asyncio.timeout(20):
            while len(pod.commands) < 2:
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
    # Without a shell nobody can signal it, which is said.
    assert task.result() == 128 + signal.SIGTERM
    assert not mine.said or "may still run" in mine.said[0]


async def test_when_nobody_reads_the_command_ends(server: fake_api.FakeApi, api: client.Client) -> None:
    fake_pod.Pod(server)
    mine = Laptop(api)
    async with running(mine.run("yes")) as task:
        assert await asyncio.to_thread(os.read, mine.ends[1][0], 2) == b"y\n"
        os.close(mine.ends[1][0])
    assert task.result() == 128 + signal.SIGPIPE


async def test_a_cut_line_is_said_and_the_terminal_is_as_before(server: fake_api.FakeApi, api: client.Client) -> None:
    pod = fake_pod.Pod(server)
    mine = Laptop(api, tty=True)
    before = termios.tcgetattr(mine.fds[0])

    async def failing() -> errors.CutError:
        with pytest.raises(errors.CutError) as caught:
            await mine.run("sh", "-c", "echo up; sleep 60", tty=True, stdin=True)
        return caught.value

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(failing())
        await mine.until("up")
        assert termios.tcgetattr(mine.fds[0]) != before
        pod.transports[0].abort()
    assert task.result().exit_status == errors.Exit.UNREACHABLE and termios.tcgetattr(mine.fds[0]) == before


async def test_a_terminal_has_its_size_its_keys_and_its_end(server: fake_api.FakeApi, api: client.Client) -> None:
    fake_pod.Pod(server)
    mine = Laptop(api, tty=True)
    before = termios.tcgetattr(mine.fds[0])
    script = "trap 'echo size $(stty size)' WINCH; echo first $(stty size); read line; echo got $line; exit 5"
    async with running(mine.run("bash", "-c", script, tty=True, stdin=True)) as task:
        shown = await mine.until(r"first \d+ \d+")
        assert "0123" not in shown and re.search(r"first (24 80|0 0)", shown)
        set_size(mine.keys, 33, 101)
        os.kill(os.getpid(), signal.SIGWINCH)
        os.write(mine.keys, b"hello\r")
        await mine.until("got hello")
    assert task.result() == 5 and termios.tcgetattr(mine.fds[0]) == before


async def test_keys_that_stop_programs_are_the_other_ends(server: fake_api.FakeApi, api: client.Client) -> None:
    fake_pod.Pod(server)
    mine = Laptop(api, tty=True)
    async with running(mine.run("sh", "-c", "echo up; sleep 60", tty=True, stdin=True)) as task:
        await mine.until("up")
        os.write(mine.keys, b"\x03")
    assert task.result() == 128 + signal.SIGINT


async def test_a_forbidden_exec_is_said_as_such(server: fake_api.FakeApi, api: client.Client) -> None:
    fake_pod.Pod(server)
    server.on("GET", fake_pod.PATH, fake_api.refusing(403, 'pods "web" is forbidden: User "u" cannot get'))
    with pytest.raises(errors.ForbiddenError, match="you may not get pods/exec") as caught:
        await Laptop(api).run("true", stdin=True)
    assert "kubectl auth can-i" in caught.value.hint


def test_the_lent_shell_is_where_injection_puts_it() -> None:
    assert remote.LENT_SHELL == (names.BUSYBOX, "sh")
