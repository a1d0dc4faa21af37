"""What every backend promises to the watcher.

A backend owns one thread. It reads what the system tells, or looks for itself, and calls the sink with the values
of `devloop.watch.events`; it decides nothing about batches and never touches the event loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Protocol

from devloop import errors
from devloop.core import paths
from devloop.watch import events

# Says whether a folder, relative to the root, is left out with all that is in it. Called from the backend's thread,
# and from `start`'s; must be quick, must not block, and must not raise.
Prune = Callable[[str], bool]

# Takes one event; called from the backend's thread, in the order in which things happened. Must not block.
Sink = Callable[[events.Event], None]


class UnavailableError(errors.LocalError):
    """This backend cannot work here; another one can.

    Args:
        message: What happened.
        report: What to tell the user besides falling back, if there is more to it.
    """

    code = "DL0332"

    def __init__(
        self, message: str, *, hint: str = "", report: events.WatchLimit | events.WatchInstances | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class Backend(Protocol):
    """One way to learn about changes below one root. All methods may be called from any one thread."""

    @property
    def name(self) -> str:
        """The backend's name, for `statistics` and messages."""

    @property
    def watch_count(self) -> int:
        """How many folders are watched."""

    def start(self, root: str, prune: Prune, sink: Sink) -> None:
        """Watch a folder. On return, whatever changes below it will be told.

        Blocks for as long as it takes to walk the folders.

        Args:
            root: An absolute path without symbolic links.
            prune: See `Prune`.
            sink: See `Sink`; may be called before this returns.

        Raises:
            UnavailableError: The system does not let this backend work.
            devloop.errors.RootError: The root is not a readable folder.
        """

    def stop(self) -> None:
        """End the thread and give back what it held. Waits for the thread; the sink is not called afterwards."""

    def watch_beside(self, folders: frozenset[str]) -> None:
        """Watch exactly these folders besides the tree, not what is below them; events are `Beside`.

        A watch that has just begun tells one such event with an empty name.

        Args:
            folders: Absolute paths outside the tree or in a reserved folder of it; one that is missing is left out.
        """

    def refresh(self, folder: str) -> None:
        """Ask `prune` again about everything below a folder: unwatch, watch, and tell `Rescan` for what is new.

        Returns at once; the backend's thread does it.
        """

    def rebuild(self, reason: events.Reason) -> None:
        """Watch the root anew from its path and tell a `Rescan` of everything. Returns at once."""

    def mark(self, token: str) -> None:
        """Have `Mark(token)` told after everything that happened before this call. Returns at once.

        Raises:
            OSError: The system refused what it takes.
        """


def subfolders(folder: str, path: str, prune: Prune) -> Iterator[str]:
    """Yield the names of a folder's folders that are not pruned, links not followed.

    Args:
        folder: The folder's absolute path; one that is missing or unreadable has none.
        path: The same, relative to the root.
        prune: See `Prune`.
    """
    try:
        with os.scandir(paths.to_wire(folder)) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        # The scan, which looks at the same folder, reports what cannot be read.
        return
    for raw in names:
        name = raw.decode("utf-8", "surrogateescape")
        if name not in paths.RESERVED and not prune(paths.join(path, name)):
            yield name


def absolute(root: str, path: str) -> bytes:
    """Return the absolute path, as the file system's bytes, of a path below a root."""
    return paths.to_wire(f"{root}/{path}" if path else root)
