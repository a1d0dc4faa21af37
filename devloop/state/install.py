"""This laptop's devloop, told apart from others by a random name that it gave itself at its first use.

Hosts share names and teams share accounts; what a lease belongs to must be surer than either.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import Final

from devloop import errors
from devloop.state import dirs

_FORM: Final = re.compile(r"[0-9a-f]{16}")


def identity() -> str:
    """Return the name, made where there is none yet.

    Two processes that begin at once agree: whoever makes the file first has named it.

    Raises:
        LocalError: The state folder cannot be written.
    """
    path = os.path.join(dirs.home(), "install")
    found = _read(path)
    if found:
        return found
    made = secrets.token_hex(8)
    fresh = f"{path}.{made}"
    try:
        with open(fresh, "x", encoding="ascii") as file:
            file.write(made)
        try:
            # Unlike a rename, a link never replaces what another process has made meanwhile.
            os.link(fresh, path)
        except FileExistsError:
            if not _read(path):
                os.replace(fresh, path)
    except OSError as error:
        raise errors.LocalError(
            f"{path} cannot be written: {error.strerror}", hint="check the rights of devloop's state folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
    return _read(path) or made


def _read(path: str) -> str:
    """Return the name in a file; empty where there is none, or something else."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(64).strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if _FORM.fullmatch(text) else ""
