"""What the keys of the live screen do: the same as the verbs of these names, each with a line that answers.

A verb prints its answer and ends; a key has nothing but the event stream, so its answer is a notice. What events tell
by themselves, such as an app that starts again, is not told here a second time.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from devloop import errors
from devloop.sync import events, status

# How long a flush waits at the most, unless its caller says otherwise.
FLUSH_TIMEOUT_S: Final = 30.0

_WORDS: Final = {
    "drift-changed": "changed there by someone else",
    "drift-missing": "removed there by someone else",
    "extra": "only there",
    "pending-put": "not sent yet",
    "pending-delete": "not deleted there yet",
    "held-delete": "deleted here and held",
    "problem": "in trouble",
}


class Asked(Protocol):
    """The part of the daemon that the keys use."""

    def snapshot(self) -> status.ProjectStatus:
        """Return what `status` shows."""

    def set_paused(self, paused: bool) -> None:
        """Stop sending, or go on."""

    async def approve(self) -> int:
        """Let held deletions go; return how many were held."""

    async def restart_all(self) -> int:
        """Restart every app that there is; return how many there are."""

    async def flush(self, names: Iterable[str], timeout_s: float) -> Mapping[str, str]:
        """Wait until what was saved is in the targets; return each service's state."""

    async def diff(self, names: Iterable[str]) -> list[status.DiffRow]:
        """Look through the targets; return what differs."""

    def tell(self, event: events.Notice) -> None:
        """Show a notice in every view."""


def pause(asked: Asked) -> None:
    """Stop sending, or go on; the event says which."""
    asked.set_paused(not asked.snapshot().paused)


async def approve(asked: Asked) -> None:
    """Let held deletions go, and take lost folders as they are; what follows is told by their events."""
    stopped = any(each.state == "stopped" for each in asked.snapshot().services)
    if not await asked.approve() and not stopped:
        _say(asked, "nothing waits for approval")


async def restart(asked: Asked) -> None:
    """Restart the apps; each tells by its own events that it did."""
    if not await asked.restart_all():
        _say(asked, "no service has an app that devloop runs: give it `command:` in devloop.yaml")


async def flush(asked: Asked) -> None:
    """Wait until the last save is in the targets, and say for each service whether it is."""
    for name, state in (await asked.flush((), FLUSH_TIMEOUT_S)).items():
        if state == "in sync":
            _say(asked, "flushed: everything that was saved is in the target", name)
        else:
            _say(asked, f"what was saved may not all be in the target: {state}", name, events.Level.WARNING)


async def diff(asked: Asked) -> None:
    """Look through the targets and say in a line for each service how it differs."""
    # A large target takes seconds, and a key that does nothing visible is pressed again.
    _say(asked, "looking for what differs in the targets …")
    for each in asked.snapshot().services:
        try:
            rows = await asked.diff([each.name])
        except errors.DevloopError as error:
            # The other services' targets can be looked through all the same.
            _say(asked, f"cannot tell what differs: {error.message}", each.name, events.Level.WARNING)
            continue
        _say(asked, _summary(rows), each.name)


def _summary(rows: Iterable[status.DiffRow]) -> str:
    counts = collections.Counter(row.what for row in rows)
    if not counts:
        return "diff: laptop and target are the same"
    told = ", ".join(f"{count:,} {_WORDS.get(what, what)}" for what, count in sorted(counts.items()))
    return f"diff: {told}; `devloop diff` lists them"


def _say(asked: Asked, message: str, service: str = "", level: events.Level = events.Level.INFO) -> None:
    asked.tell(events.Notice(service=service, level=level, message=message))
