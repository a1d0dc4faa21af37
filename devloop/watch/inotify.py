"""Linux: inotify through watchdog's descriptor class, below its event pipeline.

watchdog's own emitters watch ignored folders, drop the refusal of a watch, tell handlers nothing about a queue
overflow, and hold every event behind a file that was moved out for half a second. So this backend takes the lowest of
its layers, in `inotify_instance`, and keeps its own watches.

Renames are not paired: the old name is a `Vanished`, the new one a `Dirty` or a `Rescan`, and nothing waits for
anything. A folder is watched first and looked through afterwards, so what is created in between is either told or seen.
"""

from __future__ import annotations

import collections
import errno
import threading
from collections.abc import Callable
from typing import Final

from devloop import errors
from devloop.core import paths
from devloop.watch import backend, changes, events, folders, inotify_instance, limits
from devloop.watch.inotify_instance import CONSTANTS as _C

# Reads, opens and closes without writing are left out, or our own hashing would wake us up.
_TREE_MASK: Final = (
    _C.IN_MODIFY
    | _C.IN_ATTRIB
    | _C.IN_CLOSE_WRITE
    | _C.IN_MOVED_FROM
    | _C.IN_MOVED_TO
    | _C.IN_CREATE
    | _C.IN_DELETE
    | _C.IN_ONLYDIR
    | _C.IN_DONT_FOLLOW
    | _C.IN_EXCL_UNLINK
)
_ROOT_MASK: Final = _TREE_MASK | _C.IN_DELETE_SELF | _C.IN_MOVE_SELF
_BESIDE_MASK: Final = (
    _C.IN_CLOSE_WRITE | _C.IN_MOVED_FROM | _C.IN_MOVED_TO | _C.IN_CREATE | _C.IN_DELETE | _C.IN_ONLYDIR
)

# What is told of a watched folder itself, or with a folder as its object, takes the slow path.
_RARE: Final = _C.IN_ISDIR | _C.IN_DELETE_SELF | _C.IN_MOVE_SELF | _C.IN_UNMOUNT | _C.IN_IGNORED
_AWAY: Final = _C.IN_DELETE | _C.IN_MOVED_FROM

# What the system says when it gives no further watch (inotify_add_watch(2)).
_LIMIT: Final = frozenset({errno.ENOSPC, errno.ENOMEM})

_RESERVED: Final = frozenset(name.encode() for name in paths.RESERVED)


