"""Applications in words: their state, what they follow, and the table that lists them. No rich: the command is fast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from devloop.argocd import application, environment
from devloop.ui import escapes, style, table
from devloop.ui.style import Tone

_GOOD: Final = frozenset({"Synced", "Healthy", "Succeeded"})
_BAD: Final = frozenset({"OutOfSync", "Degraded", "Missing", "Failed", "Error"})
_SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HEAD: Final = ("APPLICATION", "SYNC", "HEALTH", "REVISION", "AUTO-SYNC", "BECAUSE")


def tone(word: str) -> Tone:
    """Return how a state is drawn."""
    return Tone.GOOD if word in _GOOD else Tone.BAD if word in _BAD else Tone.WARNING


def short(revision: str) -> str:
    """Return the first seven characters of a commit, and everything else as it is."""
    return revision[:7] if _SHA.fullmatch(revision) else revision


def follows(source: application.Source) -> str:
    """Return what a source follows: its branch, tag, commit or version."""
    return short(source.revision) or ("HEAD" if source.is_git else "latest")


def revision(one: application.Application) -> str:
    """Return what an Application follows and what was compared: `main@1a2b3c4`; each source once."""
    told = []
    for position, source in enumerate(one.sources):
        wanted = follows(source)
        seen = short(one.revisions[position]) if position < len(one.revisions) else ""
        told.append(wanted if seen in {"", wanted} else f"{wanted}@{seen}")
    return escapes.name(" + ".join(dict.fromkeys(told)))


def automatic(one: application.Application) -> str:
    """Return what Argo CD does by itself: `off`, or `on` with what it adds."""
    if one.automated is None:
        return "off"
    more = [word for word, on in (("heal", one.automated.self_heal), ("prune", one.automated.prune)) if on]
    return "+".join(["on", *more])


def changes(before: application.Application | None, after: application.Application | None) -> list[str]:
    """Return what changed in an Application, a line each, for whoever follows it without a screen.

    Args:
        before: As it was; None where it was not known.
        after: As it is; None where it is gone.
    """
    known = after or before
    if known is None:
        return []
    name = escapes.name(str(known.reference))
    if after is None:
        return [f"{name}: gone"]
    if before is None:
        return [f"{name}: {after.sync}, {after.health}, {revision(after)}"]
    pairs = (
        (before.sync, after.sync),
        (before.health, after.health),
        (revision(before), revision(after)),
        (f"auto-sync {automatic(before)}", f"auto-sync {automatic(after)}"),
        (_phase(before), _phase(after)),
    )
    return [f"{name}: {escapes.name(old)} -> {escapes.name(new)}" for old, new in pairs if old != new]


def _phase(one: application.Application) -> str:
    if one.operation is None or (one.is_asked and one.operation.finished):
        return "sync asked for" if one.is_asked else "no sync"
    return f"sync {one.operation.phase}"


def because(member: environment.Member) -> str:
    """Return in a few words why an Application is part of the environment."""
    of = escapes.name(member.of)
    match member.why:
        case environment.Why.NAMED:
            told = "devloop.yaml"
        case environment.Why.WORKLOAD:
            told = "owns"
        case environment.Why.CHILD:
            told = f"rendered by {of}"
        case environment.Why.NAMESPACE:
            told = f"deploys to {of}"
        case environment.Why.PARENT:
            told = f"renders {of}" if of else "renders only these"
        case environment.Why.SIBLING:
            told = f"also of {of}"
        case _:
            told = ""
    services = ", ".join(escapes.name(each) for each in member.services)
    if member.why is environment.Why.WORKLOAD:
        return f"owns {services or of}"
    return f"{told}; owns {services}" if services else told


def listed(members: Sequence[environment.Member], *, color: bool = False, width: int = 0) -> list[str]:
    """Return the table of Applications.

    Args:
        members: At least one.
        color: With colours.
        width: Columns of the terminal; 0 for as many as it takes.
    """
    rows = []
    for member in members:
        one = member.app
        auto = automatic(one)
        rows.append(
            [
                table.Cell(escapes.name(str(one.reference)), Tone.BOLD),
                table.Cell(escapes.name(one.sync), tone(one.sync)),
                table.Cell(escapes.name(one.health), tone(one.health)),
                table.Cell(revision(one)),
                table.Cell(auto, Tone.WARNING if auto == "off" else Tone.PLAIN),
                table.Cell(because(member), Tone.DIM),
            ]
        )
    head: Sequence[str] = _HEAD
    if not any(row[-1].text for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table.render(head, rows, style.Style(on=color), width=width, elastic=len(head) - 1)
