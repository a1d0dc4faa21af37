"""Lines of pods' logs as they are shown: whose it is in front, in its own colour, and nothing that steers a terminal.

A pod has the same short name and the same colour at every run; a prefix is ours alone, because what a container prints
passes `devloop.ui.escapes` and is one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from devloop.logs import chosen, lines, stamps, structured, values
from devloop.ui import escapes, style

# What controllers append: a ReplicaSet's hash and five random characters, or these alone (DaemonSets, ReplicaSets).
_OF_REPLICASET: Final = re.compile(r"(?P<name>.+)-(?P<hash>[a-z0-9]{6,10})-(?P<random>[a-z0-9]{5})")
_OF_CONTROLLER: Final = re.compile(r"(?P<name>.+)-(?P<random>[a-z0-9]{5})")
_NAME_CHARS: Final = 24

BELOW: Final = "    "

GOES_ON: Final = " …"
"""The end of a piece of a line that is too long for one."""

_TONES: Final = {
    "trace": style.Tone.DIM,
    "debug": style.Tone.DIM,
    "info": style.Tone.GOOD,
    "notice": style.Tone.GOOD,
    "warn": style.Tone.WARNING,
    "warning": style.Tone.WARNING,
    "error": style.Tone.BAD,
    "err": style.Tone.BAD,
    "critical": style.Tone.BAD,
    "fatal": style.Tone.BAD,
    "panic": style.Tone.BAD,
}
_LEVEL_CHARS: Final = 5


def short(pod: str) -> str:
    """Return a pod's name as short as it can still be told apart: `web-7d…x2k` of `web-7d9f8c6b5-abx2k`."""
    found = _OF_REPLICASET.fullmatch(pod)
    if found is not None:
        return f"{_cut(found['name'])}-{found['hash'][:2]}…{found['random'][-3:]}"
    found = _OF_CONTROLLER.fullmatch(pod)
    if found is not None:
        return f"{_cut(found['name'])}-{found['random']}"
    return pod


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else name[: _NAME_CHARS - 1] + "…"


class Labels:
    """Names containers, each the same way as long as this lives."""

    def __init__(self) -> None:
        self._pods: dict[str, str] = {}
        self._origins: dict[values.Origin, str] = {}

    def __len__(self) -> int:
        return len(self._origins)

    def of(self, origin: values.Origin) -> str:
        """Return `POD CONTAINER`, or `SERVICE SOURCE` for a target on this machine.

        A short name that another pod has already is not given again.
        """
        known = self._origins.get(origin)
        if known is None:
            pod = self._pod(origin.pod) if origin.pod else escapes.name(origin.service)
            known = self._origins[origin] = f"{pod} {escapes.name(origin.container)}"
        return known

    def _pod(self, pod: str) -> str:
        if pod not in self._pods:
            name = short(pod)
            self._pods[pod] = escapes.name(pod if name in self._pods.values() else name)
        return self._pods[pod]


def colour_of(label: str) -> str:
    """Return what decides the colour of a label: its pod, so that all containers of a pod have the same."""
    return label.partition(" ")[0]


class Printer:
    """Turns lines of logs into lines of text.

    Args:
        drawn: With colours or without.
        wanted: Which lines are shown.
        prefix: Always put a prefix in front; else only once there is more than one container.
        timestamps: Put the stamp in front of the text.
        pretty: Show lines that are JSON for people.
    """

    def __init__(
        self,
        drawn: style.Style,
        wanted: chosen.Chosen,
        *,
        prefix: bool = False,
        timestamps: bool = False,
        pretty: bool = False,
    ) -> None:
        self._style = drawn
        self._wanted = wanted
        self._labels = Labels()
        self._prefix = prefix
        self._timestamps = timestamps
        self._pretty = pretty

    def expect(self, origins: Iterable[values.Origin]) -> None:
        """Know of containers before they print, so that all of their lines have a prefix, or none."""
        for origin in origins:
            self._labels.of(origin)

    def lines(self, batch: values.Batch) -> list[str]:
        """Return what is shown of a batch."""
        label = self._labels.of(batch.origin)
        front = ""
        if self._prefix or len(self._labels) > 1:
            front = f"{self._style.service(f'{label} |', colour_of(label))} "
        return [front + text for line in batch.lines for text in self._shown(line)]

    def note(self, note: values.Note) -> list[str]:
        """Return a remark."""
        whose = self._labels.of(note.origin) if note.origin.pod else note.origin.service
        told = [f"{whose}: {escapes.plain(note.text)}"]
        if note.hint:
            told.append(f"hint: {escapes.plain(note.hint)}")
        return [self._style(line, style.Tone.WARNING) for line in told]

    def _shown(self, line: bytes) -> list[str]:
        stamp, text, more = taken_apart(line)
        if not self._wanted.is_all and not self._wanted.wants(text):
            return []
        shown = self._readable(text) if self._pretty else [self._safe(text)]
        if self._timestamps and stamp:
            shown[0] = f"{stamp} {shown[0]}"
        if more:
            shown[-1] += GOES_ON
        return shown

    def _safe(self, text: str) -> str:
        return safe(text, color=self._style.on)

    def _readable(self, text: str) -> list[str]:
        """Return a line that is JSON for people: what has lines of its own, such as a trace, below."""
        taken = structured.take(text)
        if taken is None:
            return [self._safe(text)]
        message, *below = taken.message.split("\n")
        parts = [self._style(escapes.plain(taken.time), style.Tone.DIM), self._level(taken.level), self._safe(message)]
        for name, value in taken.fields:
            label = self._style(escapes.plain(name) + "=", style.Tone.DIM)
            if "\n" in value:
                below += [f"{name}=", *value.split("\n")]
            else:
                parts.append(label + self._safe(value))
        return [" ".join(part for part in parts if part), *(BELOW + self._safe(each) for each in below if each.strip())]

    def _level(self, level: str) -> str:
        told = escapes.plain(level.upper())
        if not told:
            return ""
        return self._style(told, _TONES.get(level, style.Tone.BOLD)) + " " * (_LEVEL_CHARS - len(told))


def safe(text: str, *, color: bool) -> str:
    """Return a line that a container printed as it may reach a terminal, with its colours or without."""
    # Most lines are: this costs a tenth of what the expressions do.
    if text.isascii() and text.isprintable():
        return text
    return escapes.coloured(text) if color else escapes.plain(text)


def taken_apart(line: bytes) -> tuple[str, str, bool]:
    """Return a line's stamp, its text, and whether that goes on in the next one."""
    more = lines.goes_on(line)
    stamp, rest = stamps.split(line)
    text = rest[:-1] if more else rest
    return stamp.decode("ascii"), text.decode("utf-8", "replace"), more


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line for programs. Public: fields may be added."""

    service: str
    pod: str
    container: str
    time: str
    line: str
    restart: int | None = None
    more: bool = False


def to_json(batch: values.Batch, wanted: chosen.Chosen) -> list[bytes]:
    """Return what is shown of a batch, for programs: one object of JSON for each line, as it was printed.

    Args:
        batch: The lines.
        wanted: Which of them.
    """
    origin = batch.origin
    records = []
    for line in batch.lines:
        stamp, text, more = taken_apart(line)
        if wanted.is_all or wanted.wants(text):
            made = _Record(origin.service, origin.pod, origin.container, stamp, text, batch.run, more)
            records.append(msgspec.json.encode(made))
    return records
