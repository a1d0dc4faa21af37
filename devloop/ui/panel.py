"""The live view's panel as values: what the events came to, and the lines that show it.

Pure: `Panel.take` folds events, `Panel.lines` lays them out for a width and a time. `devloop.ui.live` draws them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final, TypeAlias

from devloop.sync import events
from devloop.ui import escapes, markers, narrator
from devloop.ui.style import Tone

# A piece of a line: text, and how it is drawn. A service's name is drawn in its own colour.
Span: TypeAlias = tuple[str, Tone]

# Services that the panel shows at most; it is to stay small.
MAX_SERVICES: Final = 8

KEYS: Final = (
    ("a", "approve"),
    ("p", "pause"),
    ("r", "restart"),
    ("f", "flush"),
    ("d", "diff"),
    ("?", "help"),
    ("q", "quit"),
)

HELP: Final = (
    ("a", "approve", "let held deletions go"),
    ("p", "pause", "send nothing until it is pressed again"),
    ("r", "restart", "restart the app of every service"),
    ("f", "flush", "wait until the last save is in the target, and say so"),
    ("d", "diff", "look through the targets, and say how many paths differ from the laptop's"),
    ("q", "quit", "stop watching; Ctrl-C does the same"),
)


@dataclasses.dataclass
class _Link:
    up: bool
    detail: str = ""
    retry_at_s: float = 0.0


@dataclasses.dataclass
class Row:
    """What is known of one service."""

    name: str
    seen: bool = False
    active: bool = False
    failed: str = ""
    stopped: dict[str, str] = dataclasses.field(default_factory=dict)
    build: str = ""
    held: int = 0
    problems: int = 0
    drift: dict[str, int] = dataclasses.field(default_factory=dict)
    extra: dict[str, int] = dataclasses.field(default_factory=dict)
    links: dict[str, _Link] = dataclasses.field(default_factory=dict)
    last_ms: float | None = None
    total_files: int = 0
    app: events.AppChanged | None = None
    running: str = ""
    waits: bool = False


class Panel:
    """Folds events into rows, and lays the rows out."""

    def __init__(self) -> None:
        self.project = ""
        self.paused = False
        self.rows: dict[str, Row] = {}
        self.ports: dict[tuple[str, str], events.ForwardChanged] = {}

    # ---- folding ----------------------------------------------------------------------------------------------------

    def take(self, event: events.Event) -> bool:
        """Take an event up, and say whether the panel looks different after it."""
        match event:
            case events.ProjectStarted(project=project, services=services):
                self.project = project
                for name in services:
                    self._row(name)
            case events.Paused(paused=paused):
                self.paused = paused
            case events.SyncStarted() | events.SyncComplete() | events.SyncFailed():
                self._sync(event, self._row(event.service))
            case events.LinkChanged() | events.Drifted():
                self._target(event, self._row(event.service))
            case events.ForwardChanged(local=local, to=to, state=state):
                self.ports.pop((local, to), None)
                if state != "removed":
                    self.ports[local, to] = event
            case events.Output() | events.Notice():
                return False
            case _:
                return bool(event.service) and self._take_service(event, self._row(event.service))
        return True

    def _row(self, name: str) -> Row:
        return self.rows.setdefault(name, Row(name))

    def _sync(self, event: events.SyncStarted | events.SyncComplete | events.SyncFailed, row: Row) -> None:
        row.seen = True
        row.active = isinstance(event, events.SyncStarted)
        row.build = ""
        if isinstance(event, events.SyncComplete):
            row.failed = ""
            if event.files + event.deletes:
                row.last_ms = event.ms
            row.total_files = event.total_files or row.total_files
        elif isinstance(event, events.SyncFailed):
            row.failed = narrator.failure(event)
            row.held = event.held

    def _target(self, event: events.LinkChanged | events.Drifted, row: Row) -> None:
        if isinstance(event, events.LinkChanged) and event.gone:
            for known in (row.links, row.drift, row.extra):
                known.pop(event.target, None)
            if not row.links:
                row.seen = row.active = False
                row.waits = True
        elif isinstance(event, events.LinkChanged):
            at_s = event.time + event.retry_s if event.retry_s > 0 else 0.0
            row.links[event.target] = _Link(event.up, event.detail, at_s)
            if not event.up:
                # What is in the target is only known again after the next sync.
                row.seen = row.active = False
        elif not event.overwritten:
            row.drift[event.target] = event.count
            row.extra[event.target] = event.extra

    def _take_service(self, event: events.Event, row: Row) -> bool:
        match event:
            case events.ProblemsChanged(count=count):
                row.problems = count
            case events.Held(count=count):
                row.held = count
            case events.Stopped(sync=sync, reason=reason):
                row.stopped[sync] = reason
                row.active = False
            case events.Resumed(sync=sync):
                row.stopped.pop(sync, None)
            case events.AppChanged():
                row.app = event
            case events.CommandStarted(name=name):
                row.running = name
            case events.CommandDone(name=name, ok=ok, outcome=outcome):
                row.running = ""
                if name == markers.BUILD:
                    row.build = "" if ok else outcome
            case _:
                return False
        return True

    # ---- time -------------------------------------------------------------------------------------------------------

    def counts_down(self) -> bool:
        """Say whether the panel changes by itself from second to second."""
        return any(link.retry_at_s and not link.up for row in self.rows.values() for link in row.links.values())

    # ---- layout -----------------------------------------------------------------------------------------------------

    def lines(self, width: int, now_s: float) -> list[list[Span]]:
        """Return the panel's lines, each a list of spans; none is wider than the terminal.

        Args:
            width: Columns.
            now_s: Seconds since the epoch, for countdowns.
        """
        shown = list(self.rows.values())[:MAX_SERVICES]
        name_width = min(max((len(escapes.name(row.name)) for row in shown), default=0), max(8, width // 4))
        found = [self._rule(width)]
        found += [_row_spans(row, name_width, width, now_s, paused=self.paused) for row in shown]
        if len(self.rows) > len(shown):
            found.append([(f"  … and {len(self.rows) - len(shown)} more: see `devloop status`", Tone.DIM)])
        if self.ports:
            found.append(_ports(list(self.ports.values())))
        found.append(_keys(width, paused=self.paused))
        return [cut(line, width) for line in found]

    def _rule(self, width: int) -> list[Span]:
        title = f" {escapes.name(self.project)} " if self.project else ""
        state = " paused " if self.paused else ""
        dashes = max(0, width - len(title) - len(state) - 2)
        return [("──", Tone.DIM), (title, Tone.BOLD), (state, Tone.WARNING), ("─" * dashes, Tone.DIM)]


def _row_spans(row: Row, name_width: int, width: int, now_s: float, *, paused: bool) -> list[Span]:
    """Return a service's line: name, state, then by importance what there is room for."""
    symbol, state, tone = _state(row, now_s, paused=paused)
    spans: list[Span] = [(symbol + " ", tone), (escapes.name(row.name).ljust(name_width), Tone.PLAIN)]
    spans.append(("  " + state, tone))
    room = width - sum(len(text) for text, _ in spans)
    for text, tone_of in _facts(row):
        if len(text) + 3 > room:
            continue
        spans += [(" · ", Tone.DIM), (text, tone_of)]
        room -= len(text) + 3
    return spans


