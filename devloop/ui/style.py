"""Colours: whether there are any, and which one a service has. No import but the standard library's."""

from __future__ import annotations

import enum
import zlib
from collections.abc import Mapping
from typing import Final

# Readable on black and on white alike, and none that means something: not red, yellow or green (ECMA-48, 30-37, 90-97).
_SERVICE_COLOURS: Final = (36, 35, 34, 96, 95, 94)

SERVICE_COLOUR_NAMES: Final[Mapping[int, str]] = {
    36: "cyan",
    35: "magenta",
    34: "blue",
    96: "bright_cyan",
    95: "bright_magenta",
    94: "bright_blue",
}


class Choice(enum.StrEnum):
    """What `--color` says."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Tone(enum.Enum):
    """What a piece of text is, which decides how it is drawn. The value is its SGR code, as text.

    Not a tuple: CPython 3.11.2, Debian 12's, gives a member whose value is `()` a bare `object()` for it.
    """

    PLAIN = ""
    DIM = "2"
    BOLD = "1"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"
    HINT = "36"


def wanted(choice: Choice | str, *, terminal: bool, environ: Mapping[str, str]) -> bool:
    """Say whether to use colours.

    Args:
        choice: What `--color` says; anything but `auto` decides.
        terminal: What is written to is one.
        environ: `NO_COLOR` (no-color.org), `FORCE_COLOR` and `TERM` are looked at, in this order.
    """
    if choice != Choice.AUTO:
        return choice == Choice.ALWAYS
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}:
        return True
    return terminal and environ.get("TERM", "dumb") not in {"", "dumb"}


def service_colour(service: str) -> int:
    """Return the SGR code of a service's colour: the same in every view and at every start."""
    return _SERVICE_COLOURS[zlib.crc32(service.encode("utf-8", "surrogateescape")) % len(_SERVICE_COLOURS)]


class Style:
    """Draws text with colours, or without.

    Args:
        on: With.
    """

    def __init__(self, *, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, tone: Tone) -> str:
        """Return the text in its tone."""
        return self._sgr(text, tone.value)

    def service(self, text: str, service: str) -> str:
        """Return the text in a service's colour."""
        return self._sgr(text, str(service_colour(service)) if service else "")

    def _sgr(self, text: str, code: str) -> str:
        if not (self.on and text and code):
            return text
        return f"\x1b[{code}m{text}\x1b[0m"
