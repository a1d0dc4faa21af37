"""Linux: inotify through watchdog's descriptor class, below its event pipeline.

watchdog's own emitters watch ignored folders, drop the refusal of a watch, tell handlers nothing about a queue
overflow, and hold every event behind a file that was moved out for half a second. So this backend takes the lowest of
its layers, `InotifyFD` (the instance, its thread, the wake-up pipe, the parser), and keeps its own watches. It relies
on members that are not public: the version is pinned, and `tests/unit/watch/test_inotify.py` names each of them.

Renames are not paired: the old name is a `Vanished`, the new one a `Dirty` or a `Rescan`, and nothing waits for
anything. A folder is watched first and looked through afterwards, so what is created in between is either told or seen.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Final

from watchdog.observers import inotify_c

from devloop import errors
from devloop.core import paths
from devloop.watch import backend, events, folders, limits

_C: Final = inotify_c.InotifyConstants

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
_DONE: Final = _C.IN_CLOSE_WRITE | _C.IN_MOVED_TO
_AWAY: Final = _C.IN_DELETE | _C.IN_MOVED_FROM
_HERE: Final = _C.IN_CREATE | _C.IN_MOVED_TO

# The thread reads faster than a program writes files, so a burst would cost a whole round of it per event. After this
# many reads in close succession it rests after each, and the kernel's queue gathers. No editor's save is that long.
_BUSY_READS: Final = 24
_BUSY_GAP_S: Final = 0.005
_BUSY_REST_S: Final = 0.002

_STOP_TIMEOUT_S: Final = 10.0
_RESERVED: Final = frozenset(name.encode() for name in paths.RESERVED)


class _Reader(inotify_c.InotifyFD):
    """watchdog's inotify instance and thread, handing over what each read returned as a whole.

    Args:
        handle: Takes the raw bytes of one read; called in the thread.
        failed: Told why, when the thread ends by an error.
    """

    def __init__(self, handle: Callable[[bytes], None], failed: Callable[[str], None]) -> None:
        super().__init__()
        self.name = "devloop-inotify"
        self._handle = handle
        self._failed = failed
        self._commands: collections.deque[Callable[[], None]] = collections.deque()
        # watchdog's instance would be inherited by a child process that keeps descriptors open.
        os.set_inheritable(self.fd, False)

    @property
    def fd(self) -> int:
        """The inotify instance's descriptor."""
        return self._inotify_fd

    def call(self, command: Callable[[], None]) -> None:
        """Have something done in the thread, in turn with the events."""
        self._commands.append(command)
        os.write(self._kill_w, b"!")

    def on_thread_stop(self) -> None:
        """Wake the thread. watchdog would close the instance here, under the feet of a thread that adds watches."""
        os.write(self._kill_w, b"!")

    def discard(self) -> None:
        """Give the instance and its watches back, once the thread has ended or if it was never started."""
        self._is_reading = False
        self.close()

    def run(self) -> None:
        """Read and hand over until stopped. This thread's supervisor: an error is told, never lost."""
        in_a_row, last_s = 0, 0.0
        try:
            while self.should_keep_running():
                raw = self._read_event_buffer(inotify_c.DEFAULT_EVENT_BUFFER_SIZE)
                # Commands first: a mark that was sent after one must not overtake what that one tells.
                while self._commands:
                    os.read(self._kill_r, 1)
                    self._commands.popleft()()
                self._handle(raw)
                before_s, last_s = last_s, time.monotonic()
                in_a_row = in_a_row + 1 if last_s - before_s < _BUSY_GAP_S else 0
                if in_a_row > _BUSY_READS:
                    self._stopped_event.wait(_BUSY_REST_S)
        except Exception as error:
            self._failed(f"{type(error).__name__}: {error}")


