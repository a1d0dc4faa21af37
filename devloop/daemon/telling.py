"""What an agent tells of its app and its hooks, as the events that people see."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from devloop.protocol import messages
from devloop.sync import events

Told: TypeAlias = messages.Output | messages.AppChanged | messages.HookStarted | messages.HookDone


def event_of(message: Told, rewrite: Callable[[str], str]) -> events.Event:
    """Return the event that a message is.

    Args:
        message: What the agent said.
        rewrite: Turns the target's paths in a line of output into the laptop's.
    """
    match message:
        case messages.Output():
            text = message.data.decode("utf-8", "replace").removesuffix("\n")
            lines = tuple(rewrite(line) for line in text.split("\n"))
            return events.Output(source=message.source, lines=lines, err=message.err, dropped=message.dropped)
        case messages.AppChanged():
            return events.AppChanged(phase=message.phase, pid=message.pid, starts=message.starts, detail=message.detail)
        case messages.HookStarted():
            return events.CommandStarted(name=message.name)
        case messages.HookDone():
            return events.CommandDone(name=message.name, ok=message.ok, outcome=message.outcome, ms=message.duration_ms)
