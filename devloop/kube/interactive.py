"""A command in a container that is talked to while it runs: its standard streams, its terminal's size, its end.

By a websocket to `pods/exec`. With `v5.channel.k8s.io` (Kubernetes from 1.30 on) the end of standard input can be told;
with `v4` it cannot: what a command reads there ends only with the connection. Nothing is buffered here: who does not
call `receive` holds the command back. For commands that only answer see `devloop.kube.execute`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, cast

import aiohttp
import msgspec

from devloop import errors
from devloop.kube import channels, client, execute, paths, pulse

# API servers translate the end of a stream for kubelets that do not know it (KEP-4006, on by default since 1.30).
V5_SINCE: Final = (1, 30)
OPEN_TIMEOUT_S: Final = 30.0
# How much is sent in one message at most. The kubelet sends 32 KiB.
CHUNK_BYTES: Final = 256 * 1024
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024


class Asked(msgspec.Struct, frozen=True):
    """What is to be run.

    Attributes:
        argv: The program and its arguments; no shell is between.
        name: What it is called in messages.
        stdin: It gets a standard input.
        tty: It gets a terminal, and its two outputs are one.
    """

    argv: tuple[str, ...]
    name: str
    stdin: bool = False
    tty: bool = False


class Session:
    """A running command, made by `opened`. Receiving and sending may go on at the same time, each by one task.

    Attributes:
        ends_stdin: The end of standard input can be told.
    """

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, name: str, beat: pulse.Pulse) -> None:
        self.ends_stdin = websocket.protocol == channels.V5
        self._websocket = websocket
        self._name = name
        self._pulse = beat

    async def receive(self) -> channels.Piece | int:
        """Return what the command printed next, or its exit status.

        Raises:
            NotRunError: It was not started.
            CutError: The connection ended first.
            ExecError: What came is of no exec.
        """
        while True:
            message = await self._websocket.receive()
            self._pulse.heard()
            if message.type is aiohttp.WSMsgType.PING:
                with self._sending():
                    await self._websocket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                found = self._taken(message.data)
                if found is not None:
                    return found
            elif message.type is not aiohttp.WSMsgType.PONG:
                raise self._ended(message)

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Say that for the length of a block nothing is received, so that nobody takes that for silence."""
        return self._pulse.held()

    async def send(self, data: bytes | memoryview) -> None:
        """Send bytes for standard input, at most `CHUNK_BYTES`; wait while the way is full.

        Raises:
            CutError: The connection has ended.
        """
        await self._send(channels.stdin(data))

    async def end_stdin(self) -> None:
        """End standard input; only where `ends_stdin`. See `send` for the rest."""
        assert self.ends_stdin
        await self._send(channels.end_of_stdin())

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the size of the terminal. See `send` for the rest."""
        await self._send(channels.resize(columns, rows))

    async def _send(self, message: bytes) -> None:
        with self._sending():
            await self._websocket.send_bytes(message)

    def _taken(self, message: bytes) -> channels.Piece | int | None:
        if not message:
            return None
        found = channels.piece(message)
        if not found.data or found.channel == channels.CLOSE:
            # Servers open each channel with an empty message; that one has ended says the status, too.
            return None
        if found.channel == channels.STATUS:
            return execute.status_of(bytes(found.data), self._name)
        if found.channel in {channels.STDOUT, channels.STDERR}:
            return found
        raise errors.ExecError(f"the API server used channel {found.channel}, which {self._name} has not")

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        try:
            yield
        except (OSError, aiohttp.ClientError) as error:
            raise cut(self._name, str(error)) from None

    def _ended(self, message: aiohttp.WSMessage) -> errors.ExecError:
        if message.type is aiohttp.WSMsgType.ERROR:
            return cut(self._name, str(message.data or "the connection was reset"))
        if message.type is aiohttp.WSMsgType.TEXT:
            return errors.ExecError(f"the API server sent text where {self._name} has bytes")
        return cut(self._name, "the API server, the node or the pod ended it")


def cut(name: str, why: str) -> errors.CutError:
    """Return the error of a connection that ended before its command."""
    return errors.CutError(
        f"the connection to {name} was cut: {why}",
        hint="the command may still run there; `kubectl get pods` says whether the pod does",
    )


@contextlib.asynccontextmanager
async def opened(
    api: client.Client,
    where: execute.Where,
    asked: Asked,
    protocols: Sequence[str] = (channels.V5, channels.V4),
    *,
    ping_every_s: float = pulse.EVERY_S,
) -> AsyncIterator[Session]:
    """Run a command for as long as the block runs. Leaving it closes the connection, which ends no command by itself.

    Args:
        api: The connection.
        where: The container.
        asked: The command.
        protocols: What may be spoken, the best first.
        ping_every_s: How often to look whether the other side is there.

    Raises:
        CutError: The connection ended, or went silent.
        ClusterError: See `Client.websocket`.
    """
    path = paths.of("v1", "pods", where.namespace, where.pod, "exec")
    streams = {"stdin": asked.stdin, "stdout": True, "stderr": not asked.tty, "tty": asked.tty}
    query: dict[str, str | Sequence[str]] = {key: "true" for key, wanted in streams.items() if wanted}
    query |= {"container": where.container, "command": asked.argv}
    websocket = await api.websocket(path, query, protocols, max_bytes=_MAX_MESSAGE_BYTES, timeout_s=OPEN_TIMEOUT_S)
    silent: pulse.Silent | None = None
    failed: Exception | None = None
    try:
        beat = pulse.Pulse(websocket, ping_every_s)
        try:
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(beat.run())
                try:
                    yield Session(websocket, asked.name, beat)
                except Exception as error:
                    failed = error
                beating.cancel()
        except* pulse.Silent as several:
            silent = cast("pulse.Silent", several.exceptions[0])
    finally:
        await websocket.close()
    if failed is not None:
        raise failed
    if silent is not None:
        raise cut(asked.name, str(silent))
