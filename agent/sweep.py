"""Looks through a root in small slices for what someone else did there.

There is no inotify to rely on in a pod, so the truth comes from going round: each pass compares the status of every
managed path with the manifest and reads what differs, lists what devloop never shipped (extra), counts what the ignore
rules cover (protected), and finds the files that `pull:` asks for. The caller gives every slice a budget and waits
between slices as `pause_after` says; batches may be applied between two slices. Corrections go to `agent.store`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Generator
from typing import Final

import msgspec

from agent import store
from agent.roots import Root
from devloop.core import entry, paths
from devloop.fs import atomic, dirfd

# How many names are looked at between two glances at the clock: some 100 microseconds of work.
_GLANCE: Final = 32

# How many extra paths a report lists; all of them are counted.
MAX_LISTED: Final = 10_000

Ignored = Callable[[str, bool], bool]
Pulled = Callable[[str], bool]

_Slices = Generator[None, None, None]
_Status = tuple[int, int, int, int]


class Pull(msgspec.Struct, frozen=True):
    """A file that `pull:` asks for.

    Attributes:
        path: The path.
        entry: What it is now.
    """

    path: str
    entry: entry.Entry


class SweepReport(msgspec.Struct, frozen=True):
    """What one whole pass found.

    Attributes:
        drifted: Every managed path that is not as shipped, sorted.
        extra: Paths that are neither managed nor protected, sorted, as far as they are listed.
        extra_count: How many there are.
        protected_count: How many paths the ignore rules cover; a covered folder counts as one.
        pulls: Files that `pull:` asks for and that are not as shipped, or never were; again with every pass until they
            are adopted or gone.
        scanned: How many names were looked at.
    """

    drifted: tuple[store.Drift, ...]
    extra: tuple[str, ...]
    extra_count: int
    protected_count: int
    pulls: tuple[Pull, ...]
    scanned: int


def pause_after(spent_s: float, share: float, *, at_most_s: float = 60.0) -> float:
    """Return how long to wait after a slice, so that sweeping takes no more than a share of one core.

    Args:
        spent_s: How long the slice took.
        share: The share, such as 0.003.
        at_most_s: The longest wait.
    """
    return min(max(spent_s, 0.0) * (1.0 / share - 1.0), at_most_s)


class Sweep:
    """Goes round one root again and again. Used by one thread only, the one that applies batches.

    Args:
        root: The open root.
        shelf: Its manifest.
        ignored: Whether the ignore rules cover a path, given that no folder above it is covered; the second argument
            says that it is a folder.
        pulled: Whether `pull:` asks for a file. Asked before `ignored`, but not for what lies in a covered folder.
        clock_s: A monotonic clock.
    """

    def __init__(
        self,
        root: Root,
        shelf: store.Store,
        ignored: Ignored,
        pulled: Pulled = lambda path: False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._shelf = shelf
        self._ignored = ignored
        self._pulled = pulled
        self._clock_s = clock_s
        self._round: _Round | None = None
        self._slices: _Slices | None = None
        self._hashed: dict[str, tuple[_Status, entry.Entry]] = {}

    def step(self, budget_s: float) -> SweepReport | None:
        """Work for about `budget_s`, at least a little.

        Returns:
            The report, when a pass has come to its end; None in the middle of one.

        Raises:
            OSError: The manifest could not be written.
        """
        until_s = self._clock_s() + budget_s
        if self._round is None or self._slices is None:
            self._round = _Round(self._root, self._shelf, self._ignored, self._pulled, self._hashed)
            self._slices = self._round.run()
        for _ in self._slices:
            if self._clock_s() >= until_s:
                return None
        report = self._round.report()
        self._hashed = self._round.hashed
        self._round = self._slices = None
        return report

    def restart(self) -> None:
        """Give up the pass that is under way: the rules changed, or the root was replaced."""
        if self._slices is not None:
            self._slices.close()
        self._round = self._slices = None


class _Round:
    """One pass."""

    def __init__(
        self,
        root: Root,
        shelf: store.Store,
        ignored: Ignored,
        pulled: Pulled,
        hashed: dict[str, tuple[_Status, entry.Entry]],
    ) -> None:
        self._root = root
        self._shelf = shelf
        self._ignored = ignored
        self._pulled = pulled
        self._before = hashed
        self._seen: set[str] = set()
        self._above: set[str] = set()
        self._extra: list[str] = []
        self._extra_count = 0
        self._protected = 0
        self._pulls: list[Pull] = []
        self._scanned = 0
        self.hashed: dict[str, tuple[_Status, entry.Entry]] = {}

    def run(self) -> _Slices:
        """Do the pass; each step of the generator is a little work."""
        for count, path in enumerate(list(self._shelf.rows)):
            for folder in paths.ancestors(path):
                if folder in self._above:
                    break
                self._above.add(folder)
            if count % (_GLANCE * 8) == 0:
                yield
        todo = [("", False)]
        while todo:
            folder, covered = todo.pop()
            yield from self._folder(folder, covered=covered, todo=todo)
            yield
        yield from self._unseen()

    def report(self) -> SweepReport:
        """Return what was found."""
        drifted = self._shelf.drifted()
        changed = ((drift.path, drift.now) for drift in drifted)
        pulls = [Pull(path, now) for path, now in changed if now is not None and _is_file(now) and self._pulled(path)]
        return SweepReport(
            drifted=drifted,
            extra=tuple(sorted(self._extra)),
            extra_count=self._extra_count,
            protected_count=self._protected,
            pulls=tuple(sorted([*self._pulls, *pulls], key=lambda pull: pull.path)),
            scanned=self._scanned,
        )

    def _folder(self, folder: str, *, covered: bool, todo: list[tuple[str, bool]]) -> _Slices:
        """Look at every name in one folder; `covered` says that only managed paths matter in it."""
        try:
            fd = open_folder(self._root, folder)
        except OSError:
            return
        try:
            for count, (name, is_folder) in enumerate(list_folder(fd), 1):
                path = paths.join(folder, name)
                self._scanned += 1
                if name in paths.RESERVED:
                    self._protected += 1
                    continue
                row = self._shelf.managed(path)
                if row is not None:
                    yield from self._managed(path, row, fd, name)
                hides = covered or (is_folder and self._ignored(path, True))
                if is_folder and (path in self._above or (row is not None and not hides)):
                    todo.append((path, hides))
                elif row is None:
                    yield from self._unmanaged(path, fd, name, is_folder=is_folder, covered=hides, todo=todo)
                if count % _GLANCE == 0:
                    yield
        finally:
            os.close(fd)

    def _managed(self, path: str, row: store.Row, fd: int, name: str) -> _Slices:
        """Compare a managed path with its row, and correct the row."""
        self._seen.add(path)
        info = atomic.look(fd, name)
        if info is not None and store.matches(row, info):
            return
        if info is None:
            fresh = store.missing(row)
        else:
            found = yield from _entry_in_slices(fd, name, info)
            fresh = store.judge(row, found, info)
        # A batch may have been applied while the file was read: then its row is the newer one.
        if fresh != row and self._shelf.rows.get(path) is row:
            self._shelf.settle({path: fresh})

    def _unmanaged(
        self, path: str, fd: int, name: str, *, is_folder: bool, covered: bool, todo: list[tuple[str, bool]]
    ) -> _Slices:
        if not is_folder and not covered and self._pulled(path):
            yield from self._pull(path, fd, name)
        if covered or (not is_folder and self._ignored(path, False)):
            self._protected += 1
            return
        self._extra_count += 1
        if len(self._extra) < MAX_LISTED:
            self._extra.append(path)
        if is_folder:
            todo.append((path, False))

    def _pull(self, path: str, fd: int, name: str) -> _Slices:
        info = atomic.look(fd, name)
        if info is None or atomic.kind_of(info) is not entry.Kind.FILE:
            return
        status = (info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_size)
        known = self._before.get(path)
        found: entry.Entry | None
        if known is not None and known[0] == status:
            found = known[1]
        else:
            found = yield from _entry_in_slices(fd, name, info)
        if found is not None:
            self.hashed[path] = (status, found)
            self._pulls.append(Pull(path, found))

    def _unseen(self) -> _Slices:
        """Look for the managed paths that the way round did not come by."""
        every = list(self._shelf.rows)
        for at in range(0, len(every), _GLANCE * 8):
            unseen = [path for path in every[at : at + _GLANCE * 8] if path not in self._seen]
            for part in range(0, len(unseen), _GLANCE):
                self._shelf.verify(unseen[part : part + _GLANCE])
                yield
            yield


def open_folder(root: Root, folder: str) -> int:
    """Return a new descriptor with which a folder of the root can be listed; the caller closes it.

    Raises:
        OSError: It is not there, not a folder, or may not be read.
    """
    if not folder:
        return dirfd.open_to_list(root.data_fd, ".")
    above, _, name = folder.rpartition("/")
    with dirfd.Folders(root.data_fd) as folders:
        return dirfd.open_to_list(folders.get(above), name)


def list_folder(fd: int) -> list[tuple[str, bool]]:
    """Return the names in an open folder, sorted, and for each whether it is a folder itself (not a link to one).

    Raises:
        OSError: It cannot be read.
    """
    with os.scandir(fd) as listing:
        return sorted((found.name, found.is_dir(follow_symlinks=False)) for found in listing)


def _entry_in_slices(fd: int, name: str, info: os.stat_result) -> Generator[None, None, entry.Entry | None]:
    """Return what a name is, as `atomic.entry_at`, but give way after each part of a file; None if it is unreadable."""
    try:
        if atomic.kind_of(info) is not entry.Kind.FILE or info.st_size <= atomic.CHUNK_BYTES:
            return atomic.entry_at(fd, name, info)
        yield
        file_fd = atomic.open_regular(fd, name)
        try:
            hasher = hashlib.sha256()
            size = 0
            for data in atomic.chunks(file_fd):
                hasher.update(data)
                size += len(data)
                yield
        finally:
            os.close(file_fd)
    except OSError:
        return None
    return entry.file(hasher.digest(), size, executable=atomic.is_executable(info))


def _is_file(found: entry.Entry) -> bool:
    return found.kind is entry.Kind.FILE
