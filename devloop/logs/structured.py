"""Log lines that are JSON objects, taken apart for people: when, how bad, what, and the rest.

Pure. The names are those that common libraries write; a line of another shape is left as it is. Nothing is dropped:
what is no time, level or message is a field.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

import msgspec

# zap, zerolog, logrus, slog, bunyan, pino, winston, structlog, python-json-logger, logback and Google Cloud's names.
_TIMES: Final = ("time", "timestamp", "@timestamp", "ts", "t", "datetime", "date", "asctime", "eventTime")
_LEVELS: Final = ("level", "lvl", "severity", "levelname", "log.level", "loglevel", "log_level")
_MESSAGES: Final = ("msg", "message", "event", "short_message", "text")

# bunyan's and pino's numbers.
_NUMBERS: Final = {10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal"}

# Before this a number is no time in milliseconds, and after it none in seconds: 2001 in the one, 5138 in the other.
_MILLISECONDS_FROM: Final = 100_000_000_000
_NANOSECONDS_FROM: Final = 100_000_000_000_000_000


class Taken(msgspec.Struct, frozen=True):
    """A line, taken apart.

    Attributes:
        time: As it is shown, empty where the line has none.
        level: In lower case; likewise.
        message: Likewise.
        fields: The others, as they are shown, in their order; a text with lines of its own as it is.
    """

    time: str
    level: str
    message: str
    fields: tuple[tuple[str, str], ...]


def take(text: str) -> Taken | None:
    """Return a line taken apart; None where it is of another shape."""
    if not text.startswith("{") or not text.rstrip().endswith("}"):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    rest: dict[str, Any] = dict(found)
    time, level, message = (_pop(rest, names) for names in (_TIMES, _LEVELS, _MESSAGES))
    if level is None and message is None:
        # An answer of an API, not a line of a log.
        return None
    return Taken(
        _time(time),
        _level(level),
        "" if message is None else _shown(message, quoted=False),
        tuple((name, _shown(value)) for name, value in rest.items()),
    )


def _pop(fields: dict[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if isinstance(fields.get(name), str | int | float) and not isinstance(fields[name], bool):
            return fields.pop(name)
    return None


def _time(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    seconds = float(value)
    if abs(seconds) >= _NANOSECONDS_FROM:
        seconds /= 1e9
    elif abs(seconds) >= _MILLISECONDS_FROM:
        seconds /= 1e3
    try:
        moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return str(value)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _level(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.lower()
    return _NUMBERS.get(int(value), str(value))


def _shown(value: Any, *, quoted: bool = True) -> str:
    if isinstance(value, str) and (not quoted or "\n" in value or _is_plain(value)):
        return value
    return msgspec.json.encode(value).decode()


def _is_plain(value: str) -> bool:
    """Say whether a text can be told from its surroundings without quotes."""
    return bool(value) and value.isprintable() and not set(value) & set(' "=\\')
