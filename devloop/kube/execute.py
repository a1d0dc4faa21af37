"""Running a command in a container, to its end: its output as bytes, and its exit status.

By a websocket to `pods/exec`, without standard input and without a terminal. For commands that answer shortly, such as
`python -m agent key`; everything has a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import msgspec

from devloop import errors
from devloop.kube import channels, client, paths

TIMEOUT_S: Final = 30.0
MAX_BYTES: Final = 4 * 1024 * 1024
# Room for the message that says how a command ended.
_STATUS_BYTES: Final = 64 * 1024
# What the API server and its Status say of it: `causes` holds the exit status where the command ran.
_EXIT_CAUSE: Final = "ExitCode"


class Result(msgspec.Struct, frozen=True):
    """How a command ended.

    Attributes:
        status: Its exit status.
        stdout: What it printed.
        stderr: What it complained.
    """

    status: int
    stdout: bytes
    stderr: bytes


class Where(msgspec.Struct, frozen=True):
    """A container.

    Attributes:
        namespace: The pod's namespace.
        pod: The pod.
        container: The container's name.
    """

    namespace: str
    pod: str
    container: str


async def run(
    api: client.Client,
    where: Where,
    argv: Sequence[str],
    *,
    timeout_s: float = TIMEOUT_S,
    max_bytes: int = MAX_BYTES,
) -> Result:
    """Run a command and return how it ended; its exit status is no error.

    Cancelling closes the connection. The command itself is not signalled by that: Kubernetes has no way to.

    Args:
        api: The connection.
        where: The container.
        argv: The program and its arguments; no shell is between.
        timeout_s: For all of it.
        max_bytes: How much it may print, both streams together.

    Raises:
        ExecError: It could not be started, did not end in time, or printed too much.
        ClusterError: See `Client.websocket`.
    """
    path = paths.of("v1", "pods", where.namespace, where.pod, "exec")
    query = {"container": where.container, "stdout": "true", "stderr": "true", "command": list(argv)}
    name = f"{argv[0]} in container {where.container} of pod {where.pod}"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    websocket = await api.websocket(
        path, query, [channels.V5, channels.V4], max_bytes=max_bytes + _STATUS_BYTES, timeout_s=timeout_s
    )
    try:
        async with asyncio.timeout_at(deadline):
            return await _collect(websocket, name, max_bytes)
    except TimeoutError:
        raise errors.ExecError(f"{name} did not end within {timeout_s:g} s") from None
    finally:
        await websocket.close()


async def _collect(websocket: aiohttp.ClientWebSocketResponse, name: str, max_bytes: int) -> Result:
    streams = {channels.STDOUT: bytearray(), channels.STDERR: bytearray()}
    while True:
        message = await websocket.receive()
        if message.type is aiohttp.WSMsgType.PING:
            await websocket.pong(message.data)
            continue
        if message.type is aiohttp.WSMsgType.PONG:
            continue
        if message.type is aiohttp.WSMsgType.ERROR:
            # Of a message over the bound no byte is taken.
            raise errors.ExecError(f"the output of {name} cannot be taken: {message.data}")
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise errors.ExecError(f"the connection ended before {name} did", hint="its pod or node may be going away")
        found = channels.piece(message.data)
        if found.channel == channels.STATUS and found.data:
            return Result(status_of(bytes(found.data), name), *(bytes(stream) for stream in streams.values()))
        if found.channel in streams:
            streams[found.channel] += found.data
        if sum(map(len, streams.values())) > max_bytes:
            raise errors.ExecError(f"{name} printed more than {max_bytes} bytes")


def status_of(text: bytes, name: str) -> int:
    """Return the exit status that the message on the status channel tells.

    Args:
        text: The message, a `metav1.Status`.
        name: What was run, for messages.

    Raises:
        NotRunError: The command did not run at all.
        ExecError: The message says nothing.
    """
    try:
        told: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
        if told.get("status") == "Success":
            return 0
        for cause in (told.get("details") or {}).get("causes") or []:
            if cause.get("reason") == _EXIT_CAUSE:
                return int(cause["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError):
        raise errors.ExecError(f"the API server did not say how {name} ended") from None
    words = str(told.get("message") or told.get("reason") or "no reason given")
    raise errors.NotRunError(f"{name} could not be run: {words}", hint=_hint(words), missing=_is_missing(words))


def _is_missing(words: str) -> bool:
    # runc's words for execve's ENOENT, with and without a search on PATH.
    return "executable file not found" in words or "no such file or directory" in words


def _hint(words: str) -> str:
    if _is_missing(words):
        return "the image has no such program"
    if "not running" in words or "container not found" in words:
        return "wait until the container runs: `kubectl get pods`"
    return ""
