"""The plain view, for pipes, files and editors: marker lines on stdout, everything for people on stderr.

A marker is flushed at once and is the only thing on stdout, so a script or an editor can wait for it. What hooks and
builds print in the form of compilers, `path:line:col: error: …`, goes through untouched, for an editor's matcher.
"""

from __future__ import annotations

import re
from typing import Final, TextIO

from devloop.sync import events
from devloop.ui import escapes, markers, narrator, podlines, style

# What editors' matchers for gcc take: path, line, column, severity.
_COMPILER: Final = re.compile(r"(?!devloop:).+?:\d+:(?:\d+:)? *(?:fatal )?(?:error|warning|note|info)\b")


class TextView:
    """Writes lines.

    Args:
        out: Takes the markers.
        err: Takes everything else.
        color: `err` is drawn in colours; the markers never are.
    """

    is_threaded = True

    def __init__(self, out: TextIO, err: TextIO, *, color: bool = False) -> None:
        self._out = out
        self._err = err
        self._style = style.Style(on=color)
        self._markers = markers.Markers()
        self._narrator = narrator.Narrator()

    def show(self, event: events.Event) -> None:
        """Write what an event calls for; why a sync failed stands before the marker that says that it did."""
        told = self._narrator.tell(event)
        lines = [self._drawn(line) for line in told]
        marks = self._markers.take(event)
        if markers.FAILED in marks:
            just_told = {line.service for line in told}
            reasons = self._markers.reasons.items()
            lines += [self._word(name, f"not in sync: {why}") for name, why in reasons if name not in just_told]
        _write(self._err, lines)
        _write(self._out, marks)

    def close(self) -> None:
        """Leave the streams to their owner."""
        self._err.flush()

    def _drawn(self, line: narrator.Line) -> str:
        if line.kind is narrator.Kind.OUTPUT:
            return self._output(line)
        text = self._style(line.text, line.tone)
        if line.kind is narrator.Kind.SAVE and line.ms is not None:
            text = f"{text} in {narrator.ms_told(line.ms)}"
        return self._word(line.service, text)

    def _word(self, service: str, text: str) -> str:
        return f"{self._style.service(service, service)}: {text}" if service else text

    def _output(self, line: narrator.Line) -> str:
        if line.label:
            text = podlines.safe(line.text, color=self._style.on)
            return f"{self._style.service(line.label, podlines.colour_of(line.label))} | {text}"
        if line.source != narrator.APP:
            plain = escapes.plain(line.text)
            if _COMPILER.match(plain):
                return plain
        label = f"{line.service} {line.source}" if line.source != narrator.APP else line.service
        text = escapes.coloured(line.text) if self._style.on else escapes.plain(line.text)
        return f"{self._style.service(escapes.name(label), line.service)} | {text}"


def _write(stream: TextIO, lines: list[str]) -> None:
    if lines:
        stream.write("".join(line + "\n" for line in lines))
        stream.flush()
