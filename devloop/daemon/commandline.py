"""Running the user's commands on the laptop: builds, and hooks with `in: laptop`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from devloop.core import exits
from devloop.proc import child, lines
from devloop.sync import events


class Outcome(msgspec.Struct, frozen=True):
    """How a command ended.

    Attributes:
        ok: With status 0.
        text: For people.
    """

    ok: bool
    text: str


async def run(
    name: str, argv: Sequence[str], cwd: str, timeout_s: float, publish: Callable[[events.Event], None]
) -> Outcome:
    """Run a command to its end, its lines and its fate published as events.

    Args:
        name: What it is called in them.
        argv: The command.
        cwd: The folder it runs in, absolute.
        timeout_s: After this its group is ended.
        publish: Where the events go.

    Cancellation: its group is ended first.
    """
    publish(events.CommandStarted(name=name))
    began_s = time.monotonic()
    queue = lines.LineQueue()
    async with asyncio.TaskGroup() as group:
        group.create_task(_show(queue, publish))
        try:
            outcome = await _run(name, argv, cwd, timeout_s, queue)
        finally:
            queue.close()
    took_ms = (time.monotonic() - began_s) * 1000
    publish(events.CommandDone(name=name, ok=outcome.ok, outcome=outcome.text, ms=took_ms))
    return outcome


async def _run(name: str, argv: Sequence[str], cwd: str, timeout_s: float, queue: lines.LineQueue) -> Outcome:
    process = child.start(argv, cwd=cwd, env=None, output=queue, source=name)
    if isinstance(process, child.StartFailure):
        return Outcome(False, f"{process.message} ({process.hint})" if process.hint else process.message)
    late = ""
    try:
        async with asyncio.timeout(timeout_s):
            await process.exited()
    except TimeoutError:
        late = f"did not end within {timeout_s:g} s"
    finally:
        # What it left behind in its group ends here too.
        status = await process.end()
    if status is None:
        return Outcome(False, "does not end after SIGKILL")
    return Outcome(status == 0 and not late, late or exits.describe(status))


async def _show(queue: lines.LineQueue, publish: Callable[[events.Event], None]) -> None:
    while (taken := await queue.take()) is not None:
        dropped = taken.dropped
        for line in taken.lines:
            is_error = line.stream is not lines.Stream.STDOUT
            publish(events.Output(source=line.source, lines=(line.text,), err=is_error, dropped=dropped))
            dropped = 0