class Inotify:
    """The inotify backend. See `devloop.watch.backend.Backend` for the methods.

    Everything about watches happens in one thread: the caller's during `start`, the backend's own afterwards.
    """

    name = "inotify"

    def __init__(self) -> None:
        self._reader: _Reader | None = None
        self._instance = -1
        self._folders = folders.Folders()
        self._root = ""
        self._prune: backend.Prune = lambda path: False
        self._sink: backend.Sink = lambda event: None
        self._refused: set[str] = set()
        self._limit_told = False
        self._root_lost = False
        self._beside: dict[int, str] = {}
        self._marks: _Marks | None = None
        self._lock = threading.Lock()

    @property
    def watch_count(self) -> int:
        """How many folders of the tree are watched."""
        return len(self._folders)

    def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
        """Watch the tree; see `Backend.start`."""
        self._root, self._prune, self._sink = root, prune, sink
        try:
            self._reader = _Reader(self._handle, lambda why: sink(events.Failed(why)))
        except OSError as error:
            raise _instance_refused(error) from error
        self._instance = self._reader.fd
        # Before the tree, which may take every watch that there is.
        self._marks = _Marks.make(self._instance)
        try:
            self._watch_root()
        except OSError as error:
            self._give_back(self._reader)
            self._reader = None
            raise errors.RootError(
                f"cannot watch {root}: {error.strerror}", hint="check that the folder exists and is readable"
            ) from error
        self._reader.start()

    def stop(self) -> None:
        """End the thread, which closes the instance and with it every watch."""
        with self._lock:
            reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.stop()
        reader.join(_STOP_TIMEOUT_S)
        if reader.is_alive():
            # It hangs in a file system that does not answer; closing its descriptors would hit whoever gets them next.
            return
        self._give_back(reader)

    def _give_back(self, reader: _Reader) -> None:
        reader.discard()
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
            if self._reader is None:
                raise OSError(errno.ESHUTDOWN, "not watching")
            if self._marks is None:
                raise OSError(errno.ENOSPC, "no watch, or no temporary file, for marks")
            self._marks.send(token)

    def _call(self, command: Callable[[], None]) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.call(command)

    # Everything below runs in one thread.

    def _handle(self, raw: bytes) -> None:
        changes = _Changes(self._root)
        by_wd = self._folders.by_wd
        for wd, mask, _cookie, name in inotify_c.InotifyFD._parse_event_buffer(raw):
            folder = by_wd.get(wd)
            if folder is None:
                self._on_stray(wd, mask, name, changes)
                by_wd = self._folders.by_wd
            elif mask & _RARE:
                self._on_folder(folder, mask, name, changes)
            elif name not in _RESERVED:
                changes.on_file(folder.prefix + name.decode("utf-8", "surrogateescape"), mask)
        changes.tell(self._sink)

    def _on_stray(self, wd: int, mask: int, name: bytes, changes: _Changes) -> None:
        if mask & _C.IN_Q_OVERFLOW:
            changes.clear()
            self._rebuild(events.Reason.OVERFLOW)
            # The mark may have been lost with the rest; the rescan covers what it stood for.
            self._on_mark()
        elif wd in self._beside:
            if mask & _C.IN_IGNORED:
                del self._beside[wd]
            else:
                changes.tell(self._sink)
                self._sink(events.Beside(self._beside[wd], name.decode("utf-8", "surrogateescape")))
        elif self._marks is not None and wd == self._marks.wd:
            changes.tell(self._sink)
            self._on_mark()

    def _on_mark(self) -> None:
        if self._marks is None:
            return
        with self._lock:
            came = self._marks.came()
        for token in came:
            self._sink(events.Mark(token))

    def _on_folder(self, parent: folders.Folder, mask: int, raw_name: bytes, changes: _Changes) -> None:
        if not raw_name:
            self._on_self(parent, mask, changes)
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
            changes.set(path, _VANISHED)
        elif not self._prune(path):
            self._on_folder_here(parent, name, mask, changes)

    def _on_folder_here(self, parent: folders.Folder, name: str, mask: int, changes: _Changes) -> None:
        path = parent.prefix + name
        old = parent.children.get(name)
        if mask & _C.IN_ATTRIB and old is not None:
            changes.set(path, _DIRTY)
            return
        wd = self._add(path)
        if old is not None and old.wd == wd and not mask & _C.IN_MOVED_TO:
            # Found and told already, by the walk through a folder above it.
            return
        if old is not None:
            self._unwatch(old)
        if wd is not None:
            self._walk(self._folders.put(wd, parent, name))
        changes.rescans[path] = events.Reason.MOVED_IN if mask & _C.IN_MOVED_TO else events.Reason.NEW_FOLDER
        self._tell_limit()

    def _on_self(self, folder: folders.Folder, mask: int, changes: _Changes) -> None:
        if folder.parent is None:
            changes.tell(self._sink)
            self._on_root_lost(mask)
        elif mask & (_C.IN_IGNORED | _C.IN_UNMOUNT):
            self._unwatch(folder)
            if mask & _C.IN_UNMOUNT:
                changes.rescans[folder.parent.path] = events.Reason.UNMOUNT

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
        wd = _add_watch(self._instance, backend.absolute(self._root, ""), _ROOT_MASK)
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
            return _add_watch(self._instance, backend.absolute(self._root, path), _TREE_MASK)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.ENOMEM}:
                self._refused.add(path)
                self._sink(events.Unwatched(path))
            return None

    def _unwatch(self, folder: folders.Folder) -> None:
        for wd in self._folders.drop(folder):
            self._remove(wd)

    def _remove(self, wd: int) -> None:
        # The kernel has dropped the watches of what was deleted; that it knows none is no news.
        inotify_c.inotify_rm_watch(self._instance, inotify_c.WatchDescriptor(wd))

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
            self._root_lost = True
            self._sink(events.RootGone(f"cannot watch {self._root}: {error.strerror}"))
            return
        self._root_lost = False
        # A folder that is still there kept its descriptor, under whatever name it now has.
        for wd in old.keys() - self._folders.by_wd.keys():
            self._remove(wd)
        self._sink(events.Rescan("", reason))

    def _set_beside(self, wanted: frozenset[str]) -> None:
        for wd in [wd for wd, folder in self._beside.items() if folder not in wanted]:
            del self._beside[wd]
            self._remove(wd)
        for folder in sorted(wanted.difference(self._beside.values())):
            try:
                wd = _add_watch(self._instance, paths.to_wire(folder), _BESIDE_MASK)
            except OSError:
                # Missing, or beyond the limit: the watcher looks at what is in there from time to time as well.
                continue
            self._beside[wd] = folder
            self._sink(events.Beside(folder, ""))

    def _tell_limit(self) -> None:
        if not self._refused or self._limit_told:
            return
        self._limit_told = True
        used = len(self._folders)
        needed = used + sum(map(self._count, paths.outermost(self._refused)))
        allowed = limits.allowed_watches()
        self._sink(events.WatchLimit(used, needed, allowed, limits.watches_hint(needed, allowed)))

    def _count(self, path: str) -> int:
        names = backend.subfolders(self._absolute(path), path, self._prune)
        return 1 + sum(self._count(paths.join(path, name)) for name in names)

    def _absolute(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


_DIRTY: Final = 1
_OPENED: Final = 2
_VANISHED: Final = 3


class _Changes:
    """What the events of one read say about each path, in the end.

    Args:
        root: Where created names are looked at.
    """

    __slots__ = ("_of", "_root", "rescans")

    def __init__(self, root: str) -> None:
        self._root = root
        self._of: dict[str, int] = {}
        self.rescans: dict[str, events.Reason] = {}

    def set(self, path: str, what: int) -> None:
        """Note what happened to a path."""
        self._of[path] = what

    def clear(self) -> None:
        """Forget everything, as a rescan of the whole covers it."""
        self._of.clear()
        self.rescans.clear()

    def on_file(self, path: str, mask: int) -> None:
        """Note an event of anything but a folder."""
        if mask & _DONE:
            self._of[path] = _DIRTY
        elif mask & _AWAY:
            self._of[path] = _VANISHED
        elif mask & _C.IN_CREATE:
            self._of[path] = _created(backend.absolute(self._root, path))
        elif mask & _C.IN_MODIFY:
            self._of.setdefault(path, _OPENED)
        elif mask & _C.IN_ATTRIB and self._of.get(path) != _OPENED:
            # A mode that is set while the file is being written comes with the close.
            self._of[path] = _DIRTY

    def tell(self, sink: backend.Sink) -> None:
        """Hand over what was noted, and start anew."""
        if self._of:
            for kind, what in ((events.Vanished, _VANISHED), (events.Opened, _OPENED), (events.Dirty, _DIRTY)):
                found = frozenset(path for path, each in self._of.items() if each == what)
                if found:
                    sink(kind(found))
            self._of = {}
        if self.rescans:
            for path, reason in self.rescans.items():
                sink(events.Rescan(path, reason))
            self.rescans = {}


class _Marks:
    """A nameless file that is watched for nothing but what is written to it here.

    Its name is gone before anything is written, so nothing is left behind even by a kill. The kernel merges equal
    events, so only one write is under way at a time, and the marks asked for meanwhile wait for it to come back.

    Args:
        file: The open file.
        wd: Its watch.
    """

    def __init__(self, file: int, wd: int) -> None:
        self.wd = wd
        self._file = file
        self._under_way: list[str] = []
        self._waiting: list[str] = []

    @classmethod
    def make(cls, instance: int) -> _Marks | None:
        """Return the marks of an inotify instance; None where it cannot have any."""
        try:
            file, name = tempfile.mkstemp(prefix="devloop-mark-")
        except OSError:
            return None
        try:
            return cls(file, _add_watch(instance, os.fsencode(name), _C.IN_MODIFY))
        except OSError:
            os.close(file)
            return None
        finally:
            os.unlink(name)

    def send(self, token: str) -> None:
        """Send a mark now, or after the one that is under way."""
        self._waiting.append(token)
        if not self._under_way:
            self._send_waiting()

    def came(self) -> list[str]:
        """Return the marks that have come back, and send those that waited."""
        came, self._under_way = self._under_way, []
        if self._waiting:
            self._send_waiting()
        return came

    def close(self) -> None:
        """Give the file back, and with it its space."""
        os.close(self._file)

    def _send_waiting(self) -> None:
        self._under_way, self._waiting = self._waiting, []
        os.pwrite(self._file, b"!", 0)


def _created(file: bytes) -> int:
    """Say what a new name means: a plain file is closed later on, while a link is complete as it appears."""
    try:
        status = os.lstat(file)
    except OSError:
        return _VANISHED
    return _OPENED if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else _DIRTY


def _add_watch(instance: int, path: bytes, mask: int) -> int:
    wd = inotify_c.inotify_add_watch(instance, path, mask)
    if wd == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return wd


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
