"""A port of a pod as a channel: one websocket through the API server for one connection, without a socket between.

The plain port-forward has no half-close: the end of this side's way is kept here, and reading goes on until the other
side ends. It does not say either whether the pod took the connection: a refusal comes as words a moment after it was
opened, and is found by whoever reads next. See `devloop.kube.portforward` for the one that carries a link.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from devloop import errors
from devloop.kube import channels, client, paths

# The kubelet sends at most 32 KiB in a message; others may send more.
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
# In smaller messages than this what follows waits less; in larger ones nothing is gained.
_SENT_BYTES: Final = 256 * 1024
_MAX_WORDS: Final = 500
# After the end of this side's way: with so much silence nobody is there any more. Who has closed its socket cannot be
# told from who only ended its way, and the pod's program would wait for an end that a port-forward cannot pass on.
SILENCE_S: Final = 60.0
_DATA: Final = bytes([channels.DATA])


async def dial(api: client.Client, namespace: str, pod: str, port: int, *, timeout_s: float) -> PortChannel:
    """Open a connection to a port on a pod's loopback.

    Args:
        api: The connection.
        namespace: The pod's.
        pod: Its name.
        port: The port, declared or not.
        timeout_s: Until the kubelet has confirmed it.

    Raises:
        ForwardError: It could not be made.
        ClusterError: See `Client.websocket`.
    """
    path = paths.of("v1", "pods", namespace, pod, "portforward")
    deadline = asyncio.get_running_loop().time() + timeout_s
    websocket = await api.websocket(
        path, {"ports": str(port)}, [channels.V4], max_bytes=_MAX_MESSAGE_BYTES, timeout_s=timeout_s
    )
    made = PortChannel(websocket, pod, port)
    try:
        async with asyncio.timeout_at(deadline):
            await made.greeted()
    except TimeoutError:
        made.reset()
        raise errors.ForwardError(
            f"the port-forward to {made.name} was not confirmed in time",
            hint="the pod's node may be away: `kubectl get nodes`",
        ) from None
    except BaseException:
        made.reset()
        raise
    return made


class PortChannel:
    """An open port-forward of one connection; a `devloop.wire.channel.Channel`.

    Args:
        websocket: Just opened.
        pod: The pod's name.
        port: The port that was asked for.

    Attributes:
        pod: As given.
        name: What it leads to, for messages.
        refusal: Why the pod did not take the connection, once that is known.
    """

    def __init__(self, websocket: client.Websocket, pod: str, port: int) -> None:
        self.pod = pod
        self.name = f"port {port} of pod {pod}"
        self.refusal: errors.DialError | None = None
        self._websocket = websocket
        self._channels = channels.PortChannels(port)
        self._ended = False
        self._mine_ended = False
        self._ahead = b""
        self._heard_s = 0.0
        self._given_up = False

    async def greeted(self) -> None:
        """Wait until both channels have named the port.

        Raises:
            ForwardError: Something else came.
        """
        while not self._channels.begun:
            message = await self._websocket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                found = self._channels.feed(message.data)
                if found.data:
                    raise errors.ForwardError(f"the port-forward to {self.name} spoke before it was confirmed")
            elif message.type not in _CONTROL:
                raise errors.ForwardError(f"the port-forward to {self.name} ended before it was confirmed")
            elif message.type is aiohttp.WSMsgType.PING:
                await self._websocket.pong(message.data)

    async def confirmed(self, within_s: float) -> None:
        """Wait a moment for a refusal; return at once when the pod says something.

        Args:
            within_s: How long; one that comes later is found by `read`.

        Raises:
            DialError: The pod refused the connection.
            ForwardError: The connection was cut.
        """
        try:
            async with asyncio.timeout(within_s):
                self._ahead = await self.read()
        except TimeoutError:
            pass
        except ConnectionResetError as error:
            raise self.refusal or errors.ForwardError(str(error)) from None

    async def read(self) -> bytes:
        """See `Channel.read`."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            return ahead
        while not self._ended:
            message = await self._websocket.receive()
            if self._mine_ended:
                self._heard_s = asyncio.get_running_loop().time()
            if message.type is aiohttp.WSMsgType.BINARY:
                data = self._taken(message.data)
                if data:
                    return data
            elif message.type is aiohttp.WSMsgType.PING:
                await self._pong(message.data)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                self._ended = True
                # The connection below is of no more use; nobody waits for its farewell.
                self._websocket.abort()
            elif message.type is not aiohttp.WSMsgType.PONG:
                self._ended = True
                self._websocket.abort()
                if not self._given_up:
                    raise ConnectionResetError(f"the port-forward to {self.name} was cut")
        return b""

    async def write(self, data: bytes | memoryview) -> None:
        """See `Channel.write`."""
        view = memoryview(data)
        while view:
            if self._ended or self._mine_ended:
                raise ConnectionResetError(f"the port-forward to {self.name} has ended")
            piece, view = view[:_SENT_BYTES], view[_SENT_BYTES:]
            try:
                await self._websocket.send_bytes(_DATA + piece)
            except (OSError, aiohttp.ClientError) as error:
                raise ConnectionResetError(f"the port-forward to {self.name} was cut: {error}") from None

    async def write_eof(self) -> None:
        """Send no more. The pod's program is not told, because a port-forward cannot; see `SILENCE_S`."""
        if not self._mine_ended:
            self._mine_ended = True
            self._listen_on()

    def _listen_on(self) -> None:
        """Give the answer its time, anew whenever something came."""
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()

        def look() -> None:
            left_s = self._heard_s + SILENCE_S - loop.time()
            if self._ended:
                return
            if left_s > 0:
                loop.call_later(left_s, look)
            else:
                # Whoever reads finds the end, and not an error: nothing was cut that somebody waited for.
                self._given_up = True
                self._websocket.abort()

        look()

    def reset(self, why: str = "") -> None:
        """See `Channel.reset`."""
        self._ended = True
        self._websocket.abort()

    async def ping(self) -> None:
        """Send something that nobody sees, so that what is between does not take the connection for a dead one."""
        if not self._ended:
            await self._websocket.ping()

    def _taken(self, message: bytes) -> bytes:
        if message[:1] == _DATA:
            # Both heads came already, so what follows the first byte is all data.
            return message[1:]
        try:
            found = self._channels.feed(message)
        except errors.ForwardError as error:
            self.reset()
            raise ConnectionResetError(error.message) from None
        words = " ".join(bytes(found.data[:_MAX_WORDS]).decode("utf-8", "replace").split())
        self.reset()
        self.refusal = _refusal(self.name, words)
        raise ConnectionResetError(self.refusal.message)

    async def _pong(self, data: bytes) -> None:
        try:
            await self._websocket.pong(data)
        except (OSError, aiohttp.ClientError) as error:
            raise ConnectionResetError(f"the port-forward to {self.name} was cut: {error}") from None


_CONTROL: Final = frozenset({aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG})


def _refusal(name: str, words: str) -> errors.DialError:
    """Return the error for the words of the error channel, of which container runtimes make many."""
    if "connection refused" in words.lower():
        return errors.DialError(
            f"{name} refused the connection",
            hint="nothing listens on that port on the pod's own 127.0.0.1",
            why=errors.Refused.PORT,
        )
    return errors.DialError(f"the port-forward to {name} failed: {words}")
