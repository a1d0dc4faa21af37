"""Trouble with one path, as a value.

One broken path never stops the rest: it becomes a `Problem`, is shown until it is gone, and makes the exit
status 3. Problems are made where the path is touched (scan, apply, pull) and travel to every view.
"""

from __future__ import annotations

import enum
import errno as errnos

import msgspec


class Reason(enum.StrEnum):
    """Why a path is not in sync. The values are part of the JSON output."""

    UNREADABLE = "unreadable"
    UNSTABLE = "unstable"
    SPECIAL = "special"
    LINK_ESCAPES = "link-escapes"
    UNSAFE_NAME = "unsafe-name"
    COLLISION = "collision"
    NOT_WRITABLE = "not-writable"
    NO_SPACE = "no-space"
    IN_THE_WAY = "in-the-way"
    CHANGED_IN_TRANSIT = "changed-in-transit"
    CONFLICT = "conflict"
    IO = "io"


class Side(enum.StrEnum):
    """Where the trouble is."""

    LAPTOP = "laptop"
    POD = "pod"


class Problem(msgspec.Struct, frozen=True):
    """One path's trouble.

    Attributes:
        path: The path, relative to its sync's root.
        reason: The kind of trouble.
        detail: What happened, for people: numbers and names included.
        side: Where.
        errno: The system's error number, or 0.
    """

    path: str
    reason: Reason
    detail: str
    side: Side = Side.LAPTOP
    errno: int = 0


_BY_ERRNO = {
    errnos.EACCES: Reason.NOT_WRITABLE,
    errnos.EPERM: Reason.NOT_WRITABLE,
    errnos.EROFS: Reason.NOT_WRITABLE,
    errnos.ENOSPC: Reason.NO_SPACE,
    errnos.EDQUOT: Reason.NO_SPACE,
    errnos.EFBIG: Reason.NO_SPACE,
    errnos.EISDIR: Reason.IN_THE_WAY,
    errnos.ENOTDIR: Reason.IN_THE_WAY,
    errnos.ENOTEMPTY: Reason.IN_THE_WAY,
    errnos.EEXIST: Reason.IN_THE_WAY,
    errnos.ELOOP: Reason.IN_THE_WAY,
    errnos.ENAMETOOLONG: Reason.UNSAFE_NAME,
    errnos.EILSEQ: Reason.UNSAFE_NAME,
}


def from_write_error(path: str, error: OSError, detail: str) -> Problem:
    """Return the pod-side problem that a failed write means.

    Args:
        path: The path that was to be written.
        error: What the system said.
        detail: The sentence for people; the system's own words are added.
    """
    reason = _BY_ERRNO.get(error.errno or 0, Reason.IO)
    return Problem(path, reason, f"{detail}: {error.strerror or error}", Side.POD, error.errno or 0)


def from_read_error(path: str, error: OSError) -> Problem:
    """Return the laptop-side problem that a failed read means."""
    return Problem(path, Reason.UNREADABLE, error.strerror or str(error), Side.LAPTOP, error.errno or 0)
