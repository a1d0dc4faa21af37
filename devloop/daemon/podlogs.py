"""`watch --logs`: what the services' containers print, as events for the views.

A process of its own reads them, `devloop logs --follow`, with a lower priority than this one: a flood of lines takes a
processor, and a save must not wait for it, neither for the loop nor for the interpreter's lock. It prints a line of
JSON for each line; this reads them at its own pace, and what it does not take waits in a pipe, then there, then in the
API server. A view that does not keep up loses lines, with their number told, and no event of a sync (`daemon.bus`).
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from devloop.sync import events

# How long lines are gathered, and how much of them at most: a flood becomes a few events a second. 1.3 MB/s is some
# 7,000 lines: more than anybody reads, and what it costs, here, in the API server and on the node, is held in bounds.
GATHER_S: Final = 0.05
PIECE_BYTES: Final = 64 * 1024

# A reader that ended is started again after so long.
AGAIN_S: Final = 5.0
END_S: Final = 2.0

# How a remark of the other process is told.
_HINT: Final = "hint: "


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line as `devloop logs -o json` prints it; see `devloop.ui.podlines`."""

    service: str
    pod: str
    container: str
    line: str


class PodLogs:
    """The logs of the services of a watch.

    Args:
        argv: The command that prints them until its standard input ends.
        publish: Takes the events.
        again_s: See `AGAIN_S`.
    """

    def __init__(
        self, argv: Sequence[str], publish: Callable[[events.Event], None], *, again_s: float = AGAIN_S
    ) -> None:
        self._argv = argv
        self._publish = publish
        self._again_s = again_s
        self._told = ""

    async def run(self) -> None:
        """Follow until cancelled. Trouble becomes a notice and ends nothing."""
        while True:
            try:
                await self._once()
            except OSError as error:
                self._say(f"the logs cannot be followed: {error.strerror}")
            await asyncio.sleep(self._again_s)

    async def _once(self) -> None:
        process = await subprocess.create_subprocess_exec(
            *self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=PIECE_BYTES,
            # Ctrl-C in the terminal is for the watch, which ends this.
            start_new_session=True,
        )
        assert process.stdout is not None and process.stderr is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(process.stdout))
                group.create_task(self._read_remarks(process.stderr))
        finally:
            await _end(process)

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while piece := await stream.read(PIECE_BYTES):
            whole, end, rest = (rest + piece).rpartition(b"\n")
            if end:
                for event in events_of(whole):
                    self._publish(event)
            await asyncio.sleep(GATHER_S)

    async def _read_remarks(self, stream: asyncio.StreamReader) -> None:
        async for raw in stream:
            text = raw.decode("utf-8", "replace").strip()
            if text and not text.startswith(_HINT):
                self._say(text)

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._publish(events.Notice(level=events.Level.INFO, message=text))


async def _end(process: subprocess.Process) -> None:
    """End the reader: its standard input ends, which it obeys at once, and if it does not, by force."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(END_S):
            await _drain(process.stdout)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await _drain(process.stdout)
        await process.wait()
        # Python before 3.11.5 tells the end of a timeout as cancellation where the task is being cancelled.
        if not isinstance(error, TimeoutError):
            raise
    else:
        await process.wait()


async def _drain(stream: asyncio.StreamReader) -> None:
    """Read to the end: who writes to a full pipe hears of nothing else, and asyncio does not see such a process end."""
    while await stream.read(PIECE_BYTES):
        pass


def events_of(text: bytes) -> list[events.Output]:
    """Return what some lines of JSON tell, an event for each container, in the order in which they first speak.

    Args:
        text: Whole lines; one that is no line of a log is passed over.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in _lines(text.split(b"\n")):
        found.setdefault((each.service, each.pod, each.container), []).append(each.line)
    return [
        events.Output(service=service, source="log", pod=pod, container=container, lines=tuple(lines))
        for (service, pod, container), lines in found.items()
    ]


def _lines(raw: Iterable[bytes]) -> Iterable[Line]:
    for line in raw:
        with contextlib.suppress(msgspec.DecodeError):
            yield _decoder.decode(line)


def command(run: Sequence[str], services: Iterable[str], options: Mapping[str, str]) -> list[str]:
    """Return the command line that follows the logs for a watch.

    Args:
        run: What starts devloop.
        services: Whose; there are some.
        options: Global options with a value, such as `--file`; empty ones are left out.
    """
    chosen = [word for flag, value in options.items() if value for word in (flag, value)]
    return [*run, "logs", "--follow", "--leashed", "--tail", "0", "-o", "json", *chosen, *services]


_decoder: Final = msgspec.json.Decoder(Line)
