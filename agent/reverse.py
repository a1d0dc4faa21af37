"""Reverse ports: listening on the pod's loopback for the laptop, which makes the other half of each connection.

Listeners belong to one link and are closed with it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Final

from devloop import errors
from devloop.protocol import messages
from devloop.wire import pump, streams

BACKLOG: Final = 128
"""Connections that may wait to be taken."""

ANSWER_TIMEOUT_S: Final = 15.0
"""How long the laptop may take to connect to what it offers."""


class Reverse:
    """The listeners of one link.

    Args:
        group: Where connections are carried.
        own_port: Where the agent itself listens; 0 for nowhere.
    """

    def __init__(self, group: asyncio.TaskGroup, own_port: int) -> None:
        self._group = group
        self._own_port = own_port
        self._takers: dict[int, list[tuple[socket.socket, asyncio.Task[None]]]] = {}
        self._carried: set[asyncio.Task[None]] = set()
        self._streams: streams.Streams | None = None

    def use(self, opened: streams.Streams) -> None:
        """Take the link's streams, which tell what to listen on."""
        self._streams = opened

    def take(self, message: messages.Listen | messages.Unlisten) -> None:
        """Take up what the laptop wants; never waits."""
        if isinstance(message, messages.Unlisten):
            self._close(message.number)
        else:
            self._listen(message)

    def end(self) -> None:
        """Close everything: the link has ended."""
        for number in list(self._takers):
            self._close(number)
        for task in self._carried:
            task.cancel()

    def _listen(self, message: messages.Listen) -> None:
        assert self._streams is not None
        try:
            found = _listen_on(message.port, self._own_port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken" if taken else f"cannot be had: {os.strerror(error.errno or 0)}"
            hint = "something in the pod listens there already: stop it, or use another port" if taken else ""
            if error.errno == errno.EACCES:
                hint = "ports below 1024 need a privilege that the agent does not have: use another port"
            self._streams.listening(message.number, f"port {message.port} of the pod {why}", hint)
            return
        self._takers[message.number] = [
            (each, self._group.create_task(self._accept(each, message.number))) for each in found
        ]
        self._streams.listening(message.number)

    def _close(self, number: int) -> None:
        for listening, task in self._takers.pop(number, ()):
            task.cancel()
            # At once: the port may be wanted again by the very next message.
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()

    async def _accept(self, listening: socket.socket, number: int) -> None:
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                try:
                    taken, peer = await loop.sock_accept(listening)
                except OSError as error:
                    # Where there is no room for it, those that wait keep waiting until some that are open end.
                    is_full = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
                    await asyncio.sleep(1.0 if is_full else 0.01)
                    continue
                task = self._group.create_task(self._carry(taken, number, f"{peer[0]}:{peer[1]}"))
                self._carried.add(task)
                task.add_done_callback(self._carried.discard)

    async def _carry(self, taken: socket.socket, number: int, peer: str) -> None:
        assert self._streams is not None
        try:
            channel = await self._streams.announce(number, peer, timeout_s=ANSWER_TIMEOUT_S)
        except errors.DevloopError:
            # What a refused port does on the laptop it does here.
            pump.abort(taken)
            return
        except BaseException:
            pump.abort(taken)
            raise
        await pump.join(channel, taken)


def _listen_on(port: int, own_port: int) -> list[socket.socket]:
    """Return sockets that listen on a port of the loopback, IPv4 and, where there is, IPv6.

    Raises:
        OSError: It cannot be had.
    """
    if port == own_port:
        raise OSError(errno.EADDRINUSE, "the agent's own")
    found = [_listen_one(socket.AF_INET, "127.0.0.1", port)]
    try:
        found.append(_listen_one(socket.AF_INET6, "::1", port))
    except OSError as error:
        # A pod without IPv6 has no ::1; a port that is taken on one of the two is taken.
        if error.errno == errno.EADDRINUSE:
            found[0].close()
            raise
    return found


def _listen_one(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made
