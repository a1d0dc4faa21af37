"""The proxy for people's own programs: SOCKS5 and HTTP CONNECT on one port of the loopback, told apart by a byte.

What a client wants is read under a deadline and a bound; then its connection is carried as any other. Names are
resolved on the pod's side, and what may be dialled is decided there.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
from collections.abc import Callable, Sequence
from typing import Final

from devloop import errors
from devloop.ports import client, hold, httpproxy, listener, socks, tally, way

# A client says what it wants at once; one that does not is no client, or a program that only holds the port.
HEAD_S: Final = 10.0
# Clients that have not said yet what they want.
MAX_ASKING: Final = 256
_PIECE_BYTES: Final = 4096
# An answer that refuses is followed by this much reading, so that what the client still sends does not destroy it.
_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 256 * 1024

Ways = Callable[[str, int], Sequence[way.Way]]
"""Returns the ways to a host's port that are there now."""


class _Asked(Exception):
    """The client is answered, and that is all."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer


class Proxy:
    """Serves the connections of one listener.

    Args:
        ways: How hosts are reached.
        holder: Finds a way, and holds the connection until there is one.
        head_s: How long a client may take to say what it wants.
    """

    def __init__(self, ways: Ways, holder: hold.Holder, *, head_s: float = HEAD_S) -> None:
        self._ways = ways
        self._holder = holder
        self._head_s = head_s
        self._asking = 0

    async def serve(self, one: client.Client, counts: tally.Tally) -> None:
        """Carry one connection to its end; see `listener.Serve`."""
        try:
            host, port, granted, refused = await self._asked(one)
            await self._carry(host, port, granted, refused, one, counts)
        except _Asked as asked:
            await _tell(one.socket, asked.answer)
        except (hold.GoneError, OSError, TimeoutError):
            # Who leaves, or says nothing in time, has lost the claim to an answer.
            pass

    async def _asked(self, one: client.Client) -> tuple[str, int, bytes, Callable[[errors.DevloopError], bytes]]:
        """Return whom the client wants, what to say when it is there, and how to say that it cannot be."""
        if self._asking >= MAX_ASKING:
            raise TimeoutError
        self._asking += 1
        try:
            async with asyncio.timeout(self._head_s):
                first = await _received(one.socket)
                if first[0] in {socks.VERSION, socks.OLD_VERSION}:
                    wanted = await _socks(one, first)
                    return wanted.host, wanted.port, socks.reply(socks.Reply.OK), socks.reply_to
                head = await _http(one, first)
                granted = httpproxy.ESTABLISHED if head.tunnel else b""
                return head.host, head.port, granted, httpproxy.failed
        finally:
            self._asking -= 1

    async def _carry(
        self,
        host: str,
        port: int,
        granted: bytes,
        refused: Callable[[errors.DevloopError], bytes],
        one: client.Client,
        counts: tally.Tally,
    ) -> None:
        counts.held += 1
        try:
            stream, chosen = await self._holder.open(lambda: self._ways(host, port), one)
        except errors.DevloopError as error:
            counts.failed(f"{host}:{port}: {error.message}", error.error_code)
            raise _Asked(refused(error)) from None
        finally:
            counts.held -= 1
        try:
            await asyncio.get_running_loop().sock_sendall(one.socket, granted)
            await listener.joined(stream, chosen, one, counts)
        except errors.DevloopError as error:
            counts.failed(f"{host}:{port}: {error.message}", error.error_code)
        finally:
            # Does nothing where both ways have ended.
            stream.reset()


async def _socks(one: client.Client, first: bytes) -> socks.Request:
    said = socks.Conversation()
    data = first
    while True:
        answer = said.feed(data)
        if said.refused:
            raise _Asked(answer)
        await asyncio.get_running_loop().sock_sendall(one.socket, answer)
        if said.request is not None:
            one.keep(said.rest)
            return said.request
        data = await _received(one.socket)


async def _http(one: client.Client, first: bytes) -> httpproxy.Head:
    if not first[:1].isalpha():
        raise _Asked(b"")
    found = bytearray(first)
    while httpproxy.END not in found:
        if len(found) > httpproxy.MAX_HEAD_BYTES:
            status = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _Asked(httpproxy.answer(status, "the head of the request is too long"))
        found += await _received(one.socket)
    raw, _, rest = bytes(found).partition(httpproxy.END)
    try:
        head = httpproxy.parse(raw + httpproxy.END)
    except httpproxy.Refusal as refusal:
        raise _Asked(httpproxy.answer(refusal.status, refusal.message, refusal.hint)) from None
    one.keep(head.onward + rest)
    return head


async def _received(connection: socket.socket) -> bytes:
    data = await asyncio.get_running_loop().sock_recv(connection, _PIECE_BYTES)
    if not data:
        raise ConnectionResetError("the client has left")
    return data


async def _tell(connection: socket.socket, answer: bytes) -> None:
    """Send a last answer, and give the client the time to read it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_LINGER_S):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            left = _LINGER_BYTES
            while left > 0 and (data := await loop.sock_recv(connection, _PIECE_BYTES)):
                left -= len(data)
