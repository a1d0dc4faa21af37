"""What happened, in words: one event in, the lines for people out. The text view and the live view both say these.

It remembers what it said, so that a problem is told once and not with each event that lists it. Pure but for that.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from devloop.logs import values
from devloop.sync import events
from devloop.ui import escapes, podlines
from devloop.ui.style import Tone

# How many of a list's paths are told; the rest is a number, and `devloop status` has them all.
PATHS_TOLD: Final = 10

APP: Final = "app"


class Kind(enum.Enum):
    """What a line is."""

    OUTPUT = enum.auto()
    """Written by the app, a hook or a build: not our words."""
    SAVE = enum.auto()
    """Something was synced."""
    WORD = enum.auto()
    """Everything else that we say."""


class Line(msgspec.Struct, frozen=True):
    """One line for people.

    Attributes:
        text: The words; for `OUTPUT` as they came, unfiltered.
        service: Whose; empty for the project's.
        source: For `OUTPUT`: `app`, `build` or the hook's name.
        tone: How it is drawn.
        kind: What it is.
        ms: For `SAVE`: how long it took.
        label: For lines of a pod's log: the pod and the container, in short.
    """

    text: str
    service: str = ""
    source: str = ""
    tone: Tone = Tone.PLAIN
    kind: Kind = Kind.WORD
    ms: float | None = None
    label: str = ""


class Narrator:
    """Turns events into lines."""

    def __init__(self) -> None:
        self._paths: dict[str, dict[str, None]] = {}
        self._git: set[str] = set()
        self._problems: dict[str, frozenset[events.ProblemRow]] = {}
        self._links: dict[tuple[str, str], tuple[bool, str]] = {}
        self._moved: set[str] = set()
        self._drift: dict[tuple[str, str], int] = {}
        self._failed: dict[str, str] = {}
        self._labels = podlines.Labels()

    def tell(self, event: events.Event) -> list[Line]:
        """Return the lines that tell of an event; often none."""
        match event:
            case events.Output():
                return _output(event, self._label(event))
            case events.SyncStarted() | events.SyncComplete() | events.SyncFailed():
                return self._sync(event)
            case events.ProblemsChanged():
                return self._problems_changed(event)
            case events.LinkChanged():
                return self._link(event)
            case events.Drifted():
                return self._drifted(event)
            case _:
                return _simple(event)

    def _label(self, event: events.Output) -> str:
        if not event.pod:
            return ""
        return self._labels.of(values.Origin(event.service, event.pod, "", event.container))

    # ---- syncs ------------------------------------------------------------------------------------------------------

    def _sync(self, event: events.SyncStarted | events.SyncComplete | events.SyncFailed) -> list[Line]:
        service = event.service
        if isinstance(event, events.SyncStarted):
            self._paths.setdefault(service, {}).update(dict.fromkeys(event.paths[:PATHS_TOLD]))
            if event.git:
                self._git.add(service)
            return []
        paths = list(self._paths.pop(service, {}))
        git = service in self._git
        self._git.discard(service)
        done = [self._saved(event, paths, git)] if event.files + event.deletes else []
        if isinstance(event, events.SyncComplete):
            was_failed = self._failed.pop(service, "")
            if event.first and not done:
                done = [Line("in sync", service, tone=Tone.GOOD, kind=Kind.SAVE, ms=event.ms)]
            elif was_failed and not done:
                done = [Line("in sync again", service, tone=Tone.GOOD)]
            return done
        why = failure(event)
        if why != self._failed.get(service):
            self._failed[service] = why
            done.append(Line(f"not in sync: {why}", service, tone=Tone.BAD))
        return done

    def _saved(self, event: events.SyncComplete | events.SyncFailed, paths: list[str], git: bool) -> Line:
        if event.files + event.deletes == 1 and len(paths) == 1:
            text = escapes.name(paths[0]) + (" deleted" if event.deletes else "")
        else:
            size = event.total_bytes if isinstance(event, events.SyncComplete) else 0
            parts = [counted(event.files, "file")] if event.files else []
            parts += [counted(event.deletes, "deletion")] if event.deletes else []
            parts += [bytes_told(size)] if size else []
            text = ", ".join(parts)
        if git:
            text += " (git)"
        return Line(text, event.service, kind=Kind.SAVE, ms=event.ms)

    # ---- what is remembered -----------------------------------------------------------------------------------------

    def _problems_changed(self, event: events.ProblemsChanged) -> list[Line]:
        before = self._problems.get(event.service, frozenset())
        now = frozenset(event.problems)
        self._problems[event.service] = now
        fresh = [row for row in event.problems if row not in before]
        known = {row.path for row in now}
        solved = sorted({row.path for row in before if row.path not in known}) if event.count <= len(now) else []
        lines = [
            Line(
                f"problem: {escapes.name(row.path)}: {escapes.plain(row.detail)} ({row.reason}, {row.side} side)",
                event.service,
                tone=Tone.WARNING,
            )
            for row in fresh[:PATHS_TOLD]
        ]
        if len(fresh) > PATHS_TOLD:
            rest = counted(len(fresh) - PATHS_TOLD, "more problem")
            lines.append(Line(f"… and {rest}: see `devloop status`", event.service, tone=Tone.WARNING))
        if solved:
            names = ", ".join(map(escapes.name, solved[:3])) + (", …" if len(solved) > 3 else "")
            lines.append(Line(f"solved: {names}", event.service, tone=Tone.GOOD))
        return lines

    def _link(self, event: events.LinkChanged) -> list[Line]:
        key, state = (event.service, event.target), (event.up, event.detail)
        before = self._links.get(key)
        target = escapes.name(event.target)
        if event.gone:
            # Where there is no other, the next one is worth a line; of those that come at the start nobody wants any.
            self._links.pop(key, None)
            self._drift.pop(key, None)
            self._moved.add(event.service)
            return [Line(f"{target} is gone", event.service, tone=Tone.DIM)]
        self._links[key] = state
        if before is None and event.up and event.service in self._moved:
            return [Line(f"linked to {target}", event.service, tone=Tone.GOOD)]
        if before == state or (before is None and event.up):
            return []
        if event.up:
            return [Line(f"linked to {target} again", event.service, tone=Tone.GOOD)]
        why = f": {escapes.plain(event.detail)}" if event.detail else ""
        retry = f"; next try in {seconds_told(event.retry_s)}" if event.retry_s > 0 else ""
        return [Line(f"no link to {target}{why}{retry}", event.service, tone=Tone.WARNING)]

    def _drifted(self, event: events.Drifted) -> list[Line]:
        names = _some(event.paths, event.count)
        target = escapes.name(event.target)
        if event.overwritten:
            files = counted(event.count, "file")
            text = f"overwrote {files} that somebody else had changed in {target}: {names}"
            return [Line(text, event.service, tone=Tone.WARNING)]
        key = (event.service, event.target)
        before, self._drift[key] = self._drift.get(key, 0), event.count
        if event.count <= before:
            return []
        text = f"drift: {counted(event.count, 'file')} changed by somebody else in {target}: {names}"
        return [
            Line(text, event.service, tone=Tone.WARNING),
            Line("hint: see them with `devloop diff`; the next save of one wins", event.service, tone=Tone.HINT),
        ]


def _output(event: events.Output, label: str) -> list[Line]:
    lines = [Line(text, event.service, event.source, kind=Kind.OUTPUT, label=label) for text in event.lines]
    if event.dropped:
        lost = counted(event.dropped, "line")
        lines.insert(0, Line(f"… {lost} lost: printed faster than shown", event.service, tone=Tone.DIM))
    return lines


def _simple(event: events.Event) -> list[Line]:
    """Return the lines of events that say everything themselves."""
    match event:
        case events.ProjectStarted(project=project, folder=folder, services=services):
            return [Line(f"watching {project} in {escapes.name(folder)}: {', '.join(services)}", tone=Tone.BOLD)]
        case events.Ready(ms=ms):
            return [Line("ready: everything is in sync", tone=Tone.GOOD, ms=ms)]
        case events.Notice():
            return _notice(event)
        case events.Held():
            return _held(event)
        case events.Stopped(sync=sync, reason=reason, hint=hint):
            text = f"stopped {escapes.name(sync)}: {escapes.plain(reason)}; nothing was deleted"
            return [Line(text, event.service, tone=Tone.BAD), *_hint(hint, event.service)]
        case events.Resumed(sync=sync):
            return [Line(f"goes on: {escapes.name(sync)}", event.service, tone=Tone.GOOD)]
        case events.Paused(paused=paused):
            text = "paused: nothing is sent until `devloop resume`" if paused else "resumed"
            return [Line(text, event.service, tone=Tone.WARNING if paused else Tone.PLAIN)]
        case events.Pulled(path=path, conflict=conflict):
            return [_pulled(path, conflict, event.service)]
        case events.ForwardChanged():
            return _forward(event)
        case events.Stopping(reason=reason):
            return [Line(f"stopping: {reason}" if reason else "stopping", tone=Tone.DIM)]
        case _:
            return _commands(event)


def _forward(event: events.ForwardChanged) -> list[Line]:
    way = forward_told(event.kind, event.local, event.to)
    match event.state:
        case "failed":
            text = f"warning[{event.code}]: {way}: {escapes.plain(event.detail)}"
            return [Line(text, event.service, tone=Tone.WARNING), *_hint(event.hint, event.service)]
        case "removed":
            return [Line(f"no longer forwarded: {way}", event.service, tone=Tone.DIM)]
        case "already there":
            return [Line(f"{event.local} is the app's own port: nothing to forward", event.service, tone=Tone.DIM)]
        case _:
            detail = f" ({escapes.plain(event.detail)})" if event.detail else ""
            return [Line(f"{way}{detail}", event.service)]


def _commands(event: events.Event) -> list[Line]:
    match event:
        case events.AppChanged(phase=phase) if phase in _PASSING:
            return []
        case events.AppChanged(phase=phase, pid=pid, starts=starts, detail=detail):
            text = f"app {phase}"
            if phase == "running":
                text += f" (pid {pid})" + (f", start {starts}" if starts > 1 else "")
            elif detail:
                text += f": {escapes.plain(detail)}"
            tone = Tone.BAD if phase == "crashed" else Tone.WARNING if phase == "backoff" else Tone.DIM
            return [Line(text, event.service, tone=tone)]
        case events.CommandStarted(name=name):
            return [Line(f"{escapes.name(name)} started", event.service, tone=Tone.DIM)]
        case events.CommandDone(name=name, ok=True, ms=ms):
            return [Line(f"{escapes.name(name)} done in {ms_told(ms)}", event.service, tone=Tone.DIM)]
        case events.CommandDone(name=name, outcome=outcome, ms=ms):
            text = f"{escapes.name(name)} failed: {escapes.plain(outcome)}, after {ms_told(ms)}"
            return [Line(text, event.service, tone=Tone.BAD)]
        case events.GitMoved(old=old, new=new):
            text = f"git: {old} -> {new or 'a branch without a commit'}" if old else f"git: at {new}"
            return [Line(text, event.service, tone=Tone.DIM)]
        case _:
            return []


# States that an app passes through on its way to one that is told; the panel shows them.
_PASSING: Final = frozenset({"starting", "stopping", "killing", "stopped"})

_NOTICE_TONES: Final = {
    events.Level.INFO: Tone.PLAIN,
    events.Level.WARNING: Tone.WARNING,
    events.Level.ERROR: Tone.BAD,
}


def _notice(event: events.Notice) -> list[Line]:
    tone = _NOTICE_TONES[event.level]
    code = f"[{event.code}]" if event.code else ""
    level = "" if event.level is events.Level.INFO and not code else f"{event.level.value}{code}: "
    return [Line(level + escapes.plain(event.message), event.service, tone=tone), *_hint(event.hint, event.service)]


def _hint(hint: str, service: str) -> list[Line]:
    return [Line(f"hint: {escapes.plain(hint)}", service, tone=Tone.HINT)] if hint else []


def _held(event: events.Held) -> list[Line]:
    if not event.count:
        return [Line("no deletions wait any more", event.service, tone=Tone.GOOD)]
    lines = [Line(held(event.count, event.managed), event.service, tone=Tone.WARNING)]
    if event.paths:
        lines.append(Line(f"held: {_some(event.paths, event.count)}", event.service, tone=Tone.DIM))
    return lines


def _pulled(path: str, conflict: str, service: str) -> Line:
    if conflict:
        text = f"conflict: {escapes.name(path)} changed on both sides; the pod's version is {escapes.name(conflict)}"
        return Line(text, service, tone=Tone.WARNING)
    return Line(f"pulled {escapes.name(path)}", service)


def _some(paths: tuple[str, ...], count: int) -> str:
    told = ", ".join(map(escapes.name, paths[:PATHS_TOLD]))
    return told + (", …" if count > min(len(paths), PATHS_TOLD) else "")


# ---- words that others use too --------------------------------------------------------------------------------------


def forward_told(kind: str, local: str, to: str) -> str:
    """Return which way a forward leads, in the order in which its bytes first flow."""
    if kind == "reverse":
        return f"{escapes.plain(to)} -> {escapes.plain(local)}"
    return f"{escapes.plain(local)} -> {escapes.plain(to)}"


def held(count: int, managed: int = 0) -> str:
    """Return what is to be done about held deletions."""
    of = f" (of {counted(managed, 'file')})" if managed else ""
    verb = "waits" if count == 1 else "wait"
    return f"{counted(count, 'deletion')}{of} {verb} for approval: press a, or run `devloop approve`"


def failure(event: events.SyncFailed) -> str:
    """Return why a service is not in sync."""
    # The counts say what the message says, and what to do about it.
    parts = [escapes.plain(event.message)] if event.message and not (event.problems or event.held) else []
    if event.problems:
        parts.append(f"{counted(event.problems, 'path')} could not be synced: see `devloop status`")
    if event.held:
        parts.append(held(event.held))
    return "; ".join(parts) or "see `devloop status`"


def counted(count: int, noun: str) -> str:
    """Return a number and its noun: `1 file`, `1,024 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def bytes_told(size: int) -> str:
    """Return a size for people, in powers of 1000: `812 B`, `1.4 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("the loop always returns")


def ms_told(ms: float) -> str:
    """Return a duration for people: `4 ms`, `1.2 s`, `2 min 5 s`."""
    if ms < 999.5:
        return f"{ms:.1f} ms" if 0 < ms < 0.95 else f"{ms:.0f} ms"
    return seconds_told(ms / 1000)


def seconds_told(seconds: float) -> str:
    """Return a duration of a second or more for people."""
    if seconds < 9.95:
        return f"{seconds:.1f} s" if seconds != round(seconds) else f"{seconds:.0f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