def _state(row: Row, now_s: float, *, paused: bool) -> tuple[str, str, Tone]:
    """Return a service's symbol and state: the first of these that is the case."""
    down = [link for link in row.links.values() if not link.up]
    if row.waits and not row.links:
        return "✗", "waiting for a pod", Tone.WARNING
    if row.stopped:
        return "✗", "stopped: " + escapes.plain(next(iter(row.stopped.values()))), Tone.BAD
    if down:
        return "✗", _down(down, now_s, everything=len(down) == len(row.links)), Tone.WARNING
    if row.build:
        return "✗", f"build failed: {escapes.plain(row.build)}", Tone.BAD
    if row.active:
        return "↻", "syncing", Tone.PLAIN
    if paused:
        return "‖", "paused", Tone.WARNING
    if row.held:
        return "!", f"held: {narrator.counted(row.held, 'deletion')}, press a", Tone.WARNING
    if row.failed:
        return "✗", "partial", Tone.BAD
    if not row.seen:
        return "…", "checking" if row.links else "starting", Tone.DIM
    if any(row.drift.values()):
        return "!", "drifted", Tone.WARNING
    return "✓", "in sync", Tone.GOOD


def _down(links: Sequence[_Link], now_s: float, *, everything: bool) -> str:
    first = min(links, key=lambda link: link.retry_at_s or float("inf"))
    left_s = max(0, round(first.retry_at_s - now_s)) if first.retry_at_s else 0
    what = "no link" if everything else f"no link to {len(links)}"
    retry = f", retry in {left_s} s" if left_s else ", retrying"
    why = f": {escapes.plain(first.detail)}" if first.detail else ""
    return what + retry + why


