"""What one batch does to the roots of a target, as values.

The laptop's planner makes them from the difference of two trees, the protocol carries them, the agent's applier
carries them out. An op names its root by number: the order of the service's syncs.
"""

from __future__ import annotations

import enum

import msgspec

from devloop.core.entry import Entry, Kind


class Action(enum.IntEnum):
    """What an op does with its path."""

    PUT = 1
    """Make the path be the entry: a body follows for a file that is not empty."""
    DELETE = 2
    """Remove the path: one that devloop shipped, or that git lists."""
    ADOPT = 3
    """The path already is the entry: from now on it is managed."""
    FORGET = 4
    """Leave the path as it is, and manage it no longer."""


class Op(msgspec.Struct, frozen=True, gc=False):
    """One path's change.

    Attributes:
        action: What is done.
        root: The sync's number within its service.
        path: Safe relative path (`devloop.core.paths`).
        entry: What the path is to be; `PUT` and `ADOPT` only.
    """

    action: Action
    root: int
    path: str
    entry: Entry | None = None

    @property
    def body_bytes(self) -> int:
        """How many bytes of content the op needs; 0 where it needs none."""
        if self.action is Action.PUT and self.entry is not None and self.entry.kind is Kind.FILE:
            return self.entry.size
        return 0


def put(root: int, path: str, entry: Entry) -> Op:
    """Return the op that makes `path` be `entry`."""
    return Op(Action.PUT, root, path, entry)


def delete(root: int, path: str) -> Op:
    """Return the op that removes `path`."""
    return Op(Action.DELETE, root, path)


def adopt(root: int, path: str, entry: Entry) -> Op:
    """Return the op that takes an entry which is already there as managed."""
    return Op(Action.ADOPT, root, path, entry)


def forget(root: int, path: str) -> Op:
    """Return the op that leaves `path` alone from now on."""
    return Op(Action.FORGET, root, path)
