"""Looking instead of being told: a walk at intervals that compares what stat says with the last time.

Used where the system tells nothing (network and shared file systems), where its limits are reached (for the folders
beyond them), and on demand. It honours pruning, and keeps its share of one core small: after a walk it rests for at
least nine times as long as that took.
"""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from devloop import errors
from devloop.core import paths
from devloop.watch import backend, events, rootguard

# A walk takes a tenth of one core at most.
_REST_FACTOR: Final = 9.0

# File systems stamp a change with the time of the last clock tick (4 to 10 ms, ext4 and tmpfs). A file that was stamped
# this shortly before the walk may change again under the same stamp, so it is told once more, next time.
_RACY_NS: Final = 50_000_000

# A stamp further ahead comes from another clock or from before ours was set back; waiting for it could take for ever.
_AHEAD_NS: Final = 10_000_000_000

_STOP_TIMEOUT_S: Final = 30.0

# What is remembered of each path: a hash of what stat said, or _RACY.
Snapshot = dict[str, int]
_RACY: Final = 0


class Polling:
    """The polling backend. See `devloop.watch.backend.Backend` for the methods.

    Args:
        interval_s: Seconds between two walks, at least.
        whole: Walk the whole root; else only the folders given to `cover`.
    """

    name = "polling"

    def __init__(self, interval_s: float, *, whole: bool = True) -> None:
        self._interval_s = interval_s
        self._whole = whole
        self._root = ""
        self._prune: backend.Prune = lambda path: False
        self._sink: backend.Sink = lambda event: None
        self._snapshots: dict[str, Snapshot] = {}
        self._beside: dict[str, Snapshot] = {}
        self._commands: collections.deque[Callable[[], None]] = collections.deque()
        self._bell = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._guard: rootguard.RootGuard | None = None
        self.last_walk_s = 0.0

    @property
    def watch_count(self) -> int:
        """Nothing is watched."""
        return 0

    def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
        """Remember how things are; see `Backend.start`."""
        self._root, self._prune, self._sink = root, prune, sink
        if self._whole:
            try:
                self._guard = rootguard.RootGuard(root)
                self._snapshots[""] = self._walk("", {})
            except OSError as error:
                raise errors.RootError(
                    f"cannot read {root}: {error.strerror}", hint="check that the folder exists and is readable"
                ) from error
        self._thread = threading.Thread(target=self._run, name="devloop-polling", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the walk that it is in."""
        self._stopping = True
        self._bell.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_STOP_TIMEOUT_S)

    def cover(self, folder: str) -> None:
        """Walk this folder as well from now on; it is told as `Rescan` once it is remembered."""
        self._call(lambda: self._cover(folder))

    def watch_beside(self, folders: frozenset[str]) -> None:
        """Look at the entries of exactly these folders as well."""
        self._call(lambda: self._set_beside(folders))

    def refresh(self, folder: str) -> None:
        """Nothing to do but to look: what is no longer pruned is new to the next walk."""
        self._call(self._look)

    def rebuild(self, reason: events.Reason) -> None:
        """Tell a `Rescan` of everything; the next walk remembers anew."""
        self._call(lambda: self._rebuild(reason))

    def mark(self, token: str) -> None:
        """Walk now, then tell the mark."""

        def look_and_tell() -> None:
            self._look()
            self._sink(events.Mark(token))

        self._call(look_and_tell)

    def _call(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._bell.set()

    # Everything below runs in the thread, but for the first walk.

    def _run(self) -> None:
        # This thread's supervisor: an error is told, never lost.
        try:
            while not self._stopping:
                rest_s = max(self._interval_s, _REST_FACTOR * self.last_walk_s)
                if self._bell.wait(rest_s):
                    self._bell.clear()
                    self._obey()
                else:
                    self._look()
        except Exception as error:
            self._sink(events.Failed(f"{type(error).__name__}: {error}"))

    def _obey(self) -> None:
        while self._commands and not self._stopping:
            self._commands.popleft()()

    def _look(self) -> None:
        began_s = time.monotonic()
        if self._guard is None or self._root_is_there(self._guard):
            for folder, before in list(self._snapshots.items()):
                self._look_at(folder, before)
        for folder, before in self._beside.items():
            now = _names(folder)
            for name in sorted(changed(before, now) | (before.keys() - now.keys())):
                self._sink(events.Beside(folder, name))
            self._beside[folder] = now
        self.last_walk_s = time.monotonic() - began_s

    def _root_is_there(self, guard: rootguard.RootGuard) -> bool:
        news = guard.look()
        if news is not None:
            self._sink(news)
        if isinstance(news, events.RootBack):
            self._rebuild(events.Reason.ROOT_BACK)
        return not guard.lost

    def _look_at(self, folder: str, before: Snapshot) -> None:
        try:
            now = self._walk(folder, before)
        except OSError as error:
            if folder:
                # A covered folder that is gone is told like any other disappearance.
                del self._snapshots[folder]
                self._sink(events.Vanished(frozenset({folder})))
            elif self._guard is not None:
                self._sink(self._guard.lose(f"cannot read {self._root}: {error.strerror}"))
            return
        dirty, gone = changed(before, now), before.keys() - now.keys()
        if gone:
            self._sink(events.Vanished(frozenset(gone)))
        if dirty:
            self._sink(events.Dirty(dirty))
        self._snapshots[folder] = now

    def _cover(self, folder: str) -> None:
        if folder in self._snapshots or any(above in self._snapshots for above in paths.ancestors(folder)):
            return
        try:
            self._snapshots[folder] = self._walk(folder, {})
        except OSError:
            # Gone again already; its disappearance is told by the watch above it.
            return
        self._sink(events.Rescan(folder, events.Reason.POLL))

    def _set_beside(self, wanted: frozenset[str]) -> None:
        known = self._beside
        self._beside = {folder: known[folder] if folder in known else _names(folder) for folder in wanted}
        for folder in sorted(wanted - known.keys()):
            self._sink(events.Beside(folder, ""))

    def _rebuild(self, reason: events.Reason) -> None:
        if self._guard is not None:
            try:
                self._snapshots[""] = self._walk("", {})
            except OSError as error:
                self._sink(self._guard.lose(f"cannot read {self._root}: {error.strerror}"))
                return
        self._sink(events.Rescan("", reason))

    def _walk(self, top: str, before: Snapshot) -> Snapshot:
        """Return what is at and below a folder.

        Args:
            top: The folder, relative to the root.
            before: The last snapshot; what lies below a folder that cannot be read now is taken from it, since an
                error is not a disappearance.

        Raises:
            OSError: The top folder cannot be read.
        """
        racy_ns = time.time_ns() - _RACY_NS
        found: Snapshot = {}
        pending = [top]
        while pending:
            folder = pending.pop()
            try:
                pending.extend(self._read(folder, racy_ns, found))
            except (FileNotFoundError, NotADirectoryError):
                if folder == top:
                    raise
            except OSError:
                if folder == top:
                    raise
                inside = folder + "/"
                found.update((path, seen) for path, seen in before.items() if path.startswith(inside))
        return found

    def _read(self, folder: str, racy_ns: int, found: Snapshot) -> list[str]:
        inner = []
        with os.scandir(backend.absolute(self._root, folder)) as entries:
            for entry in entries:
                name = entry.name.decode("utf-8", "surrogateescape")
                if name in paths.RESERVED:
                    continue
                path = paths.join(folder, name)
                if entry.is_dir(follow_symlinks=False):
                    if not self._prune(path):
                        # A folder's own times change with its entries, which are told themselves.
                        found[path] = 1
                        inner.append(path)
                    continue
                try:
                    found[path] = signature(entry.stat(follow_symlinks=False), racy_ns)
                except OSError:
                    # Gone between the listing and the look.
                    continue
        return inner


def signature(status: os.stat_result, racy_ns: int) -> int:
    """Return a number that differs when a file does.

    Args:
        status: What stat says.
        racy_ns: A file changed at or after this wall-clock time is not to be trusted. The ctime tells, since anyone
            may set the mtime.
    """
    if racy_ns <= status.st_ctime_ns <= racy_ns + _AHEAD_NS:
        return _RACY
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode)) or 1


def changed(before: Snapshot, now: Snapshot) -> frozenset[str]:
    """Return the paths that are new, differ, or could not be trusted the last time."""
    get = before.get
    return frozenset(path for path, seen in now.items() if get(path, _MISSING) != seen or seen == _RACY)


_MISSING: Final = -1


def _names(folder: str) -> Snapshot:
    found: Snapshot = {}
    try:
        with os.scandir(paths.to_wire(folder)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                what = 1 if entry.is_dir(follow_symlinks=False) else signature(status, time.time_ns())
                found[entry.name.decode("utf-8", "surrogateescape")] = what
    except OSError:
        # Missing or changing under the look: whatever was found so far; the next look comes soon.
        return found
    return found
