"""Joins a channel with a connected TCP socket: what the one brings goes to the other, both ways, until both ended.

The end of one way is passed on and leaves the other open; a reset of either is passed on at once. Nothing is kept
besides one read's worth for each way, and nobody is given up for being quiet.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final, Protocol, runtime_checkable

from devloop.wire import channel

FIRST_READ_BYTES: Final = 16 * 1024
"""What a connection that is mostly quiet keeps for reading."""

MAX_READ_BYTES: Final = 240 * 1024
"""What one that fills its buffer grows to: as much as one message of the agent's link holds."""

_LINGER_NOT: Final = struct.pack("ii", 1, 0)


@runtime_checkable
class Watched(Protocol):
    """A channel whose reset is also told to somebody who neither reads nor writes it, but waits for the socket."""

    def watch(self, waiting: asyncio.Future[None]) -> None:
        """Set the future when the channel is reset; it takes the place of the one before."""


class Traffic:
    """What a connection has carried.

    Attributes:
        sent_bytes: From the socket to the channel.
        received_bytes: From the channel to the socket.
    """

    __slots__ = ("received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.received_bytes = 0


async def join(carried: channel.Channel, connected: socket.socket, traffic: Traffic | None = None) -> str:
    """Carry both ways until both have ended, or either was reset; both are closed on return.

    Args:
        carried: The channel.
        connected: Non-blocking, and taken over.
        traffic: Counts.

    Returns:
        What ended it by force, for people; empty where both ways ended in order.

    Cancellation: both are reset.
    """
    counted = traffic if traffic is not None else Traffic()
    trouble = "cancelled"
    try:
        _no_delay(connected)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_to_socket(carried, connected, counted))
                await _to_channel(carried, connected, counted)
            trouble = ""
        except* OSError as several:
            trouble = str(several.exceptions[0])
    finally:
        if trouble:
            carried.reset(trouble)
            abort(connected)
        connected.close()
    return trouble


def abort(connected: socket.socket) -> None:
    """Close a TCP socket so that its peer sees a reset."""
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    connected.close()


def _no_delay(connected: socket.socket) -> None:
    if connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _to_channel(carried: channel.Channel, connected: socket.socket, traffic: Traffic) -> None:
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(FIRST_READ_BYTES))
    while size := await loop.sock_recv_into(connected, buffer):
        traffic.sent_bytes += size
        await carried.write(buffer[:size])
        if size == len(buffer) < MAX_READ_BYTES:
            buffer = memoryview(bytearray(MAX_READ_BYTES))
    await carried.write_eof()


async def _to_socket(carried: channel.Channel, connected: socket.socket, traffic: Traffic) -> None:
    while data := await carried.read():
        left = memoryview(data)
        while left:
            try:
                sent = connected.send(left)
            except BlockingIOError:
                await _writable(carried, connected)
            else:
                left = left[sent:]
                traffic.received_bytes += sent
    # A peer that has closed its socket is told by the other way.
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_WR)


async def _writable(carried: channel.Channel, connected: socket.socket) -> None:
    """Wait until a socket takes more.

    Raises:
        ConnectionResetError: The channel was reset meanwhile.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[None] = loop.create_future()
    broken: asyncio.Future[None] = loop.create_future()
    broken.add_done_callback(lambda _: _set(waiting))
    if isinstance(carried, Watched):
        carried.watch(broken)
    loop.add_writer(connected, _set, waiting)
    try:
        await waiting
    finally:
        loop.remove_writer(connected)
    if broken.done():
        raise ConnectionResetError("the other side has reset the stream")


def _set(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
