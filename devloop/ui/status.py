"""The words of `devloop status`: a table of services, and below each what a person must know of it.

Made from a `devloop.sync.status.ProjectStatus`, as the watching process answers it. No rich: the command must be fast.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from devloop.sync import status
from devloop.ui import escapes, narrator, style
from devloop.ui.style import Tone

_ROWS_TOLD: Final = 10


_TONES: Final = {
    "in sync": Tone.GOOD,
    "syncing": Tone.PLAIN,
    "connecting": Tone.WARNING,
    "held": Tone.WARNING,
    "paused": Tone.WARNING,
    "partial": Tone.BAD,
    "stopped": Tone.BAD,
    "build failed": Tone.BAD,
}

_HEAD: Final = ("SERVICE", "STATE", "FILES", "SAVES", "P50", "P95", "APP")


def render(project: status.ProjectStatus, *, now_s: float, color: bool = False) -> str:
    """Return the text of `devloop status`, without the last line end.

    Args:
        project: The snapshot.
        now_s: Seconds since the epoch, for how long it has been watching.
        color: With colours.
    """
    paint = style.Style(on=color)
    age = narrator.seconds_told(max(0, round(now_s - project.started)))
    head = f"{paint(escapes.name(project.project), Tone.BOLD)}  {escapes.name(project.folder)}"
    head += paint(f"  watching for {age}, pid {project.pid}", Tone.DIM)
    if project.paused:
        head += "  " + paint("paused: go on with `devloop resume`", Tone.WARNING)
    rows = [_row(service) for service in project.services]
    lines = [head, "", *_table(rows, project.services, paint)]
    for service in project.services:
        notes = _notes(service, paint)
        if notes:
            lines += [
                "",
                f"{paint.service(escapes.name(service.name), service.name)}:",
                *("  " + note for note in notes),
            ]
    if project.forwards:
        lines += ["", _forwards(project.forwards, paint)]
    return "\n".join(lines)


def _forwards(some: Sequence[status.ForwardStatus], paint: style.Style) -> str:
    """Return the forwards in one line; `devloop ports` has the table."""
    told = []
    for each in some:
        way = narrator.forward_told(each.kind, each.local, each.to.replace("pod port ", f"{each.service}:"))
        marks = {"failed": Tone.BAD, "waiting": Tone.WARNING}
        told.append(paint(way, marks[each.state]) + f" ({each.state})" if each.state in marks else way)
    return f"ports: {', '.join(told)}"


def names(project: status.ProjectStatus) -> list[str]:
    """Return what `devloop status -o name` prints, one service a line."""
    return [service.name for service in project.services]


def _row(service: status.ServiceStatus) -> tuple[str, ...]:
    files = sum(sync.files for sync in service.syncs)
    size = sum(sync.total_bytes for sync in service.syncs)
    timed = service.saves > 0
    return (
        escapes.name(service.name),
        service.state,
        f"{files:,} ({narrator.bytes_told(size)})",
        f"{service.saves:,}",
        narrator.ms_told(service.save_p50_ms) if timed else "-",
        narrator.ms_told(service.save_p95_ms) if timed else "-",
        _app(service.app),
    )


def _app(app: status.AppStatus | None) -> str:
    if app is None:
        return "-"
    if app.phase == "running":
        again = f", start {app.starts}" if app.starts > 1 else ""
        return f"running (pid {app.pid}{again})"
    return f"{app.phase}: {escapes.plain(app.detail)}" if app.detail else app.phase


def _table(rows: Sequence[tuple[str, ...]], services: Sequence[status.ServiceStatus], paint: style.Style) -> list[str]:
    widths = [max(_width(row[column]) for row in [_HEAD, *rows]) for column in range(len(_HEAD))]
    lines = [paint(_aligned(_HEAD, widths), Tone.DIM)]
    for row, service in zip(rows, services, strict=True):
        cells = [_padded(cell, width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = paint.service(cells[0], service.name)
        cells[1] = paint(cells[1], _TONES.get(service.state, Tone.PLAIN))
        lines.append("  ".join(cells).rstrip())
    return lines


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _notes(service: status.ServiceStatus, paint: style.Style) -> list[str]:
    # What a target's own line tells is not said twice.
    is_told = any(target.state and target.state in service.why for target in service.targets)
    found = [paint(escapes.plain(service.why), Tone.BAD)] if service.why and not is_told else []
    found += [note for sync in service.syncs for note in _sync_notes(sync, paint)]
    found += [note for target in service.targets for note in _target_notes(target, paint)]
    if service.pending and service.state != "in sync":
        found.append(f"{narrator.counted(service.pending, 'path')} not acked yet")
    if service.held:
        found.append(paint(narrator.held(service.held), Tone.WARNING))
    for problem in service.problems[:_ROWS_TOLD]:
        told = f"{escapes.name(problem.path)}: {escapes.plain(problem.detail)} ({problem.reason}, {problem.side} side)"
        found.append(paint(told, Tone.WARNING))
    rest = service.problem_count - min(len(service.problems), _ROWS_TOLD)
    if rest > 0:
        found.append(paint(f"… and {narrator.counted(rest, 'more problem')}: see `devloop status -o json`", Tone.DIM))
    return found


def _sync_notes(sync: status.SyncStatus, paint: style.Style) -> list[str]:
    if not sync.stopped:
        return []
    why = f"stopped {escapes.name(sync.source)} -> {escapes.name(sync.to)}: {escapes.plain(sync.stopped)}"
    return [paint(why, Tone.BAD)]


def _target_notes(target: status.TargetStatus, paint: style.Style) -> list[str]:
    found = []
    name = escapes.name(target.name)
    if not target.up:
        # Where the agent does not run, why an earlier link was lost is beside the point.
        known = (target.state,) if target.state.startswith("the agent ") else (target.state, target.detail)
        parts = [escapes.plain(each) for each in dict.fromkeys(known) if each]
        why = f": {'; '.join(parts)}" if parts else ""
        found.append(paint(f"no link to {name}{why}", Tone.WARNING))
    else:
        state = escapes.plain(target.state)
        if not target.synced:
            found.append(f"{name}{f' ({state})' if state else ''} is not in sync yet")
        elif state:
            found.append(paint(f"{name}: {state}", Tone.DIM))
    counts = [
        (target.drift, f"changed by somebody else in {name}"),
        (target.extra, f"in {name} that devloop does not know"),
    ]
    for count, what in counts:
        if count:
            found.append(paint(f"{narrator.counted(count, 'path')} {what}: see `devloop diff`", Tone.WARNING))
    return found
