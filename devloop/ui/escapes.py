"""What may reach a terminal of what others wrote: colours may, control may not.

An app's output, a hook's words and file names are not ours. Printed as they are, they could clear the screen, set the
window's title, answer for the user, or pretend to be one of devloop's own lines. These functions are pure; the views
pass every foreign text through one of them.
"""

from __future__ import annotations

import re
from typing import Final

# ECMA-48: CSI is ESC [ or the single character 9B, parameters 30-3F, intermediates 20-2F, one final 40-7E. OSC, DCS,
# SOS, PM and APC go on to ST or, as xterm takes it, BEL; one that the line's end cut off is dropped to there.
_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~]?)"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\Z)?"
    r"|\x1b[ -/]*[0-~]?"
)

_COLOUR: Final = re.compile(r"[0-9;:]*")

# Control characters but the tab, and what some programs take for a line's end.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_ESC: Final = re.compile(r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]")

# In a name also what turns the direction of writing round, and halves of characters: undecodable bytes.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_RESET: Final = "\x1b[0m"


def plain(line: str) -> str:
    """Return a line of output without any escape sequence or control character."""
    return _well_formed(_CONTROL.sub("", _SEQUENCE.sub("", _last_rewrite(line))))


def coloured(line: str) -> str:
    """Return a line of output with its colours, and without anything else that controls a terminal.

    A line that sets colours ends with a reset, so that they do not run into what follows.
    """
    kept = _CONTROL_BUT_ESC.sub("", _SEQUENCE.sub(_keep_colour, _last_rewrite(line)))
    if "\x1b" in kept and not kept.endswith((_RESET, "\x1b[m")):
        kept += _RESET
    return _well_formed(kept)


def name(path: str) -> str:
    r"""Return a file's name as it can be shown on one line: what is not printable is written as `\n` or `\xe9`."""
    return _UNPRINTABLE.sub(_escaped, path)


def _last_rewrite(line: str) -> str:
    """Return what a progress bar that rewrites its line with carriage returns shows in the end, on one line."""
    if "\r" in line:
        line = line.replace("\r\n", "\n").rstrip("\r").rpartition("\r")[2]
    return line.replace("\n", " ")


def _keep_colour(found: re.Match[str]) -> str:
    parameters = found["parameters"]
    if found["final"] == "m" and not found["between"] and _COLOUR.fullmatch(parameters):
        return f"\x1b[{parameters}m"
    return ""


def _well_formed(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if _has_halves(text) else text


def _has_halves(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return repr(character)[1:-1]
