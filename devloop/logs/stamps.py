"""Stamps of log lines: reading them, comparing them, and the moment to ask for.

Pure. The kubelet writes RFC 3339 with nine digits of a second and the node's own offset; runtimes whose lines it passes
on as they are leave trailing zeros out. A request takes whole seconds only (see `devloop.kube.podlogs`).
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Final

from devloop import errors

STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
LONGEST: Final = len(b"2006-01-02T15:04:05.000000000+00:00 ")
SECOND: Final = len(b"2006-01-02T15:04:05")

_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_AGES: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CLOCK: Final = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")


def split(line: bytes) -> tuple[bytes, bytes]:
    """Return a line's stamp, empty where it has none, and the rest."""
    found = STAMP.match(line)
    if found is None:
        return b"", line
    return line[: found.end() - 1], line[found.end() :]


def nanoseconds(line: bytes) -> int | None:
    """Return the moment of a line in nanoseconds since the epoch; None where it has no stamp."""
    found = STAMP.match(line)
    if found is None:
        return None
    whole_s = _epoch_s(found[1], found[3])
    if whole_s is None:
        return None
    return whole_s * 1_000_000_000 + int((found[2] or b"0").ljust(9, b"0"))


@functools.lru_cache(maxsize=64)
def _epoch_s(second: bytes, offset: bytes) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat((second + offset).decode("ascii"))
    except ValueError:
        return None
    return int(moment.timestamp())


def earlier(second: bytes, by_s: int) -> bytes:
    """Return the second that is `by_s` before one, both without their offset."""
    moment = datetime.datetime.fromisoformat(second.decode("ascii")) - datetime.timedelta(seconds=by_s)
    return moment.isoformat().encode("ascii")


def utc(second: bytes, offset: bytes) -> str:
    """Return a second at an offset as a request takes it."""
    moment = datetime.datetime.fromisoformat((second + offset).decode("ascii"))
    return of_epoch(moment.timestamp())


def of_epoch(moment_s: float) -> str:
    """Return a moment as a request takes it, cut to the whole second."""
    moment = datetime.datetime.fromtimestamp(int(moment_s), tz=datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def parse_since(text: str, now_s: float) -> float:
    """Return the moment that `--since` means, in seconds since the epoch.

    Args:
        text: An age such as `5m` or `1h30m`, a time of today such as `10:15`, or a date with or without a time; where
            that has no offset it is this machine's.
        now_s: The moment now.

    Raises:
        UsageError: It is nothing of that, or in the future.
    """
    hint = "write an age (30s, 5m, 1h30m, 2d), a time of today (10:15), or a moment (2026-05-01T10:15:00Z)"
    try:
        moment_s = _moment_s(text.strip(), now_s)
    except (ValueError, OverflowError):
        raise errors.UsageError(f"--since {text!r} is no moment and no age", hint=hint) from None
    if moment_s > now_s:
        raise errors.UsageError(f"--since {text!r} is in the future", hint=hint)
    return moment_s


def _moment_s(text: str, now_s: float) -> float:
    if _AGES.fullmatch(text):
        moment_s = now_s - sum(float(number) * _UNITS_S[unit] for number, unit in _AGE.findall(text))
    elif _CLOCK.fullmatch(text):
        today = datetime.datetime.fromtimestamp(now_s).astimezone().date().isoformat()
        moment_s = datetime.datetime.fromisoformat(f"{today}T{text.zfill(len(text) + (text[1] == ':'))}").timestamp()
    else:
        moment_s = datetime.datetime.fromisoformat(text).timestamp()
    if moment_s < 0:
        raise ValueError(text)
    return moment_s
