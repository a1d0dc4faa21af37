"""macOS: FSEvents through watchdog's native stream, below its own reading of the flags.

Not run on Linux: watchdog's module, which needs the native extension, is imported when the backend starts. What the
flags mean is decided by the pure `translate`. FSEvents watches whole trees and cannot prune, so pruned folders are
filtered out here; it merges events, and says when it lost some.

The flags are those of Apple's FSEvents.h (CoreServices, FSEventStreamEventFlags).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from devloop import errors
from devloop.core import paths
from devloop.watch import backend, events

MUST_SCAN_SUB_DIRS: Final = 0x0000_0001
USER_DROPPED: Final = 0x0000_0002
KERNEL_DROPPED: Final = 0x0000_0004
ROOT_CHANGED: Final = 0x0000_0020
UNMOUNT: Final = 0x0000_0080
ITEM_CREATED: Final = 0x0000_0100
ITEM_REMOVED: Final = 0x0000_0200
ITEM_RENAMED: Final = 0x0000_0800
ITEM_MODIFIED: Final = 0x0000_1000
ITEM_IS_DIR: Final = 0x0002_0000

_LOST: Final = MUST_SCAN_SUB_DIRS | USER_DROPPED | KERNEL_DROPPED
_COOKIE_PREFIX: Final = "cookie-"
_COOKIE_FOLDER: Final = ".devloop"
_STOP_TIMEOUT_S: Final = 10.0


def translate(
    root: str,
    native: Iterable[tuple[bytes, int]],
    prune: backend.Prune,
    exists: Callable[[str], bool],
) -> list[events.Event]:
    """Return what one delivery of FSEvents means.

    Args:
        root: The watched folder, as FSEvents names it: absolute, without symbolic links.
        native: Path and flags of each event, in order. Flags of one path may be those of several changes, merged.
        prune: See `backend.Prune`.
        exists: Says whether a relative path is there now, as the flags do not.

    Returns:
        Events, disappearances first. A mark's cookie becomes a `Mark`, after everything else.
    """
    dirty: set[str] = set()
    vanished: set[str] = set()
    rescans: dict[str, events.Reason] = {}
    marks: list[events.Event] = []
    base = root.rstrip("/")
    for raw, flags in native:
        absolute = raw.decode("utf-8", "surrogateescape").rstrip("/")
        if flags & ROOT_CHANGED and absolute == base:
            return [events.RootGone(f"{root} was moved or deleted")]
        path = absolute[len(base) + 1 :] if absolute.startswith(base + "/") else ""
        if flags & _LOST:
            rescans[path] = events.Reason.OVERFLOW
        elif not path:
            continue
        elif path.startswith(f"{_COOKIE_FOLDER}/{_COOKIE_PREFIX}"):
            if flags & ITEM_CREATED:
                marks.append(events.Mark(path.partition(_COOKIE_PREFIX)[2]))
        elif not _is_left_out(path, bool(flags & ITEM_IS_DIR), prune):
            _sort_in(path, flags, exists, dirty, vanished, rescans)
    told: list[events.Event] = []
    if vanished:
        told.append(events.Vanished(frozenset(vanished)))
    if dirty:
        told.append(events.Dirty(frozenset(dirty)))
    told.extend(events.Rescan(path, reason) for path, reason in rescans.items())
    return told + marks


def _sort_in(
    path: str,
    flags: int,
    exists: Callable[[str], bool],
    dirty: set[str],
    vanished: set[str],
    rescans: dict[str, events.Reason],
) -> None:
    if flags & (ITEM_REMOVED | ITEM_RENAMED) and not exists(path):
        dirty.discard(path)
        vanished.add(path)
        return
    vanished.discard(path)
    if flags & UNMOUNT:
        rescans[path] = events.Reason.UNMOUNT
    elif flags & ITEM_IS_DIR and flags & ITEM_RENAMED:
        rescans[path] = events.Reason.MOVED_IN
    elif flags & ITEM_IS_DIR and flags & ITEM_CREATED:
        rescans[path] = events.Reason.NEW_FOLDER
    else:
        dirty.add(path)


def _is_left_out(path: str, is_folder: bool, prune: backend.Prune) -> bool:
    if not paths.RESERVED.isdisjoint(path.split("/")):
        return True
    above = list(paths.ancestors(path))
    return any(map(prune, reversed(above))) or (is_folder and prune(path))


class FSEvents:
    """The macOS backend. See `devloop.watch.backend.Backend` for the methods.

    Not run by the tests, which have no macOS.
    """

    name = "fsevents"

    def __init__(self) -> None:
        self._root = ""
        self._sink: backend.Sink = lambda event: None
        self._prune: backend.Prune = lambda path: False
        self._tree: Any = None
        self._beside: dict[str, Any] = {}

    @property
    def watch_count(self) -> int:
        """One stream covers the whole tree."""
        return 1 if self._tree is not None else 0

    def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
        """Open the stream; see `Backend.start`."""
        self._root, self._prune, self._sink = root, prune, sink
        if not os.path.isdir(root):
            raise errors.RootError(f"cannot watch {root}: not a folder", hint="check that the folder exists")
        self._tree = _open_stream(root, self._on_tree)

    def stop(self) -> None:
        """Close the streams."""
        streams, self._tree, self._beside = [self._tree, *self._beside.values()], None, {}
        for stream in streams:
            if stream is not None:
                stream.stop()
                stream.join(_STOP_TIMEOUT_S)

    def watch_beside(self, folders: frozenset[str]) -> None:
        """Open a stream for each folder that is not watched yet, close those that are not wanted."""
        for folder in self._beside.keys() - folders:
            self._beside.pop(folder).stop()
        for folder in sorted(folders - self._beside.keys()):
            if os.path.isdir(folder):
                self._beside[folder] = _open_stream(folder, self._beside_handler(folder))
                self._sink(events.Beside(folder, ""))

    def refresh(self, folder: str) -> None:
        """Nothing is watched or not by rule, so only the rescan remains."""
        self._sink(events.Rescan(folder, events.Reason.UNPRUNED))

    def rebuild(self, reason: events.Reason) -> None:
        """Open the stream anew, at the root that is there now."""
        if self._tree is not None:
            self._tree.stop()
        self._tree = _open_stream(self._root, self._on_tree)
        self._sink(events.Rescan("", reason))

    def mark(self, token: str) -> None:
        """Create a file in the tree's reserved folder: a stream tells nothing of what is outside it."""
        folder = os.path.join(self._root, _COOKIE_FOLDER)
        os.makedirs(folder, exist_ok=True)
        file = os.path.join(folder, _COOKIE_PREFIX + token)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.unlink(file)

    def _on_tree(self, native: list[tuple[bytes, int]]) -> None:
        for event in translate(self._root, native, self._prune, self._exists):
            self._sink(event)

    def _exists(self, path: str) -> bool:
        return os.path.lexists(backend.absolute(self._root, path))

    def _beside_handler(self, folder: str) -> Callable[[list[tuple[bytes, int]]], None]:
        real = os.path.realpath(folder)

        def handle(native: list[tuple[bytes, int]]) -> None:
            for raw, _ in native:
                path = raw.decode("utf-8", "surrogateescape")
                if os.path.dirname(path) == real:
                    self._sink(events.Beside(folder, os.path.basename(path)))

        return handle


def _open_stream(folder: str, handle: Callable[[list[tuple[bytes, int]]], None]) -> Any:
    """Return a running watchdog emitter that hands its raw events to us."""
    try:
        # The import needs an extension that only macOS has.
        from watchdog.observers import api
        from watchdog.observers import fsevents as native
    except ImportError as error:
        raise backend.UnavailableError(f"FSEvents does not work here: {error}") from error

    class Stream(native.FSEventsEmitter):
        def events_callback(self, paths: list[bytes], inodes: list[int], flags: list[int], ids: list[int]) -> None:
            pairs = zip(paths, flags, strict=True)
            handle([(os.fsencode(path), flag) for path, flag in pairs])

    emitter = Stream(api.EventQueue(), api.ObservedWatch(folder, recursive=True))
    emitter.start()
    return emitter
