"""What a container has printed, as the API server passes it on: one request, pieces of bytes.

The kubelet reads the file that it keeps for the container's current run, or with `previous` for the run before, and
sends every line whose stamp is not before `since`, in the order of the file. It looks at whole seconds only: the API
server cuts a fraction off (`LogLocation`, 1.20 to 1.36). What follows from that is decided in `devloop.logs`.

A kubelet that has nothing to send sends no head either, so a log that is followed may open with its first line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp
import msgspec

from devloop import errors
from devloop.kube import client, failures, paths

NOT_STARTED_CODE: Final = "DL0790"
NO_PREVIOUS_CODE: Final = "DL0791"
RECLAIMED_CODE: Final = "DL0792"
CONTAINER_CODE: Final = "DL0802"

# What the kubelet sends as the body of a success where the runtime has removed the container (kuberuntime's
# `GetContainerLogs`); no line of a log, because a line begins with its stamp.
_RECLAIMED: Final = b"unable to retrieve container logs for "


class Ask(msgspec.Struct, frozen=True):
    """Which log, and how much of it. Lines come with their stamps always.

    Attributes:
        namespace: The pod's.
        pod: Its name.
        container: The container's name.
        follow: Go on until the container ends.
        previous: The run before the current one.
        since: Only lines from this moment on, RFC 3339 in whole seconds; empty for all.
        tail: Only so many lines at the end; None for all.
    """

    namespace: str
    pod: str
    container: str
    follow: bool = False
    previous: bool = False
    since: str = ""
    tail: int | None = None

    def query(self) -> dict[str, str]:
        """Return the request's parameters (Kubernetes API reference, `PodLogOptions`)."""
        asked = {"container": self.container, "timestamps": "true"}
        if self.follow:
            asked["follow"] = "true"
        if self.previous:
            asked["previous"] = "true"
        if self.since:
            asked["sinceTime"] = self.since
        if self.tail is not None:
            asked["tailLines"] = str(self.tail)
        return asked


async def read(api: client.Client, ask: Ask, *, silence_s: float) -> AsyncGenerator[bytes | None]:
    """Yield the log in pieces as they come. Close it with `contextlib.aclosing`.

    As long as the consumer takes nothing, nothing more is read than one buffer: then the API server waits.

    Args:
        api: The connection.
        ask: Which log.
        silence_s: After so long without a byte it yields None and ends.

    Raises:
        ForbiddenError: With the verb that is missing.
        NotThereError: The pod is gone, or has no such container.
        UnreachableError: The API server or the kubelet does not answer, or the connection was cut.
        ClusterError: Of code `NOT_STARTED_CODE`, `NO_PREVIOUS_CODE` or `RECLAIMED_CODE`, or as `Client.get`.
    """
    path = paths.of("v1", "pods", ask.namespace, ask.pod, "log")
    async with contextlib.AsyncExitStack() as stack:
        try:
            # The client's own deadlines are the longer ones, so that silence is not taken for an API server in trouble.
            async with asyncio.timeout(silence_s):
                opening = api.stream(path, ask.query(), silence_s=2 * silence_s, opening_s=2 * silence_s)
                body = await stack.enter_async_context(opening)
        except TimeoutError:
            yield None
            return
        except errors.ClusterError as error:
            raise _translated(error, ask) from None
        async with contextlib.aclosing(_pieces(api, body, ask, silence_s)) as pieces:
            async for piece in pieces:
                yield piece


async def _pieces(
    api: client.Client, body: aiohttp.StreamReader, ask: Ask, silence_s: float
) -> AsyncGenerator[bytes | None]:
    first = True
    while True:
        patience = asyncio.timeout(silence_s)
        try:
            async with patience:
                piece = await body.readany()
        except client.TROUBLE as error:
            if isinstance(error, TimeoutError) and patience.expired():
                yield None
                return
            raise failures.of_exception(error, api.cluster.server) from None
        if not piece:
            return
        if first and piece.startswith(_RECLAIMED):
            raise _reclaimed(ask)
        first = False
        yield piece


def _translated(error: errors.ClusterError, ask: Ask) -> errors.ClusterError:
    """Return the error in devloop's words; the kubelet's (`validateContainerLogStatus`) come with the status 400."""
    words = error.message
    where = f"{ask.pod}, container {ask.container}"
    if error.status != 400:
        return error
    if "previous terminated container" in words:
        return errors.ClusterError(
            f"{where}: there was no run before this one",
            hint="a container has one after it was restarted; leave --previous out to read the current one",
            code=NO_PREVIOUS_CODE,
            status=400,
        )
    if "is not valid for pod" in words:
        return errors.NotThereError(
            f"{ask.pod} has no container {ask.container}", hint="check --container", code=CONTAINER_CODE, status=400
        )
    if any(said in words for said in ("waiting to start", "is not available", "is terminated", "does not have a host")):
        return errors.ClusterError(
            f"{where}: not started yet: {words.rpartition(': ')[2]}",
            hint=f"`kubectl describe pod {ask.pod}` tells what it waits for",
            code=NOT_STARTED_CODE,
            status=400,
        )
    return error


def _reclaimed(ask: Ask) -> errors.ClusterError:
    which = "the run before this one" if ask.previous else "this run"
    return errors.ClusterError(
        f"{ask.pod}, container {ask.container}: the node has removed the log of {which}",
        hint="Kubernetes keeps one ended run of a container at most; nothing older can be had",
        code=RECLAIMED_CODE,
        status=200,
    )
