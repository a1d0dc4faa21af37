"""Who we are to others: the person and host that own a session, as shown to people ("held by ann@thinkpad")."""

from __future__ import annotations

import getpass
import os
from typing import Final

# A host's name is at most 64 bytes on Linux and 255 on macOS (gethostname(2)); shown to people, this is enough.
_MAX_CHARS: Final = 64


def owner() -> str:
    """Return `user@host`."""
    return f"{user()}@{host()}"


def user() -> str:
    """Return the user's name, or `uid-1000` where it has none, as in many containers."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return _printable(name) or f"uid-{os.getuid()}"


def host() -> str:
    """Return the laptop's name."""
    return _printable(os.uname().nodename) or "unknown"


def _printable(name: str) -> str:
    """Return the name without what could break a line or a terminal."""
    return "".join(char for char in name if char.isprintable() and char not in " @")[:_MAX_CHARS]
