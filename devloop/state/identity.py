"""Who this devloop is: an installation with a random id, run by a user on a host."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from typing import Final

from devloop import errors
from devloop.state import private

_ID: Final = re.compile(r"[0-9a-f]{16}")


def install_id(state: str) -> str:
    """Return the installation's id: 16 hexadecimal digits, made once and kept.

    Args:
        state: The state folder (`dirs.Dirs.state`).

    Raises:
        LocalError: It can be neither read nor written.
    """
    path = f"{private.folder(state)}/install-id"
    try:
        return _read(path) or _make(path)
    except OSError as error:
        hint = "free its disk or correct its permissions, or set DEVLOOP_STATE_DIR"
        raise errors.LocalError(f"cannot keep the installation's id in {path}: {error.strerror}", hint=hint) from error


def user() -> str:
    """Return the name of the account, or its number where it has none, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def host() -> str:
    """Return the machine's name."""
    return socket.gethostname() or "localhost"


def owner() -> str:
    """Return `user@host`, for people: what others see who meet this session."""
    return f"{user()}@{host()}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            found = file.read(100).strip()
    except FileNotFoundError:
        return ""
    return found if _ID.fullmatch(found) else ""


def _make(path: str) -> str:
    """Write a new id, unless another process was faster; a damaged one is replaced."""
    fresh = f"{path}.{secrets.token_hex(6)}.new"
    private.write(fresh, f"{secrets.token_hex(8)}\n".encode())
    try:
        os.link(fresh, path)
    except OSError:
        # It is there, so another process made it or it is damaged; or there are no hard links here.
        if not _read(path):
            os.rename(fresh, path)
            return _read(path)
    os.unlink(fresh)
    return _read(path)
