"""List and watch: what a set of objects is now, and every change of it, through whatever the network does.

A list, then a watch from its version on. When the watch ends or breaks it is resumed from the last version seen; where
the API server has forgotten that version (410, as an answer or as an event) all is listed anew. Bookmarks keep the
version fresh. Waits between tries grow, with jitter.

Objects are dicts as the API server sends them. A consumer must take `Listed` for all there is: what it knew and is not
in there is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from devloop import errors
from devloop.core import backoff
from devloop.kube import client, failures, paths

# The API server ends a watch after so long; the jitter keeps many laptops from coming back at once.
_LASTS_S: Final = 270
_LASTS_JITTER_S: Final = 60
# A bookmark comes about once a minute, so more silence than this means that the other side is gone. Dead peers are
# found sooner, by TCP (see `devloop.kube.sockets`).
SILENCE_S: Final = 90.0
# An object may have 1.5 MiB in etcd, and more as JSON.
_MAX_LINE_BYTES: Final = 64 * 1024 * 1024
_GONE: Final = 410


class Listed(msgspec.Struct, frozen=True):
    """All objects that there are now.

    Attributes:
        objects: The objects.
    """

    objects: tuple[client.Object, ...]


class Changed(msgspec.Struct, frozen=True):
    """One object was made or changed.

    Attributes:
        object: As it is now.
    """

    object: client.Object


class Gone(msgspec.Struct, frozen=True):
    """One object was deleted, or is no longer selected.

    Attributes:
        object: As it was last.
    """

    object: client.Object


class Trouble(msgspec.Struct, frozen=True):
    """Nothing is known of changes at the moment.

    Attributes:
        error: Why.
        wait_s: The next try comes after so long.
    """

    error: errors.ClusterError
    wait_s: float


Event: TypeAlias = Listed | Changed | Gone | Trouble


class Watch:
    """One watch.

    Args:
        api: The connection.
        path: The objects' path, without a name.
        query: What to select: `labelSelector`, `fieldSelector`.
        silence_s: After so long without a byte the connection counts as dead.
        first_s: The first wait between tries.
    """

    def __init__(
        self,
        api: client.Client,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        silence_s: float = SILENCE_S,
        first_s: float = backoff.FIRST_S,
    ) -> None:
        self._api = api
        self._path = path
        self._query = dict(query or {})
        self._silence_s = silence_s
        self._first_s = first_s
        self._waits = backoff.delays(first_s=first_s)
        self._version = ""
        self._ever = False

    async def events(self) -> AsyncGenerator[Event]:
        """Yield what happens, without end; `Listed` first. Close it with `contextlib.aclosing`.

        A failure is a `Trouble`, after which it goes on by itself. Only before the first `Listed` what a wait does not
        mend ends it: an API server that is starting may deny for a while what it allowed before.

        Raises:
            ClusterError: There is no right to list, or nothing of this kind, from the beginning.
        """
        while True:
            trouble: errors.ClusterError | None = None
            try:
                if not self._version:
                    listing = await self._api.list(self._path, self._query)
                    self._version, self._ever = listing.version, True
                    yield Listed(listing.items)
                async with contextlib.aclosing(self._watch()) as watched:
                    async for event in watched:
                        yield event
                continue
            except errors.ClusterError as error:
                if error.status == _GONE:
                    # The API server has forgotten the version, or a list changed too much between its pages.
                    self._version = ""
                elif not self._ever and not isinstance(error, errors.UnreachableError):
                    raise
                else:
                    trouble = error
            wait_s = next(self._waits)
            if trouble is not None:
                yield Trouble(trouble, wait_s)
            await asyncio.sleep(wait_s)

    async def _watch(self) -> AsyncGenerator[Event]:
        """Yield the events of one watch request until it ends."""
        query = {
            **self._query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(_LASTS_S + random.randrange(_LASTS_JITTER_S)),  # noqa: S311  (jitter)
        }
        began_at = asyncio.get_running_loop().time()
        any_seen = False
        async with self._api.stream(self._path, query, silence_s=self._silence_s) as body:
            lines = Lines()
            while True:
                try:
                    part = await body.readany()
                except client.TROUBLE as error:
                    raise failures.of_exception(error, self._api.cluster.server) from None
                if not part:
                    break
                for line in lines.feed(part):
                    event = self._read(line)
                    if not any_seen:
                        any_seen = True
                        self._waits = backoff.delays(first_s=self._first_s)
                    if event is not None:
                        yield event
        if not any_seen and asyncio.get_running_loop().time() - began_at < 1.0:
            # A server that ends every watch at once must not be asked in a tight loop.
            await asyncio.sleep(next(self._waits))

    def _read(self, line: bytes) -> Event | None:
        try:
            told = msgspec.json.decode(line)
            kind, found = told["type"], told["object"]
            meta = found.get("metadata") or {}
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            raise errors.UnreachableError(
                "the API server sent what is no watch event", code=failures.STRANGER_CODE
            ) from None
        if kind == "ERROR":
            raise self._error(found)
        version = meta.get("resourceVersion")
        if isinstance(version, str) and version:
            self._version = version
        if kind in {"ADDED", "MODIFIED"}:
            return Changed(found)
        return Gone(found) if kind == "DELETED" else None

    def _error(self, told: Mapping[str, Any]) -> errors.ClusterError:
        status = failures.status_of(told)
        if status.reason in {"Expired", "Gone"}:
            # Some servers of aggregated APIs give the reason without the number.
            status = msgspec.structs.replace(status, code=_GONE)
        return failures.of_status(status, paths.asked("GET", self._path, watching=True))


class Lines:
    """Cuts a stream of bytes into lines, without looking at any byte twice."""

    def __init__(self, max_bytes: int = _MAX_LINE_BYTES) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._max_bytes = max_bytes

    def feed(self, part: bytes) -> list[bytes]:
        """Take more bytes, and return the lines that are whole now, without their ends and without empty ones.

        Raises:
            UnreachableError: A line is too long to be an object.
        """
        *whole, rest = part.split(b"\n")
        lines = []
        for piece in whole:
            line = b"".join((*self._parts, piece))
            self._parts, self._size = [], 0
            if line.strip():
                lines.append(line)
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._max_bytes:
            raise errors.UnreachableError(
                f"the API server sent a line of more than {self._max_bytes} bytes", code=failures.STRANGER_CODE
            )
        return lines
