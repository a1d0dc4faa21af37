"""Real agent processes for the tests, and hands that speak the protocol to them frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio import client

from devloop import __version__
from devloop.protocol import codec, handshake, messages, state, version
from tests.unit.agent import linked

REPO = Path(__file__).resolve().parents[2]


class Process:
    """A running agent."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.folder = folder
        self.data = folder / "r" / "data"
        self.socket = str(folder / "s")
        self.state = folder / "agent"
        self.process = process
        self.port = port
        assert process.stdout is not None
        self.said: dict[str, Any] = json.loads(process.stdout.readline())

    @property
    def key(self) -> bytes:
        return (self.state / "key").read_bytes()

    def connect(self, **more: Any) -> client.connect:
        options: dict[str, Any] = {"compression": None, "max_size": None, "close_timeout": 1.0, **more}
        if self.port:
            return client.connect(f"ws://127.0.0.1:{self.port}/", proxy=None, **options)
        return client.unix_connect(self.socket, "ws://agent/", **options)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a plain connection, before any upgrade."""
        if self.port:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_unix_connection(self.socket)

    def figure(self, name: str) -> int:
        """Return a figure of /proc/PID/status, in kB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(name)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPO), "PYTHONWARNINGS": "error", **more}


def roots_in(folder: Path) -> str:
    base = folder / "r"
    return json.dumps([{"to": "/r", **{name: str(base / name) for name in ("data", "stage", "state")}}])


def started(folder: Path) -> subprocess.Popen[bytes]:
    """Start an agent with one root on a unix socket, for a test that ends it as it likes."""
    command = [sys.executable, "-m", "agent", "serve", "--roots", roots_in(folder), "--state", str(folder / "agent")]
    return subprocess.Popen(
        [*command, "--socket", str(folder / "s")], stdout=subprocess.PIPE, env=environment(), cwd=folder
    )


@contextlib.contextmanager
def running(folder: Path, *, port: bool = False, **env: str) -> Iterator[Process]:
    """Start an agent with one root; on leaving it must end in order, and must not have crashed or complained."""
    number = free_port() if port else 0
    where = ["--port", str(number)] if port else ["--socket", str(folder / "s")]
    command = [sys.executable, "-m", "agent", "serve", "--roots", roots_in(folder), "--state", str(folder / "agent")]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            [*command, *where], stdout=subprocess.PIPE, stderr=complaints, env=environment(**env), cwd=folder
        )
        with process:
            try:
                yield Process(folder, process, number)
                assert process.poll() is None, "the agent has crashed"
            finally:
                process.terminate()
                status = process.wait(20)
                complaints.seek(0)
                said = complaints.read().decode()
    assert (status, said) == (0, "")


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the agent's command line to its end."""
    command = [sys.executable, "-m", "agent", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, timeout=30, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Hand:
    """A laptop that says what the test wants, frame by frame."""

    def __init__(self, connection: client.ClientConnection, key: bytes) -> None:
        self.connection = connection
        self.key = key
        self.writer = codec.FrameWriter()
        self.reader = codec.FrameReader()
        self.nonce = secrets.token_bytes(32)
        self.theirs = b""

    async def send(self, *sent: messages.Message) -> None:
        for message in sent:
            await self.connection.send(self.writer.frame(codec._encoder.encode(message)))

    async def recv(self) -> messages.Message:
        async with asyncio.timeout(20):
            raw = await self.connection.recv()
        assert isinstance(raw, bytes)
        return self.reader.message(raw)

    async def bye(self) -> messages.Bye:
        """Return the agent's farewell; what else it says is passed over."""
        while True:
            message = await self.recv()
            if isinstance(message, messages.Bye):
                return message

    async def until(self, kind: type[messages.Message]) -> messages.Message:
        while True:
            message = await self.recv()
            if isinstance(message, kind):
                return message
            assert not isinstance(message, messages.Bye), message

    async def nonces(self, *, major: int = version.MAJOR, own: str = __version__) -> None:
        told = await self.recv()
        assert isinstance(told, messages.Nonce)
        self.theirs = told.nonce
        await self.send(messages.Nonce(handshake.MAGIC, major, self.nonce, own))

    def proof(self) -> messages.Proof:
        return handshake.proof(self.key, state.Role.LAPTOP, self.nonce, self.theirs)

    async def prove(self) -> messages.AgentHello:
        await self.nonces()
        await self.send(self.proof())
        answer = await self.recv()
        expected = handshake.proof(self.key, state.Role.AGENT, self.nonce, self.theirs)
        assert answer == expected
        hello = await self.recv()
        assert isinstance(hello, messages.AgentHello)
        return hello

    async def open(self) -> messages.AgentHello:
        hello = await self.prove()
        await self.send(linked.hello(secrets.token_hex(4), epoch=hello.epoch + 1))
        await self.until(messages.Welcome)
        return hello


@contextlib.asynccontextmanager
async def hand(agent: Process, key: bytes | None = None) -> AsyncIterator[Hand]:
    connection = await agent.connect()
    try:
        yield Hand(connection, key or agent.key)
    finally:
        # What the agent has cut off may not even be closed any more.
        with contextlib.suppress(AttributeError):
            await connection.close()
