"""The words of `devloop env status`: a table of Applications, what a person must know of each, and the services.

Pure, made from a `devloop.argocd.picture.Picture`. No rich: the command must be fast.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from devloop.argocd import application, checkout, links, picture, told
from devloop.argocd.findings import Answer, Finding
from devloop.ui import applications, escapes, narrator, style
from devloop.ui.style import Tone

_LABEL: Final = 10
_LEAST: Final = 30
_MAX_TROUBLES: Final = 10
_TONES: Final = {Answer.FINE: Tone.DIM, Answer.WARN: Tone.WARNING, Answer.REFUSE: Tone.BAD}
_SWITCH: Final = {Answer.FINE: "", Answer.WARN: "careful", Answer.REFUSE: "no switch"}


class _Page:
    """Lines that are labelled, and broken where the terminal ends."""

    def __init__(self, paint: style.Style, width: int) -> None:
        self.lines: list[str] = []
        self._paint = paint
        self._width = width

    def head(self, text: str, *more: tuple[str, Tone]) -> None:
        parts = [self._paint(text, Tone.BOLD), *(self._paint(word, tone) for word, tone in more if word)]
        self.lines += ["", "  ".join(parts)]

    def line(self, label: str, text: str, tone: Tone = Tone.PLAIN) -> None:
        below = " " * (2 + _LABEL)
        room = max(_LEAST, self._width - len(below)) if self._width else 0
        # An address or a path that is broken cannot be copied.
        pieces = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) if room else [text]
        for at, piece in enumerate(pieces or [""]):
            start = f"  {label.ljust(_LABEL)}" if at == 0 else below
            self.lines.append(self._paint(start, Tone.DIM) + self._paint(piece, tone))


def render(found: picture.Picture, *, now_s: float, color: bool = False, width: int = 0, verbose: bool = False) -> str:
    """Return the text, without the last line end.

    Args:
        found: The picture.
        now_s: Seconds since the epoch, for ages.
        color: With colours.
        width: Columns of the terminal; 0 for as many as it takes.
        verbose: With the evidence for owners, and the YAML for Ops.
    """
    paint = style.Style(on=color)
    page = _Page(paint, width)
    page.lines += applications.listed([each.member for each in found.shown], color=color, width=width)
    for each in found.shown:
        page.head(
            escapes.name(str(each.app.reference)),
            (each.app.sync, applications.tone(each.app.sync)),
            (each.app.health, applications.tone(each.app.health)),
        )
        _application(page, each, now_s, verbose=verbose)
    for way in found.ways:
        page.head(f"service {escapes.name(way.chain.service)}")
        _service(page, way, found.clone)
    page.lines += _notes(found, paint)
    return "\n".join(page.lines)


def _application(page: _Page, each: picture.Shown, now_s: float, *, verbose: bool) -> None:
    one = each.app
    for at, source in enumerate(one.sources):
        page.line("source" if at == 0 else "", _source(one, at, source))
        standing = each.standings[at]
        if standing is not None and (note := _standing(standing, now_s)):
            page.line("", note, Tone.WARNING)
    if one.hydrated:
        page.line("", f"rendered into the branch {_hydrated(one)}", Tone.DIM)
    for text, tone in _operation(one):
        page.line("sync", text, tone)
    for condition in one.conditions:
        bad = condition.type.endswith("Error")
        text = f"{condition.type}: {escapes.plain(condition.message)}"
        page.line("condition", text, Tone.BAD if bad else Tone.WARNING)
    if one.health_message:
        page.line("health", escapes.plain(one.health_message), Tone.WARNING)
    for text in _troubles(one):
        page.line("object", text, Tone.WARNING)
    if one.images:
        page.line("images", ", ".join(escapes.name(image) for image in one.images))
    for finding in each.verdict.findings:
        _owner(page, finding, verbose=verbose)
    for name, address in each.links.items():
        page.line(escapes.name(name), escapes.name(address), Tone.HINT)
    for address in links.external(one):
        page.line("external", escapes.name(address), Tone.HINT)


def _source(one: application.Application, at: int, source: application.Source) -> str:
    seen = applications.short(one.revisions[at]) if at < len(one.revisions) else ""
    wanted = applications.follows(source)
    revision = wanted if seen in {"", wanted} else f"{wanted} at {seen}"
    what = f"chart {source.chart}" if source.chart else source.path
    kind = source.generator.value if source.generator is not None else ""
    words = [revision, source.repo, what, f"({kind})" if kind else "", f"lent as ${source.ref}" if source.ref else ""]
    return "  ".join(escapes.name(word) for word in words if word)


def _standing(one: checkout.Standing, now_s: float) -> str:
    """Return how what was compared differs from the branch; nothing where it does not."""
    clone, branch = "as your clone knows it", escapes.name(one.branch)
    if not one.known:
        return f"your clone does not have this commit, so it knows not how far it is from {branch}; `git fetch` there"
    if one.behind and one.ahead:
        return f"is not what {branch} points to: they have gone apart, {clone}"
    if one.behind:
        return f"is not what {branch} points to: {narrator.counted(one.behind, 'commit')} behind, {clone}"
    if one.ahead:
        # Most often it is the clone that is behind.
        since = narrator.seconds_told(max(0, round(now_s - one.fetched_s))) if one.fetched_s else ""
        fetched = f" (fetched {since} ago)" if since else ""
        return f"is {narrator.counted(one.ahead, 'commit')} ahead of {branch}, {clone}{fetched}"
    return ""


def _hydrated(one: application.Application) -> str:
    spec = application.mapping(one.raw, "spec", "sourceHydrator", "syncSource")
    return escapes.name(application.text(spec, "targetBranch"))


def _operation(one: application.Application) -> Iterator[tuple[str, Tone]]:
    last = one.operation
    if one.is_asked and (last is None or last.finished):
        yield "asked for, not begun", Tone.WARNING
    if last is None:
        return
    by = f", by {escapes.name(last.by)}" if last.by else ""
    message = f": {escapes.plain(last.message)}" if last.message else ""
    if not last.finished:
        done, total = told.progress(one)
        yield f"{last.phase}{by}, {done} of {narrator.counted(total, 'object')}{message}", Tone.WARNING
    elif last.phase != "Succeeded":
        yield f"{last.phase} at {last.finished}{by}{message}", Tone.BAD
    elif one.operation is not None:
        yield f"{last.phase} at {last.finished}{by}", Tone.DIM


def _troubles(one: application.Application) -> Iterator[str]:
    """Yield what is not as it should be among the objects."""
    bad = [
        each
        for each in one.resources
        if each.sync == application.OUT_OF_SYNC or each.to_prune or each.health in {"Degraded", "Missing"}
    ]
    for each in bad[:_MAX_TROUBLES]:
        words = [each.sync if each.sync == application.OUT_OF_SYNC else "", each.health, each.message]
        words += ["left git, to be pruned"] if each.to_prune else []
        yield f"{escapes.name(str(each))}: {', '.join(escapes.plain(word) for word in words if word)}"
    if len(bad) > _MAX_TROUBLES:
        yield f"and {len(bad) - _MAX_TROUBLES} more"


def _owner(page: _Page, one: Finding, *, verbose: bool) -> None:
    verdict = f" [{_SWITCH[one.answer]}]" if one.answer is not Answer.FINE else ""
    page.line("owner", f"{one.kind} {escapes.name(one.name)}{verdict}: {escapes.plain(one.why)}", _TONES[one.answer])
    if one.state:
        page.line("", escapes.plain(one.state))
    if verbose:
        page.line("", f"known by: {escapes.plain(one.evidence)}", Tone.DIM)
        if one.fix:
            page.line("", f"for Ops, into {escapes.plain(one.where)}:", Tone.DIM)
            page.lines += [" " * (4 + _LABEL) + escapes.plain(line) for line in one.fix.splitlines()]
    elif one.fix:
        page.line("", "the YAML that Ops can add is told by -v", Tone.DIM)


def _service(page: _Page, way: picture.Way, clone: checkout.Clone | str) -> None:
    one = way.chain
    if one.pods:
        more = f" and {len(one.pods) - 1} more" if len(one.pods) > 1 else ""
        page.line("pods", escapes.name(one.pods[0]) + more)
    if one.replica_set:
        page.line("", f"-> {escapes.name(one.replica_set)}")
    if one.workload:
        page.line("workload", escapes.name(str(one)))
    if one.trouble:
        page.line("problem", escapes.plain(one.trouble), Tone.BAD)
    if way.owner is not None:
        page.line("app", escapes.name(str(way.owner)))
    elif way.foreign:
        page.line("app", f"{escapes.name(way.foreign)}, which is not there or may not be read", Tone.WARNING)
    elif one.workload:
        page.line("app", "none renders it", Tone.WARNING)
    if way.located is not None and isinstance(clone, checkout.Clone):
        _file(page, way, clone)
    for name, address in way.links.items():
        page.line(escapes.name(name), escapes.name(address), Tone.HINT)


def _file(page: _Page, way: picture.Way, clone: checkout.Clone) -> None:
    found = way.located
    assert found is not None

    def shown(path: str) -> str:
        return escapes.name(os.path.relpath(os.path.join(clone.top, path)))

    for at, place in enumerate(found.files):
        line = f":{place.line}" if place.line else ""
        page.line("file" if at == 0 else "", shown(place.path) + line)
    if not found.files and found.folder:
        page.line("folder", shown(found.folder))
    for at, place in enumerate(found.changed_by):
        page.line("patches" if at == 0 else "", shown(place.path) + (f":{place.line}" if place.line else ""))
    for at, path in enumerate(found.values):
        page.line("values" if at == 0 else "", shown(path))
    if found.why:
        page.line("", escapes.plain(found.why), Tone.DIM)


def _notes(found: picture.Picture, paint: style.Style) -> Sequence[str]:
    notes = []
    if found.related:
        names = ", ".join(escapes.name(str(each.reference)) for each in found.related)
        notes.append(f"near, and left alone unless named: {names}")
    if isinstance(found.clone, str) and found.clone:
        notes.append(f"argocd.templates: {escapes.plain(found.clone)}")
    notes += [f"owners may be hidden: {escapes.plain(each)}" for each in found.around.unseen]
    return ["", *(paint(each, Tone.DIM) for each in notes)] if notes else []
