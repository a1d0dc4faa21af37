"""Where a verb's words go: data to stdout, everything for people to stderr, nothing lost to an odd character."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

from devloop.cli import options


def prepare() -> None:
    """Let names that are not UTF-8 be printed escaped instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def data(text: str) -> None:
    """Write one piece of the result to stdout, with a line break."""
    sys.stdout.write(text + "\n")


def human(settings: options.Settings, text: str, *, verbosity: int = 0) -> None:
    """Write a line for people to stderr.

    Args:
        settings: Its verbosity decides.
        text: The line.
        verbosity: The least verbosity at which it is said; 0 is silenced by `-q` only.
    """
    if settings.verbosity >= verbosity:
        sys.stderr.write(text + "\n")


def result(settings: options.Settings, value: Any, *, text: str = "", names: Sequence[str] = ()) -> None:
    """Write a verb's result to stdout in the format that was asked for.

    Args:
        settings: Its output decides.
        value: The result as JSON's own values.
        text: The result for people.
        names: The result as names, one a line.
    """
    if settings.output == "json":
        data(json.dumps(value, indent=2, ensure_ascii=False))
    elif settings.output == "yaml":
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    elif settings.output == "name":
        sys.stdout.writelines(f"{name}\n" for name in names)
    elif text:
        data(text)


_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Return a text from elsewhere with its control characters spelled out, so that it cannot steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def style(text: str, *codes: int, on: bool) -> str:
    """Return the text with ANSI's SGR codes around it, where colours are on."""
    return f"\033[{';'.join(map(str, codes))}m{text}\033[0m" if on else text