def _facts(row: Row) -> list[Span]:
    """Return what else there is to say, the most important first."""
    found: list[Span] = []
    app = [_app(row.app)] if row.app is not None else []
    if row.app is not None and row.app.phase != "running":
        found, app = app, []
    if row.last_ms is not None:
        found.append((narrator.ms_told(row.last_ms), Tone.PLAIN))
    if row.problems:
        found.append((narrator.counted(row.problems, "problem"), Tone.WARNING))
    found += app
    if row.running:
        found.append((f"{escapes.name(row.running)} runs", Tone.PLAIN))
    for counts, what, tone in ((row.drift, "changed there", Tone.WARNING), (row.extra, "extra", Tone.DIM)):
        total = sum(counts.values())
        if total:
            found.append((f"{total:,} {what}", tone))
    if row.total_files:
        found.append((narrator.counted(row.total_files, "file"), Tone.DIM))
    if len(row.links) > 1:
        found.append((f"{len(row.links)} pods", Tone.DIM))
    return found


def _app(app: events.AppChanged) -> Span:
    if app.phase == "running":
        again = f", start {app.starts}" if app.starts > 1 else ""
        return f"app pid {app.pid}{again}", Tone.PLAIN
    tone = Tone.BAD if app.phase == "crashed" else Tone.WARNING
    return f"app {app.phase}" + (f": {escapes.plain(app.detail)}" if app.detail else ""), tone


def _ports(some: Sequence[events.ForwardChanged]) -> list[Span]:
    """Return the one line of all forwards; those that do not listen are marked."""
    spans: list[Span] = [("⇄", Tone.DIM)]
    for each in some:
        local = escapes.plain(each.local).removeprefix("localhost:")
        to = escapes.plain(each.to).replace("pod port ", f"{escapes.name(each.service)}:")
        told = f"{to}→{local}" if each.kind == "reverse" else f"{local}→{to}"
        told = f"{local} proxy" if each.kind == "proxy" else told
        spans.append(
            (f" {told} " if each.state != "failed" else f" ✗ {told} ", _PORT_TONES.get(each.state, Tone.PLAIN))
        )
    return spans


_PORT_TONES: Final = {"failed": Tone.WARNING, "already there": Tone.DIM}


def _keys(width: int, *, paused: bool) -> list[Span]:
    spans: list[Span] = []
    room = width
    for key, name in KEYS:
        told = "resume" if name == "pause" and paused else name
        if len(key) + len(told) + 3 > room:
            break
        spans += [(key, Tone.BOLD), (f" {told}  ", Tone.DIM)]
        room -= len(key) + len(told) + 3
    return spans


def cut(line: Sequence[Span], width: int) -> list[Span]:
    """Return a line that is not wider than the terminal, ended by `…` where something was cut off."""
    found: list[Span] = []
    room = width
    for text, tone in line:
        if len(text) > room:
            found.append((text[: max(0, room - 1)] + "…" if room else "", tone))
            break
        found.append((text, tone))
        room -= len(text)
    return found
