"""A port of a pod as a byte stream for a link: no listener on the laptop, one websocket through the API server.

What the caller writes is a message of the websocket at once, and what it reads is the next one: nothing runs between
the two, no socket and no task, because every step between costs each save its wake-up. When one side does not read,
the other is not read either. Kubelets connect to the port as soon as the websocket is there, one connection for each.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import aiohttp

from devloop import errors
from devloop.kube import channels, client, paths

DIAL_TIMEOUT_S: Final = 10.0
# Four rounds without a byte from the other side, pongs included, and the connection counts as dead: at most 10 s.
PING_EVERY_S: Final = 2.0
_PING_WAIT_S: Final = 0.4
_SILENT_ROUNDS: Final = 3
# The kubelet sends at most 32 KiB in a message; others may send more.
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
# In larger messages nothing is gained, and what is between has to hold each of them whole.
_SENT_BYTES: Final = 512 * 1024
_MAX_WORDS: Final = 500
_DATA: Final = bytes([channels.DATA])


class Forward:
    """An open port-forward; a `devloop.wire.channel.Channel`.

    Args:
        websocket: Just opened.
        name: What it leads to, for messages.
        port: The port that was asked for.
        ping_every_s: How often to look whether the other side is there.

    Attributes:
        failure: Why it ended, once it has and somebody has read that; None while it is open, and where this side
            ended it.
    """

    def __init__(self, websocket: client.Websocket, name: str, port: int, ping_every_s: float) -> None:
        self.failure: errors.ForwardError | None = None
        self._websocket = websocket
        self._name = name
        self._channels = channels.PortChannels(port)
        self._ping_every_s = ping_every_s
        self._ended = False
        self._ahead = b""

    async def greeted(self, deadline: float) -> None:
        """Wait until both channels have named the port.

        Raises:
            ForwardError: They have not in time, or something else came.
        """
        try:
            async with asyncio.timeout_at(deadline):
                while not self._channels.begun:
                    self._ahead += await self._taken(await self._websocket.receive())
        except TimeoutError:
            raise errors.ForwardError(
                f"the port-forward to {self._name} was not confirmed in time",
                hint="the pod's node may be away: `kubectl get nodes`",
            ) from None

    async def read(self) -> bytes:
        """Return the next bytes; empty once the forward has ended, and `failure` then says why.

        While somebody waits here the other side is asked now and then whether it is there: one that is silent has
        ended. Whoever does not read does not find out, and is not told of an end that is none.
        """
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        try:
            while not self._ended:
                data = await self._taken(await self._received())
                if data:
                    return data
        except errors.ForwardError as error:
            # An end that this side brought about is no failure.
            if not self._ended:
                self.failure = error
                self._ended = True
                self._websocket.abort()
        return b""

    async def write(self, data: bytes | memoryview) -> None:
        """Send bytes; wait while the other side takes no more.

        Raises:
            ConnectionResetError: The forward has ended.
        """
        view = memoryview(data)
        while view:
            if self._ended:
                raise ConnectionResetError(f"the port-forward to {self._name} has ended")
            piece, view = view[:_SENT_BYTES], view[_SENT_BYTES:]
            try:
                await self._websocket.send_bytes(b"".join((_DATA, piece)))
            except (OSError, aiohttp.ClientError) as error:
                raise ConnectionResetError(f"the port-forward to {self._name} was cut: {error}") from None

    async def write_eof(self) -> None:
        """End both ways, for a websocket has no half-close."""
        self.reset()

    def reset(self, why: str = "") -> None:
        """End both ways at once; whoever reads finds the end."""
        self._ended = True
        self._websocket.abort()

    async def _received(self) -> aiohttp.WSMessage:
        """Return the next message.

        Raises:
            ForwardError: None came for too long.
        """
        for _ in range(_SILENT_ROUNDS + 1):
            try:
                async with asyncio.timeout(self._ping_every_s):
                    return await self._websocket.receive()
            except TimeoutError:
                # The way up may be full; that it is must not keep this from counting.
                with contextlib.suppress(TimeoutError), self._sending():
                    async with asyncio.timeout(_PING_WAIT_S):
                        await self._websocket.ping()
        raise errors.ForwardError(f"the port-forward to {self._name} is silent")

    async def _taken(self, message: aiohttp.WSMessage) -> bytes:
        """Return what a message brings the caller, which may be nothing.

        Raises:
            ForwardError: It is the end.
        """
        if message.type is aiohttp.WSMsgType.BINARY:
            piece = self._channels.feed(message.data)
            if piece.channel == channels.ERROR and piece.data:
                raise self._told(" ".join(bytes(piece.data[:_MAX_WORDS]).decode("utf-8", "replace").split()))
            return bytes(piece.data)
        if message.type is aiohttp.WSMsgType.PING:
            with self._sending():
                await self._websocket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.PONG:
            raise self._over(message)
        return b""

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except (OSError, aiohttp.ClientError) as error:
            raise errors.ForwardError(f"the port-forward to {self._name} was cut: {error}") from None

    def _told(self, words: str) -> errors.ForwardError:
        """Return the error for the words of the error channel, of which container runtimes make many."""
        if "connection refused" in words:
            return errors.ForwardError(
                f"the port-forward to {self._name} was refused in the pod",
                hint="nothing listens on that port on the pod's own 127.0.0.1",
            )
        return errors.ForwardError(f"the port-forward to {self._name} failed: {words}")

    def _over(self, message: aiohttp.WSMessage) -> errors.ForwardError:
        if message.type is aiohttp.WSMsgType.ERROR:
            return errors.ForwardError(f"the port-forward to {self._name} was damaged: {message.data}")
        if message.type is aiohttp.WSMsgType.TEXT:
            return errors.ForwardError(f"the port-forward to {self._name} sent text where bytes belong")
        return errors.ForwardError(
            f"the port-forward to {self._name} ended", hint="the pod's program, the pod or its node ended it"
        )


@contextlib.asynccontextmanager
async def forward(
    api: client.Client,
    namespace: str,
    pod: str,
    port: int,
    *,
    timeout_s: float = DIAL_TIMEOUT_S,
    ping_every_s: float = PING_EVERY_S,
) -> AsyncIterator[Forward]:
    """Open a port-forward for as long as the block runs.

    Where the block fails with a `LinkError` because the forward ended, the forward's own reason is raised instead.

    Args:
        api: The connection.
        namespace: The pod's.
        pod: Its name.
        port: A port on its loopback, declared or not.
        timeout_s: Until the kubelet has confirmed it.
        ping_every_s: How often to look whether the other side is there.

    Raises:
        ForwardError: It could not be made.
        ClusterError: See `Client.websocket`.
    """
    path = paths.of("v1", "pods", namespace, pod, "portforward")
    deadline = asyncio.get_running_loop().time() + timeout_s
    websocket = await api.websocket(
        path, {"ports": str(port)}, [channels.V4], max_bytes=_MAX_MESSAGE_BYTES, timeout_s=timeout_s
    )
    opened = Forward(websocket, f"pod {pod} port {port}", port, ping_every_s)
    try:
        await opened.greeted(deadline)
        yield opened
    except errors.LinkError as error:
        if opened.failure is None:
            raise
        raise opened.failure from error
    finally:
        await websocket.close()
