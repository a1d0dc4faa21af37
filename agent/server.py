"""Listening: a websocket server on a unix socket or on 127.0.0.1, one conversation for each connection.

Browsers are refused by their `Origin`. Everything that comes before the key was proved is bounded by the protocol's
session.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from websockets.asyncio import server

from agent import conversation, host, parent, settings
from devloop import errors
from devloop.proc import memory
from devloop.protocol import messages
from devloop.wire import websocket

# Links at once: the one that is served, and some that are being refused or replaced.
MAX_LINKS: Final = 8

# RFC 6455's registry: the code for a server that is too busy.
TRY_AGAIN_LATER: Final = 1013

# Threads that wait for the interpreter are let in after this long; Python's 5 ms would show in every save.
SWITCH_INTERVAL_S: Final = 0.0005


def run(told: settings.Settings, key: bytes, on_ready: Callable[[], None]) -> int:
    """Serve until told to stop, or until the parent is gone; return the exit status.

    Args:
        told: The settings.
        key: The agent's key.
        on_ready: Called once links are taken.

    Raises:
        DevloopError: A root cannot be used, or the address cannot.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    memory.keep_small()
    memory.collect_rarely()
    return asyncio.run(_serve(told, key, on_ready))


async def _serve(told: settings.Settings, key: bytes, on_ready: Callable[[], None]) -> int:
    agent = host.Agent(told)
    await agent.in_thread(agent.open)
    stop = asyncio.Event()
    failed: errors.DevloopError | None = None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(agent.run())]
            if told.lifeline:
                tasks.append(group.create_task(_until_orphaned(stop)))
            async with _listening(told, agent, key):
                on_ready()
                await stop.wait()
                await agent.end_link(messages.Bye(messages.Refusal.STOPPING, "the agent was told to stop"))
            for task in tasks:
                task.cancel()
    except* errors.DevloopError as several:
        # What is raised here would come out as a group, which nobody above expects.
        failed = errors.first(several)
    if failed is not None:
        raise failed
    return 0


async def _until_orphaned(stop: asyncio.Event) -> None:
    try:
        await parent.parent_gone(sys.stdin.fileno())
    except (OSError, ValueError) as error:
        raise errors.AgentError(
            f"--lifeline needs a pipe as standard input: {error}", hint="start the agent with a pipe, or without it"
        ) from error
    stop.set()


@contextlib.asynccontextmanager
async def _listening(told: settings.Settings, agent: host.Agent, key: bytes) -> AsyncIterator[None]:
    """Take links; on leaving, end those that are left."""
    links = 0

    async def converse(connection: server.ServerConnection) -> None:
        nonlocal links
        if links >= MAX_LINKS:
            await connection.close(TRY_AGAIN_LATER, f"{MAX_LINKS} links are open already")
            return
        links += 1
        try:
            await conversation.Conversation(agent, key, websocket.WebSocket(connection)).run()
        finally:
            links -= 1

    try:
        if told.socket:
            listening = await _on_socket(told.socket, converse)
        else:
            listening = await server.serve(converse, "127.0.0.1", told.port, **_options())
    except OSError as error:
        raise _deaf(told, error) from error
    try:
        async with listening:
            yield
    finally:
        if told.socket:
            with contextlib.suppress(OSError):
                os.unlink(told.socket)


def _deaf(told: settings.Settings, error: OSError) -> errors.AgentError:
    """Return the error for an address that cannot be had."""
    where = told.socket or f"127.0.0.1:{told.port}"
    # asyncio puts the address into `strerror` once more.
    why = os.strerror(error.errno) if error.errno else str(error)
    taken = error.errno == errno.EADDRINUSE and not told.socket
    hint = f"something else in the pod listens on port {told.port}: let it use another one" if taken else ""
    return errors.AgentError(f"cannot listen on {where}: {why}", hint=hint, code="DL0606")


async def _on_socket(path: str, converse: Callable[[server.ServerConnection], Awaitable[None]]) -> server.Server:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "something else than a socket is there")
        os.unlink(path)
    old = os.umask(0o177)
    try:
        return await server.unix_serve(converse, path, **_options())
    finally:
        os.umask(old)


def _options() -> dict[str, Any]:
    return {**websocket.options(), "origins": [None], "server_header": None, "open_timeout": 10.0}
