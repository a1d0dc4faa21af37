"""Who we are to others: the person and host that own a session, and this installation.

The owner's name is shown to people ("held by ann@thinkpad"); the installation's id is random, so that it tells two
laptops of the same name apart and says nothing else.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import secrets
from typing import Final

from devloop import errors

# Not a name that a service can have, whose folders lie in the same place.
_FILE: Final = "install.id"

_ID: Final = re.compile(r"[0-9a-f]{32}")

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


def install_id(state_folder: str) -> str:
    """Return the id of this installation: 32 hex digits, made at the first call and kept.

    Two processes that ask for the first time at once get the same answer.

    Args:
        state_folder: Where it is kept; exists.

    Raises:
        LocalError: It cannot be kept.
    """
    path = os.path.join(state_folder, _FILE)
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise errors.LocalError(
            f"{path} cannot be read or written: {error.strerror}",
            hint="set DEVLOOP_STATE_DIR to a folder that you may write to",
        ) from error


def _printable(name: str) -> str:
    """Return the name without what could break a line or a terminal."""
    return "".join(char for char in name if char.isprintable() and char not in " @")[:_MAX_CHARS]


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = file.read(64).strip()
    except FileNotFoundError:
        return ""
    return found if _ID.fullmatch(found) else ""


def _make(path: str) -> str:
    """Make the file, or replace a damaged one, and return what it says in the end."""
    fresh = f"{path}.{secrets.token_hex(8)}"
    made = secrets.token_hex(16)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(made + "\n")
        try:
            # A link, unlike a rename, never replaces what another process has just made.
            os.link(fresh, path)
        except OSError:
            found = _read(path)
            if found:
                return found
            os.replace(fresh, path)
        return made
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
