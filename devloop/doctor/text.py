"""The words of `devloop doctor` for a terminal: lines by group, what is wrong with what to do below it. Pure."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from devloop.doctor import report
from devloop.doctor.report import Level, Line
from devloop.ui import escapes, style
from devloop.ui.style import Tone

_MARKS: Final = {Level.PASS: "ok", Level.WARN: "warn", Level.FAIL: "FAIL", Level.UNKNOWN: "?"}
_TONES: Final = {Level.PASS: Tone.GOOD, Level.WARN: Tone.WARNING, Level.FAIL: Tone.BAD, Level.UNKNOWN: Tone.DIM}
_MARK_WIDTH: Final = 4

_LEAST_WIDTH: Final = 40


def render(found: report.Report, *, color: bool = False, width: int = 100, verbose: bool = False) -> str:
    """Return the text, without the last line end.

    Args:
        found: The report.
        color: With colours.
        width: Columns of the terminal.
        verbose: Show what passed in full, with its details.
    """
    paint = style.Style(on=color)
    parts: list[str] = []
    for group, lines in itertools.groupby(found.lines, key=lambda line: line.group):
        parts += [paint(_title(group), Tone.BOLD), *_group([*lines], paint, width, verbose=verbose), ""]
    return "\n".join([*parts, _summary(found, paint)])


def _title(group: str) -> str:
    kind, _, name = group.partition("/")
    return f"{kind} {escapes.name(name)}" if name else kind


def _group(lines: Sequence[Line], paint: style.Style, width: int, *, verbose: bool) -> Iterator[str]:
    column = max(len(line.name) for line in lines)
    for line in lines:
        mark = paint(_MARKS[line.level].ljust(_MARK_WIDTH), _TONES[line.level])
        subject = f"{escapes.name(line.subject)}: " if line.subject else ""
        below = " " * (2 + _MARK_WIDTH + 2 + column + 2)
        pieces = _filled(subject + escapes.plain(line.text), len(below), width)
        yield f"  {mark}  {line.name.ljust(column)}  {pieces[0]}"
        yield from (below + each for each in pieces[1:])
        if line.fix:
            told = f"fix: {escapes.plain(line.fix)}" + (f" (devloop explain {line.code})" if line.code else "")
            yield from (below + paint(each, Tone.HINT) for each in _filled(told, len(below), width))
        if line.details and (verbose or line.level is not Level.PASS or line.name in _ALWAYS):
            for detail in line.details:
                pieces = _filled(escapes.plain(detail), len(below) + 4, width)
                yield below + paint(pieces[0], Tone.DIM)
                yield from (f"{below}    {paint(each, Tone.DIM)}" for each in pieces[1:])


# What is read also where all is well: which pods there are, and why which way in.
_ALWAYS: Final = frozenset({"workload", "way in"})


def _filled(text: str, indent: int, width: int) -> list[str]:
    # A command to copy is never broken within a word.
    room = max(_LEAST_WIDTH, width - indent)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(found: report.Report, paint: style.Style) -> str:
    counted = report.counts(found.lines)
    words = {Level.PASS: "passed", Level.WARN: "to look at", Level.FAIL: "failed", Level.UNKNOWN: "not known"}
    told = [
        paint(f"{count} {words[level]}", _TONES[level] if level is not Level.PASS else Tone.PLAIN)
        for level, count in counted.items()
        if count
    ]
    return ", ".join(told)
