"""The agent's key: made anew at each start, in a file that only its user can read.

In a pod the file lies in a memory volume that only the agent mounts, and the laptop reads it by `pods/exec`, so the
cluster's RBAC decides who may talk to the agent. On a target of this machine the file's mode decides.
"""

from __future__ import annotations

import os
import secrets
from typing import Final

from devloop import errors

NAME: Final = "key"

# 256 bits, hexadecimal, so that it passes through any terminal or exec stream unharmed.
KEY_BYTES: Final = 32


def make(state: str) -> tuple[str, bytes]:
    """Make a new key and return the file's path and the key.

    Args:
        state: The agent's state folder; it exists.

    Raises:
        OSError: The file cannot be written.
    """
    path = os.path.join(state, NAME)
    key = secrets.token_hex(KEY_BYTES).encode()
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, key)
    finally:
        os.close(fd)
    os.rename(fresh, path)
    return path, key


def read(state: str) -> bytes:
    """Return the key of the agent that runs with this state folder.

    Raises:
        AgentError: There is none, or it is not ours to read.
    """
    path = os.path.join(state, NAME)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise errors.AgentError(
            f"no key at {path}: {error.strerror}", hint="is the agent running, and is this its user?", code="DL0604"
        ) from error