class Inotify:
    """The inotify backend. See `devloop.watch.backend.Backend` for the methods.

    Everything about watches happens in one thread: the caller's during `start`, the backend's own afterwards.
    """

    name = "inotify"

    def __init__(self) -> None:
        self._instance: inotify_instance.Instance | None = None
        self._folders = folders.Folders()
        self._root = ""
        self._prune: backend.Prune = lambda path: False
        self._sink: backend.Sink = lambda event: None
        self._refused: set[str] = set()
        self._limit_told = False
        self._root_lost = False
        self._beside: dict[int, str] = {}
        self._marks: inotify_instance.Marks | None = None
        self._stopped = False
        self._lock = threading.Lock()

    @property
    def watch_count(self) -> int:
        """How many folders of the tree are watched."""
        return len(self._folders)

    def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
        """Watch the tree; see `Backend.start`."""
        self._root, self._prune, self._sink = root, prune, sink
        try:
            instance = inotify_instance.Instance(self._handle, lambda why: sink(events.Failed(why)))
        except OSError as error:
            raise _instance_refused(error) from error
        self._instance = instance
        # Before the tree, which may take every watch that there is.
        self._marks = inotify_instance.Marks.make(instance)
        try:
            self._watch_root()
        except OSError as error:
            self.stop()
            if error.errno in _LIMIT:
                limit = self._limit(self._count(""))
                raise backend.UnavailableError(
                    "too many folders are watched: the limit of inotify watches is reached",
                    hint=limit.hint,
                    report=limit,
                ) from error
            raise errors.RootError(
                f"cannot watch {root}: {error.strerror}", hint="check that the folder exists and is readable"
            ) from error
        instance.start()

    def stop(self) -> None:
        """End the thread, which closes the instance and with it every watch."""
        with self._lock:
            if self._stopped or self._instance is None:
                return
            self._stopped = True
        self._instance.end()
        if self._marks is not None:
            self._marks.close()

    def watch_beside(self, folders: frozenset[str]) -> None:
        """Watch exactly these folders beside the tree."""
        self._call(lambda: self._set_beside(folders))

    def refresh(self, folder: str) -> None:
        """Ask `prune` again about everything below a folder."""
        self._call(lambda: self._refresh(folder))

    def rebuild(self, reason: events.Reason) -> None:
        """Watch the root anew and tell a `Rescan` of everything."""
        self._call(lambda: self._rebuild(reason))

    def mark(self, token: str) -> None:
        """Send a mark through the kernel's queue; one instance has one queue, in order, for all its watches."""
        # The lock keeps the descriptors from being closed, and their numbers from being given away, meanwhile.
        with self._lock:
            if self._stopped:
                raise OSError(errno.ESHUTDOWN, "not watching")
            if self._marks is None:
                raise OSError(errno.ENOSPC, "no watch, or no temporary file, for marks")
            self._marks.send(token)

    def _call(self, command: Callable[[], None]) -> None:
        with self._lock:
            if self._instance is not None and not self._stopped:
                self._instance.call(command)

    # Everything below runs in one thread.

    @property
    def _running(self) -> inotify_instance.Instance:
        assert self._instance is not None
        return self._instance

    def _handle(self, raw: bytes) -> None:
        noted = changes.Changes(self._root)
        by_wd = self._folders.by_wd
        for wd, mask, _cookie, name in inotify_instance.parse(raw):
            folder = by_wd.get(wd)
            if folder is None:
                self._on_stray(wd, mask, name, noted)
                by_wd = self._folders.by_wd
            elif mask & _RARE:
                self._on_folder(folder, mask, name, noted)
            elif name not in _RESERVED:
                noted.on_file(folder.prefix + name.decode("utf-8", "surrogateescape"), mask)
        noted.tell(self._sink)

    def _on_stray(self, wd: int, mask: int, name: bytes, noted: changes.Changes) -> None:
        if mask & _C.IN_Q_OVERFLOW:
            noted.clear()
            self._rebuild(events.Reason.OVERFLOW)
            if self._marks is not None:
                with self._lock:
                    covered = self._marks.restart(self._running)
                self._tell_marks(covered)
        elif wd in self._beside:
            if mask & _C.IN_IGNORED:
                del self._beside[wd]
            else:
                noted.tell(self._sink)
                self._sink(events.Beside(self._beside[wd], name.decode("utf-8", "surrogateescape")))
        elif self._marks is not None and wd == self._marks.wd:
            noted.tell(self._sink)
            with self._lock:
                came = self._marks.came()
            self._tell_marks(came)

    def _tell_marks(self, tokens: list[str]) -> None:
        for token in tokens:
            self._sink(events.Mark(token))

    def _on_folder(self, parent: folders.Folder, mask: int, raw_name: bytes, noted: changes.Changes) -> None:
        if not raw_name:
            self._on_self(parent, mask, noted)
            return
        if raw_name in _RESERVED:
            return
        name = raw_name.decode("utf-8", "surrogateescape")
        path = parent.prefix + name
        if mask & _AWAY:
            self._forget(path)
            if name in parent.children:
                self._unwatch(parent.children[name])
            elif self._prune(path):
                return
            noted.set(path, changes.What.VANISHED)
        elif not self._prune(path):
            self._on_folder_here(parent, name, mask, noted)

    def _on_folder_here(self, parent: folders.Folder, name: str, mask: int, noted: changes.Changes) -> None:
        path = parent.prefix + name
        old = parent.children.get(name)
        if mask & _C.IN_ATTRIB and old is not None:
            noted.set(path, changes.What.DIRTY)
            return
        wd = self._add(path)
        if old is not None and old.wd == wd and not mask & _C.IN_MOVED_TO:
            # Found and told already, by the walk through a folder above it.
            return
        if old is not None:
            self._unwatch(old)
        if wd is not None:
            self._walk(self._folders.put(wd, parent, name))
        noted.rescans[path] = events.Reason.MOVED_IN if mask & _C.IN_MOVED_TO else events.Reason.NEW_FOLDER
        self._tell_limit()

    def _on_self(self, folder: folders.Folder, mask: int, noted: changes.Changes) -> None:
        if folder.parent is None:
            noted.tell(self._sink)
            self._on_root_lost(mask)
        elif mask & (_C.IN_IGNORED | _C.IN_UNMOUNT):
            self._unwatch(folder)
            if mask & _C.IN_UNMOUNT:
                noted.rescans[folder.parent.path] = events.Reason.UNMOUNT

    def _on_root_lost(self, mask: int) -> None:
        if self._root_lost:
            return
        if mask & _C.IN_MOVE_SELF:
            why = f"{self._root} was renamed"
        elif mask & _C.IN_UNMOUNT:
            why = f"{self._root} was unmounted"
        elif mask & (_C.IN_DELETE_SELF | _C.IN_IGNORED):
            why = f"{self._root} was deleted"
        else:
            # A change of the root's own mode or owner.
            return
        self._root_lost = True
        self._sink(events.RootGone(why))

    def _watch_root(self) -> None:
        self._folders = folders.Folders()
        self._refused.clear()
        self._limit_told = False
        wd = self._running.watch(backend.absolute(self._root, ""), _ROOT_MASK)
        self._walk(self._folders.put(wd, None, ""))
        self._tell_limit()

    def _walk(self, top: folders.Folder) -> None:
        """Watch everything below a folder that is watched already; the shallow first, so that a limit hits the deep."""
        pending = collections.deque([top])
        while pending:
            folder = pending.popleft()
            for name in backend.subfolders(self._absolute(folder.path), folder.path, self._prune):
                wd = self._add(folder.prefix + name)
                if wd is not None:
                    pending.append(self._folders.put(wd, folder, name))

    def _add(self, path: str) -> int | None:
        """Watch one folder.

        Returns:
            The descriptor; None where the folder is gone, closed to us, or beyond the limit, which is noted.
        """
        try:
            return self._running.watch(backend.absolute(self._root, path), _TREE_MASK)
        except OSError as error:
            if error.errno in _LIMIT:
                self._refuse(path)
            return None

    def _refuse(self, path: str) -> None:
        self._refused.add(path)
        self._sink(events.Unwatched(path))

    def _unwatch(self, folder: folders.Folder) -> None:
        for wd in self._folders.drop(folder):
            self._running.unwatch(wd)

    def _forget(self, path: str) -> None:
        if self._refused:
            self._refused = {each for each in self._refused if not paths.is_under(each, path)}

    def _refresh(self, path: str) -> None:
        top = self._folders.find(path)
        if top is None:
            return
        added = []
        pending = [top]
        while pending:
            folder = pending.pop()
            wanted = set(backend.subfolders(self._absolute(folder.path), folder.path, self._prune))
            for name in folder.children.keys() - wanted:
                self._unwatch(folder.children[name])
            pending.extend(folder.children.values())
            for name in wanted - folder.children.keys():
                wd = self._add(folder.prefix + name)
                if wd is not None:
                    self._walk(self._folders.put(wd, folder, name))
                added.append(folder.prefix + name)
        for each in added:
            self._sink(events.Rescan(each, events.Reason.UNPRUNED))
        self._tell_limit()

    def _rebuild(self, reason: events.Reason) -> None:
        old = self._folders.by_wd
        try:
            self._watch_root()
        except OSError as error:
            if error.errno not in _LIMIT:
                self._root_lost = True
                self._sink(events.RootGone(f"cannot watch {self._root}: {error.strerror}"))
                return
            self._refuse("")
            self._tell_limit()
        self._root_lost = False
        # A folder that is still there kept its descriptor, under whatever name it now has.
        for wd in old.keys() - self._folders.by_wd.keys():
            self._running.unwatch(wd)
        self._sink(events.Rescan("", reason))

    def _set_beside(self, wanted: frozenset[str]) -> None:
        for wd in [wd for wd, folder in self._beside.items() if folder not in wanted]:
            del self._beside[wd]
            self._running.unwatch(wd)
        for folder in sorted(wanted.difference(self._beside.values())):
            try:
                wd = self._running.watch(paths.to_wire(folder), _BESIDE_MASK)
            except OSError:
                # Missing, or beyond the limit: the watcher looks at what is in there from time to time as well.
                continue
            self._beside[wd] = folder
            self._sink(events.Beside(folder, ""))

    def _tell_limit(self) -> None:
        if not self._refused or self._limit_told:
            return
        self._limit_told = True
        self._sink(self._limit(sum(map(self._count, paths.outermost(self._refused)))))

    def _limit(self, refused: int) -> events.WatchLimit:
        used = len(self._folders)
        allowed = limits.allowed_watches()
        needed = used + refused
        return events.WatchLimit(used, needed, allowed, limits.watches_hint(needed, allowed))

    def _count(self, path: str) -> int:
        names = backend.subfolders(self._absolute(path), path, self._prune)
        return 1 + sum(self._count(paths.join(path, name)) for name in names)

    def _absolute(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def _instance_refused(error: OSError) -> backend.UnavailableError:
    if error.errno != errno.EMFILE:
        return backend.UnavailableError(f"inotify does not work here: {error.strerror}")
    allowed = limits.allowed_instances()
    hint = limits.instances_hint(allowed)
    return backend.UnavailableError(
        "too many programs watch files: the limit of inotify instances is reached",
        hint=hint,
        report=events.WatchInstances(allowed, hint),
    )
