"""What a backend tells: hints where to look, and trouble that must not be swallowed.

Made in a backend's thread, read by `devloop.watch.watcher`, which hands hints to the batcher and reports to its caller.
Paths are relative to the watched root, in the form of `devloop.core.paths`; a hint never says what is at the path now.
"""

from __future__ import annotations

import enum

import msgspec


class Reason(enum.StrEnum):
    """Why a folder must be looked through instead of single paths. The values are part of the JSON output."""

    NEW_FOLDER = "new-folder"
    MOVED_IN = "moved-in"
    UNPRUNED = "unpruned"
    OVERFLOW = "overflow"
    TOO_MANY = "too-many"
    POLL = "poll"
    WAKE = "wake"
    CLOCK = "clock"
    FLUSH = "flush"
    ROOT_BACK = "root-back"
    UNMOUNT = "unmount"


class Dirty(msgspec.Struct, frozen=True):
    """These paths changed, and whoever changed them is done: closed, renamed into place, or changed in mode."""

    paths: frozenset[str]


class Opened(msgspec.Struct, frozen=True):
    """These files were created or written to, and are still open: a close follows, or they are logs."""

    paths: frozenset[str]


class Vanished(msgspec.Struct, frozen=True):
    """These paths were deleted or renamed away; an editor may be about to put them back."""

    paths: frozenset[str]


class Rescan(msgspec.Struct, frozen=True):
    """Everything at and below this folder may have changed. Its watch, where it has one, is already in place.

    Attributes:
        path: The folder; the empty string is the root. It may be gone again.
        reason: Why.
    """

    path: str
    reason: Reason


class Beside(msgspec.Struct, frozen=True):
    """Something happened to a name in one of the folders watched beside the tree, such as git's.

    Attributes:
        folder: The folder, absolute, as it was given to `Backend.watch_beside`.
        name: The entry in it; empty when the watch has just begun, for what happened before.
    """

    folder: str
    name: str


class Mark(msgspec.Struct, frozen=True):
    """Everything that happened before `Backend.mark(token)` was called has been told."""

    token: str


class Unwatched(msgspec.Struct, frozen=True):
    """This folder and what is below it could not be watched, and needs polling."""

    path: str


class WatchLimit(msgspec.Struct, frozen=True):
    """The system refused further inotify watches.

    Attributes:
        used: Watches that devloop holds for this root.
        needed: Watches that it would take.
        allowed: What the system allows this user in all programs together; 0 where unknown.
        hint: The commands that raise the limit.
    """

    used: int
    needed: int
    allowed: int
    hint: str


class WatchInstances(msgspec.Struct, frozen=True):
    """The system refused an inotify instance: too many programs of this user watch something.

    Attributes:
        allowed: The limit of this user; 0 where unknown.
        hint: The commands that raise the limit.
    """

    allowed: int
    hint: str


class PollingInstead(msgspec.Struct, frozen=True):
    """A folder is looked through at intervals, because its changes are not told.

    Attributes:
        path: The folder; the empty string is the whole root.
        interval_s: Seconds between two looks, at least; a large tree is looked at less often.
        why: The reason, for people.
    """

    path: str
    interval_s: float
    why: str


class RootGone(msgspec.Struct, frozen=True):
    """The root was deleted, renamed, unmounted or replaced by an empty folder. Nothing may be concluded from it.

    Attributes:
        why: What was seen, for people.
    """

    why: str


class RootBack(msgspec.Struct, frozen=True):
    """The root is there again and watched; a `Rescan` of everything follows."""


class Failed(msgspec.Struct, frozen=True):
    """A backend's thread ended by an error: a defect, which ends the watching.

    Attributes:
        why: The error, for people.
    """

    why: str


Hint = Dirty | Opened | Vanished | Rescan
Report = WatchLimit | WatchInstances | PollingInstead | RootGone | RootBack
Event = Hint | Beside | Mark | Unwatched | WatchLimit | RootGone | RootBack | Failed


def path_count(event: Event) -> int:
    """Return how many paths an event holds in memory."""
    return len(event.paths) if isinstance(event, Dirty | Opened | Vanished) else 1
