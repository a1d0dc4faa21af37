"""Knowing a process again: after this program was killed, and after its process id was given to another.

An identity is kept in a small file by whoever starts a process, and read by whoever comes next.
"""

from __future__ import annotations

import contextlib
import os

import msgspec

from devloop.proc import table


class Identity(msgspec.Struct, frozen=True):
    """A process, and the group and session that it leads.

    Attributes:
        pid: Its id, which is its group's as well.
        start: See `table.Seen`.
        boot: See `table.boot_id`.
    """

    pid: int
    start: str
    boot: str


def of(pid: int) -> Identity | None:
    """Return the identity of a process, or None where there is no such process."""
    seen = table.look(pid)
    return Identity(pid, seen.start, table.boot_id()) if seen else None


def is_same(identity: Identity) -> bool:
    """Say whether this very process still exists, if only as a zombie."""
    return identity == of(identity.pid)


def save(path: str, identity: Identity) -> None:
    """Write an identity to a file, whole or not at all.

    Raises:
        OSError: The disk refused.
    """
    fresh = f"{path}.new"
    with open(fresh, "wb") as file:
        file.write(msgspec.json.encode(identity))
    os.replace(fresh, path)


def load(path: str) -> Identity | None:
    """Return the identity in a file, or None where there is no file or it holds something else."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Identity)
    except (OSError, msgspec.DecodeError):
        return None


def forget(path: str) -> None:
    """Remove the file, if it is there. One that cannot be removed does no harm: its process is no more."""
    with contextlib.suppress(OSError):
        os.unlink(path)
