"""The lines that an editor's background matcher waits for, as a state machine.

    devloop: sync started (12 files)
    devloop: sync complete in 84 ms
    devloop: sync failed
    devloop: ready

They are an interface: plain, never localised, and always paired. Several services and batches make one cycle: it
begins with the first change of any service and ends when every service has come to rest. An editor that waits for the
end must never wait in vain, so whatever keeps a service from coming to rest (its link is lost, its folder is gone, the
user paused) ends its part as failed; and `complete` is only said when every service is in sync.
"""

from __future__ import annotations

import enum
from typing import Final

from devloop.sync import events
from devloop.ui import narrator

READY: Final = "devloop: ready"
FAILED: Final = "devloop: sync failed"

# What `Output` and `CommandDone` call a build on the laptop. A hook that fails is shown, a build keeps the sync away.
BUILD: Final = "build"


def started(files: int) -> str:
    """Return the line that begins a cycle."""
    return f"devloop: sync started ({files} file{'' if files == 1 else 's'})"


def complete(ms: float) -> str:
    """Return the line that ends a cycle well."""
    return f"devloop: sync complete in {max(0, round(ms))} ms"


class _State(enum.Enum):
    NEW = enum.auto()
    """Nothing is known of it yet."""
    ACTIVE = enum.auto()
    """A batch is on its way."""
    GOOD = enum.auto()
    """In sync."""
    BAD = enum.auto()
    """At rest, and not in sync."""


class Markers:
    """Turns events into marker lines. `take` is all there is; it does no I/O."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._reasons: dict[str, str] = {}
        self._open = False
        self._began_s = 0.0
        self._longest_ms = 0.0

    def take(self, event: events.Event) -> list[str]:
        """Return the lines that an event calls for."""
        match event:
            case events.ProjectStarted(services=services):
                for service in services:
                    self._states.setdefault(service, _State.NEW)
            case events.SyncStarted():
                return self._begin(event, event.files + event.deletes)
            case events.SyncComplete():
                return self._complete(event)
            case events.Ready():
                return [READY]
            case _:
                return self._other(event)
        return []

    @property
    def reasons(self) -> dict[str, str]:
        """Why services are not in sync although they are at rest, by service."""
        return dict(self._reasons)

    def _other(self, event: events.Event) -> list[str]:
        match event:
            case events.SyncFailed():
                # It ends what it is about, so where nothing was begun it is told as a cycle of its own.
                return self._fail(event, narrator.failure(event), loud=True)
            case events.CommandDone(name=name, ok=False, outcome=outcome) if name == BUILD:
                return self._fail(event, f"the build failed: {outcome}", loud=True)
            case events.LinkChanged(up=False, gone=False, detail=detail):
                return self._fail(event, f"no link: {detail}" if detail else "no link")
            case events.Stopped(reason=reason):
                return self._fail(event, reason)
            case events.Paused(paused=True):
                return self._fail_all(event, "paused")
            case events.Stopping():
                return self._fail_all(event, "devloop stops", also_new=True)
            case _:
                return []

    def _begin(self, event: events.Event, files: int) -> list[str]:
        self._states[event.service] = _State.ACTIVE
        if self._open:
            return []
        self._open = True
        self._began_s = event.time
        self._longest_ms = 0.0
        return [started(files)]

    def _complete(self, event: events.SyncComplete) -> list[str]:
        before = self._states.get(event.service, _State.NEW)
        self._reasons.pop(event.service, None)
        # Nothing had to be sent: worth a cycle of its own only where somebody may wait for one.
        alone = not self._open and (before is not _State.GOOD or event.files + event.deletes > 0)
        lines = self._begin(event, event.files + event.deletes) if alone else []
        self._states[event.service] = _State.GOOD
        self._longest_ms = max(self._longest_ms, event.ms)
        return lines + self._end(event)

    def _fail(self, event: events.Event, reason: str, *, loud: bool = False) -> list[str]:
        lines = self._begin(event, 0) if loud and not self._open else []
        if self._reasons.get(event.service) and not loud and self._states.get(event.service) is _State.BAD:
            # The first reason is the one that matters: after a lost link comes every try that fails.
            reason = self._reasons[event.service]
        self._states[event.service] = _State.BAD
        self._reasons[event.service] = reason
        return lines + self._end(event)

    def _fail_all(self, event: events.Event, reason: str, *, also_new: bool = False) -> list[str]:
        for service, state in self._states.items():
            if state is _State.ACTIVE or (also_new and state is _State.NEW):
                self._states[service] = _State.BAD
                self._reasons[service] = reason
        return self._end(event)

    def _end(self, event: events.Event) -> list[str]:
        if not self._open or any(state in {_State.NEW, _State.ACTIVE} for state in self._states.values()):
            return []
        self._open = False
        if self._reasons:
            return [FAILED]
        return [complete(max(self._longest_ms, (event.time - self._began_s) * 1000))]
