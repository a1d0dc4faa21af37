"""The control socket: other devloop commands ask the watching process through it.

A unix socket in the runtime folder, mode 0600. A request is one line of JSON, `{"v": 1, "verb": …, "args": {…}}`; the
answer is one line, `{"ok": true, "result": …}` or `{"ok": false, "error": {…}}`; `events` goes on with one event a
line until either side hangs up, and what is held (`proxy`) is there until then. The client is `devloop.daemon.client`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.daemon import bus
from devloop.sync import events

VERSION: Final = 1

# A request names a verb and a few paths; anything longer is not one of ours.
MAX_REQUEST_BYTES: Final = 1024 * 1024

# Clients at once: a person has a few terminals and an IDE.
MAX_CLIENTS: Final = 64

# What a client sends after its request is read in pieces of this size and thrown away.
_SKIPPED_BYTES: Final = 4096

# A connection that does not send its request, or take its answer, within this time is dropped.
REQUEST_TIMEOUT_S: Final = 10.0


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request."""

    v: int
    verb: str
    args: dict[str, Any] = {}


class Failure(msgspec.Struct, frozen=True):
    """An error as the other side shows it."""

    code: str
    message: str
    hint: str
    exit_status: int


class Answer(msgspec.Struct, frozen=True, omit_defaults=False):
    """One answer."""

    ok: bool
    result: Any = None
    error: Failure | None = None


Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]

Holder = Callable[[Mapping[str, Any]], contextlib.AbstractAsyncContextManager[Any]]
"""Answers with what its block is given, and keeps it up until the client hangs up."""


class ControlServer:
    """Serves the control socket.

    Args:
        path: The socket; its folder is 0700 and ours.
        handlers: What answers each verb.
        event_bus: What `events` follows.
        holders: What is held for as long as a client stays, by verb.
    """

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        event_bus: bus.Bus,
        holders: Mapping[str, Holder] | None = None,
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._holders = holders or {}
        self._bus = event_bus
        self._clients = 0
        self._stopping = False

    async def run(self, started: asyncio.Event) -> None:
        """Serve until cancelled.

        Args:
            started: Set once the socket takes connections.

        Raises:
            OSError: The socket cannot be made.
        """
        with contextlib.suppress(FileNotFoundError):
            # The project's lock is held, so a socket that is there belongs to nobody.
            os.unlink(self._path)
        try:
            async with asyncio.TaskGroup() as group:
                server = await self._listen(group)
                try:
                    started.set()
                    # Not `serve_forever`: when it is cancelled it waits for the clients, and they are only cancelled
                    # once this block is left (Python 3.12.1 and later).
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._stopping = True
                    server.close()
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    async def _listen(self, group: asyncio.TaskGroup) -> asyncio.Server:
        # A plain callback: the tasks of clients belong to our group, not to the server's own devices.
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._stopping:
                writer.close()
                return
            # By a callback, because a task that is cancelled before its first step runs nothing of its own.
            group.create_task(self._serve(reader, writer)).add_done_callback(lambda _: writer.close())

        old = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(connected, self._path, limit=MAX_REQUEST_BYTES)
        finally:
            os.umask(old)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients > MAX_CLIENTS:
                return
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            # The client is gone, said nothing in time, or said too much: it has lost its claim to an answer.
            pass
        finally:
            self._clients -= 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            line = await reader.readuntil(b"\n")
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            await _write(writer, Answer(False, error=Failure("DL0100", f"not a request: {error}", "", 2)))
            return
        if request.verb == "events":
            await self._follow(request.args, reader, writer)
            return
        holder = self._holders.get(request.verb)
        if holder is not None and request.v == VERSION:
            await _hold(holder, request.args, reader, writer)
            return
        await _write(writer, await self._answer(request))

    async def _answer(self, request: Request) -> Answer:
        if request.v != VERSION:
            hint = "stop the watching process with `devloop stop` and start it again"
            return Answer(False, error=Failure("DL0520", "another version of devloop is watching", hint, 6))
        handler = self._handlers.get(request.verb)
        if handler is None:
            hint = "stop the watching process with `devloop stop` and start it again"
            return Answer(False, error=Failure("DL0100", f"unknown request {request.verb!r}", hint, 2))
        try:
            return Answer(True, await handler(request.args))
        except errors.DevloopError as error:
            return Answer(False, error=failure(error))

    async def _follow(
        self, args: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        subscription = self._bus.subscribe(recent=bool(args.get("recent")))
        try:
            await _write(writer, Answer(True))
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(_send_events(subscription, writer))
                # The client says nothing more; the end of its stream is how it leaves.
                leaving = group.create_task(_wait_for_end(reader))
                await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
                sending.cancel()
                leaving.cancel()
        finally:
            self._bus.unsubscribe(subscription)


async def _hold(
    holder: Holder, args: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    failed: errors.DevloopError | None = None
    try:
        async with holder(args) as result:
            await _write(writer, Answer(True, result))
            await _wait_for_end(reader)
    except errors.DevloopError as error:
        failed = error
    if failed is not None:
        await _write(writer, Answer(False, error=failure(failed)))


async def _send_events(subscription: bus.Subscription, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        async for event in subscription:
            writer.write(events.to_json(event) + b"\n")
            await writer.drain()


async def _wait_for_end(reader: asyncio.StreamReader) -> None:
    # A client that leaves with events unread resets the connection: that is an end like any other.
    with contextlib.suppress(OSError):
        while await reader.read(_SKIPPED_BYTES):
            pass


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(events.encode(answer) + b"\n")
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        await writer.drain()


def failure(error: errors.DevloopError) -> Failure:
    """Return an error in the form that crosses the socket."""
    return Failure(error.error_code, error.message, error.hint, int(error.exit_status))
