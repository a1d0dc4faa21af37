"""What a doctor says: lines of pass, warn, fail or unknown, each with what to do, and the exit status of all.

Pure values, made by the checks from facts, shown by `devloop.doctor.text` or as the versioned JSON document of
`document`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Final

import msgspec

import devloop
from devloop import errors

VERSION: Final = 1
"""Of the JSON document: raised when a field changes its meaning or goes; new ones may come at any time."""


# What a script may act upon; every other failure is just one.
_TOLD: Final = frozenset({errors.Exit.OK, errors.Exit.AUTH, errors.Exit.UNREACHABLE})


class Level(enum.StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - no password, the word for what is well
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One check and its end.

    Attributes:
        group: What it is about: `machine`, `cluster`, or a service's name after `service/`.
        name: The check, in a word or two; it is stable over versions.
        subject: Which pod or folder it is about, where there may be several.
        level: How it ended.
        text: What was found.
        fix: What to do; empty where it passed.
        code: What `devloop explain` tells more about; empty where there is nothing.
        status: The exit status that a failure means.
        details: More that was found, a line each.
    """

    group: str
    name: str
    level: Level
    text: str
    subject: str = ""
    fix: str = ""
    code: str = ""
    status: errors.Exit = errors.Exit.ERROR
    details: tuple[str, ...] = ()


class Rung(enum.StrEnum):
    """A way of getting the agent into a pod, in the order in which they are preferred."""

    DECLARED = "declared"
    ADMISSION = "admission"
    EPHEMERAL = "ephemeral"
    PATCH = "patch"


class Usable(enum.StrEnum):
    """Whether a rung can be used."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Verdict(msgspec.Struct, frozen=True):
    """Whether a rung can be used for one service, and why."""

    rung: Rung
    usable: Usable
    reason: str


class Report(msgspec.Struct, frozen=True):
    """All that was found.

    Attributes:
        lines: The checks, those first that others need.
        rungs: The ways in, by service.
    """

    lines: tuple[Line, ...]
    rungs: dict[str, tuple[Verdict, ...]] = {}

    @property
    def exit_status(self) -> errors.Exit:
        """What the process ends with: the first failure decides, for what comes after it may only follow from it."""
        failed = next((line.status for line in self.lines if line.level is Level.FAIL), errors.Exit.OK)
        return failed if failed in _TOLD else errors.Exit.ERROR


def of_error(group: str, name: str, error: errors.DevloopError, subject: str = "") -> Line:
    """Return the line that an error makes of a check."""
    return Line(
        group=group,
        name=name,
        level=Level.FAIL,
        subject=subject,
        text=error.message,
        fix=error.hint,
        code=error.error_code,
        status=error.exit_status,
    )


def unknown(group: str, name: str, reason: str, fix: str = "", subject: str = "") -> Line:
    """Return the line of a check that could not be made."""
    return Line(group=group, name=name, level=Level.UNKNOWN, text=reason, fix=fix, subject=subject)


def counts(lines: Iterable[Line]) -> dict[Level, int]:
    """Return how many checks ended in which way."""
    found = dict.fromkeys(Level, 0)
    for line in lines:
        found[line.level] += 1
    return found


def document(report: Report) -> dict[str, Any]:
    """Return the report as JSON's own values."""
    return {
        "version": VERSION,
        "devloop": devloop.__version__,
        "exit": int(report.exit_status),
        "counts": {str(level): count for level, count in counts(report.lines).items()},
        "checks": [_check(line) for line in report.lines],
        "rungs": {name: msgspec.to_builtins(verdicts) for name, verdicts in report.rungs.items()},
    }


def _check(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(line)
    del found["status"]
    return found
