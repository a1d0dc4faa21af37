"""What the apps of targets on this machine printed: from the watching process's own log of events.

There is no pod whose log could be asked for. The watch writes every event to a file of the project's state folder and
begins that anew when it has become long (`devloop.daemon.logs`); so this shows what is in the two files, and follows
the newer one. Lines get stamps like those of a kubelet, so that everything else treats them alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import os
from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from devloop.logs import values
from devloop.sync import events

# How often the file is looked at; the watch gathers lines for about as long.
LOOK_S: Final = 0.25

_PIECE_BYTES: Final = 256 * 1024
# How `events.to_json` writes the kind of an event that has lines.
_OUTPUT: Final = b'"event":"output"'


def batch(line: bytes, services: Collection[str]) -> values.Batch | None:
    """Return the lines that an event tells of; None where it tells of none, or of others.

    Args:
        line: One line of the log of events.
        services: Whose lines are wanted.
    """
    if _OUTPUT not in line:
        return None
    try:
        event = events.from_json(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(event, events.Output) or event.service not in services:
        return None
    moment = datetime.datetime.fromtimestamp(event.time, tz=datetime.UTC)
    stamp = moment.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()
    origin = values.Origin(event.service, "", "", event.source)
    return values.Batch(origin, 0, [stamp + b" " + text.encode("utf-8", "replace") for text in event.lines])


def begin(found: Iterable[values.Batch], start: values.Start) -> list[values.Batch]:
    """Return what is shown of what was printed before anybody looked.

    Args:
        found: In their order.
        start: From when on, and how many lines of each app or hook.
    """
    since = start.since.removesuffix("Z").encode()
    kept = [each for each in found if not since or each.lines[0] >= since]
    if start.tail is None:
        return kept
    left: dict[values.Origin, int] = {}
    cut: list[values.Batch] = []
    for each in reversed(kept):
        room = left.setdefault(each.origin, start.tail)
        if room:
            cut.append(msgspec.structs.replace(each, lines=each.lines[-room:]))
            left[each.origin] = room - min(room, len(each.lines))
    return cut[::-1]


class Reader:
    """Reads the log of events.

    Args:
        path: The newer file.
        services: Whose lines are wanted.
        start: Where to begin.
        containers: Only what these printed: `app`, `build`, the name of a hook; all where there are none.
    """

    def __init__(
        self, path: str, services: Collection[str], start: values.Start, containers: Collection[str] = ()
    ) -> None:
        self._path = path
        self._services = services
        self._start = start
        self._containers = containers
        self._file: io.BufferedReader | None = None
        self._rest = b""

    async def once(self) -> list[values.Batch]:
        """Return what there is."""
        try:
            return await asyncio.to_thread(self._all)
        finally:
            self._close()

    async def follow(self, put: values.Put) -> None:
        """Put what there is and what comes, until cancelled."""
        try:
            for each in await asyncio.to_thread(self._all):
                await put(each)
            while True:
                for each in await asyncio.to_thread(self._more):
                    await put(each)
                await asyncio.sleep(LOOK_S)
        finally:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _all(self) -> list[values.Batch]:
        old = b""
        with contextlib.suppress(OSError), open(f"{self._path}.1", "rb") as file:
            old = file.read()
        found = [*self._batches(old), *self._more()]
        return begin(found, self._start)

    def _more(self) -> list[values.Batch]:
        """Return what was written since the last time; where the file was begun anew, to its end and from there."""
        found: list[values.Batch] = []
        if self._file is None and not self._open():
            return found
        assert self._file is not None
        found += self._new_lines(self._file)
        if self._is_old(self._file):
            found += self._new_lines(self._file)
            self._close()
            found += self._more()
        return found

    def _open(self) -> bool:
        try:
            self._file = open(self._path, "rb")  # noqa: SIM115  (it stays open between two looks)
        except OSError:
            return False
        self._rest = b""
        return True

    def _is_old(self, file: io.BufferedReader) -> bool:
        try:
            return os.stat(self._path).st_ino != os.fstat(file.fileno()).st_ino
        except OSError:
            return False

    def _new_lines(self, file: io.BufferedReader) -> list[values.Batch]:
        found: list[values.Batch] = []
        while piece := file.read(_PIECE_BYTES):
            whole, end, rest = (self._rest + piece).rpartition(b"\n")
            self._rest = rest
            found += self._batches(whole + end)
        return found

    def _batches(self, text: bytes) -> list[values.Batch]:
        made = (batch(line, self._services) for line in text.split(b"\n"))
        return [each for each in made if each is not None and each.lines and self._wants(each)]

    def _wants(self, each: values.Batch) -> bool:
        return not self._containers or each.origin.container in self._containers
