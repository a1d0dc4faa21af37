"""A port of a pod as a connected socket: no listener on the laptop, one websocket through the API server.

The websocket's messages are pumped to and from one end of a socket pair; the caller speaks over the other one, as if
it had dialled the pod. Each way holds one message and what the sockets' buffers take; when one side does not read, the
other is not read either. Kubelets connect to the port as soon as the websocket is there, one connection for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final, cast

import aiohttp

from devloop import errors
from devloop.kube import channels, client, paths

DIAL_TIMEOUT_S: Final = 10.0
# Four rounds without a byte from the other side, pongs included, and the connection counts as dead: at most 10 s.
PING_EVERY_S: Final = 2.0
_PING_WAIT_S: Final = 0.4
_SILENT_ROUNDS: Final = 3
_CHUNK_BYTES: Final = 256 * 1024
# The kubelet sends at most 32 KiB in a message; others may send more.
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_MAX_WORDS: Final = 500


class Forward:
    """An open port-forward.

    Attributes:
        socket: The caller's end, not blocking. It reads as ended when the forward ends, and is closed with the block
            unless it was taken.
        failure: Why it ended, once it has; None while it is open, and where the caller closed its end.
    """

    def __init__(self, mine: socket.socket) -> None:
        self.socket = mine
        self.taken = False
        self.failure: errors.ForwardError | None = None

    def take(self) -> socket.socket:
        """Return the socket for somebody who closes it, such as `devloop.transport.dial.over`.

        A socket that belongs to a transport of the loop must not be closed by anybody else.
        """
        self.taken = True
        return self.socket


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
    mine, theirs = socket.socketpair()
    opened = Forward(mine)
    try:
        mine.setblocking(False)
        theirs.setblocking(False)
        carrier = _Carrier(websocket, theirs, opened, f"pod {pod} port {port}", port, ping_every_s)
        await carrier.greeted(deadline)
        failed: Exception | None = None
        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(carrier.run())
            try:
                yield opened
            except Exception as error:
                failed = error
            pumping.cancel()
        if isinstance(failed, errors.LinkError) and opened.failure is not None:
            raise opened.failure from failed
        if failed is not None:
            raise failed
    finally:
        theirs.close()
        if not opened.taken:
            mine.close()
        await websocket.close()


class _Over(Exception):
    """The caller closed its end."""


class _Carrier:
    """Pumps one websocket to and from one socket."""

    def __init__(
        self,
        websocket: aiohttp.ClientWebSocketResponse,
        theirs: socket.socket,
        forward: Forward,
        name: str,
        port: int,
        ping_every_s: float,
    ) -> None:
        self.forward = forward
        self._websocket = websocket
        self._theirs = theirs
        self._name = name
        self._channels = channels.PortChannels(port)
        self._ping_every_s = ping_every_s
        # Rounds of the heartbeat since the last message; not counted while the caller does not read.
        self._silent_rounds = 0
        self._delivering = False

    async def greeted(self, deadline: float) -> None:
        """Wait until both channels have named the port."""
        try:
            async with asyncio.timeout_at(deadline):
                while not self._channels.begun:
                    await self._receive()
        except TimeoutError:
            raise errors.ForwardError(
                f"the port-forward to {self._name} was not confirmed in time",
                hint="the pod's node may be away: `kubectl get nodes`",
            ) from None

    async def run(self) -> None:
        """Pump until one side ends; never raises but when cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._down())
                group.create_task(self._up())
                group.create_task(self._heartbeat())
        except* errors.ForwardError as group_of_errors:
            failure = errors.first(group_of_errors)
            assert isinstance(failure, errors.ForwardError)
            self.forward.failure = failure
        except* _Over:
            pass
        finally:
            _finish(self._theirs)

    async def _down(self) -> None:
        while True:
            await self._receive()

    async def _receive(self) -> None:
        """Take one message from the websocket to where it belongs."""
        message = await self._websocket.receive()
        self._silent_rounds = 0
        if message.type is aiohttp.WSMsgType.BINARY:
            await self._deliver(self._channels.feed(message.data))
        elif message.type is aiohttp.WSMsgType.PING:
            with self._sending():
                await self._websocket.pong(message.data)
        elif message.type is not aiohttp.WSMsgType.PONG:
            raise self._ended(message)

    async def _deliver(self, piece: channels.Piece) -> None:
        if not piece.data:
            return
        if piece.channel == channels.ERROR:
            raise self._told(" ".join(bytes(piece.data[:_MAX_WORDS]).decode("utf-8", "replace").split()))
        self._delivering = True
        try:
            await asyncio.get_running_loop().sock_sendall(self._theirs, piece.data)
        except OSError:
            raise _Over from None
        self._delivering = False

    async def _up(self) -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray(_CHUNK_BYTES + 1)
        buffer[0] = channels.DATA
        view = memoryview(buffer)
        while True:
            try:
                size = await loop.sock_recv_into(self._theirs, view[1:])
            except OSError:
                raise _Over from None
            if size == 0:
                # A websocket has no half-close, so the end of one way is the end of both.
                raise _Over
            with self._sending():
                # The frame is masked into a copy of its own before this returns, so the buffer is free again.
                await self._websocket.send_bytes(cast("bytes", view[: size + 1]))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._ping_every_s)
            self._silent_rounds = 0 if self._delivering else self._silent_rounds + 1
            if self._silent_rounds > _SILENT_ROUNDS:
                raise errors.ForwardError(f"the port-forward to {self._name} is silent")
            # The way up may be full; that it is must not keep this from counting.
            with contextlib.suppress(TimeoutError), self._sending():
                async with asyncio.timeout(_PING_WAIT_S):
                    await self._websocket.ping()

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

    def _ended(self, message: aiohttp.WSMessage) -> errors.ForwardError:
        if message.type is aiohttp.WSMsgType.ERROR:
            return errors.ForwardError(f"the port-forward to {self._name} was damaged: {message.data}")
        if message.type is aiohttp.WSMsgType.TEXT:
            return errors.ForwardError(f"the port-forward to {self._name} sent text where bytes belong")
        return errors.ForwardError(
            f"the port-forward to {self._name} ended", hint="the pod's program, the pod or its node ended it"
        )


def _finish(theirs: socket.socket) -> None:
    """Close our end so that the caller reads what was delivered, and then the end.

    What the caller sent and nobody took is taken here: closing over it would make the end an error (ECONNRESET).
    """
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)
        while theirs.recv(_CHUNK_BYTES):
            pass
    theirs.close()
