"""Taking the notes of a look over into what the scanner knows, and telling what that changed.

No disk in here: the notes of `devloop.fs.walk` and the outcomes of `devloop.fs.hashing` come in, the scanner's tree,
its index of children, its problems and its stat cache are brought up to date, and the differences go out.
"""

from __future__ import annotations

from devloop.core import entry, paths, problem
from devloop.core.entry import Entry
from devloop.core.problem import Problem, Reason
from devloop.core.tree import TreeDelta
from devloop.fs import hashing, scanstate, statcache, walk


class Merge:
    """One merge. Use it once: `notes`, then `outcome` for each file that was read, then `finish`.

    Args:
        setup: What the scanner was made with.
        known: What it knows; changed by the merge.

    Attributes:
        problems: Trouble that appeared or changed.
        cleared: Paths whose trouble is over.
        again: Paths to look at once more.
    """

    def __init__(self, setup: scanstate.Setup, known: scanstate.Known) -> None:
        self._cache = setup.cache
        self._ticks = setup.ticks
        self._known = known
        self._put: dict[str, Entry] = {}
        self._gone: set[str] = set()
        self._shaken: set[str] = set()
        self.problems: dict[str, Problem] = {}
        self.cleared: set[str] = set()
        self.again: set[str] = set()

    @property
    def delta(self) -> TreeDelta:
        """What changed in the tree."""
        return TreeDelta(self._put, frozenset(self._gone))

    def notes(self, look: walk.Look) -> None:
        """Take over what was seen without reading files."""
        known = self._known
        known.children.update(look.listed)
        for path, is_known in look.members.items():
            siblings = known.children.setdefault(paths.parent(path), set())
            (siblings.add if is_known else siblings.discard)(path)
        for path in look.lost:
            self._drop(path)
        for path in look.unentered:
            self._drop_below(path)
            self._remove(path)
        for path in look.flattened:
            self._drop_below(path)
        for path, is_hollow in look.hollow.items():
            (known.hollow.add if is_hollow else known.hollow.discard)(path)
            self._shaken.add(path)
        for path, found in look.found.items():
            self._set(path, found)
        for path in look.clean:
            if path not in look.problems:
                self._clear(path)
        for path, trouble in look.problems.items():
            self._trouble(path, trouble)
        self.again |= look.again

    def outcome(self, outcome: hashing.Digested | hashing.Failed, seen: walk.Pending, walked_ns: int) -> None:
        """Take over what came of reading one file.

        Args:
            outcome: What came of it.
            seen: Its stamp before it was read.
            walked_ns: The monotonic clock when that stamp had been seen.
        """
        path = outcome.path
        if isinstance(outcome, hashing.Digested):
            self._drop_below(path)
            self._clear(path)
            self._remember(outcome, self._set(path, outcome.entry), seen, walked_ns)
        elif outcome.failure is hashing.Failure.VANISHED:
            # It may come back as something else before any event says so.
            self._drop(path)
            self.again.add(path)
        elif outcome.failure is hashing.Failure.UNSTABLE:
            self._trouble(path, Problem(path, Reason.UNSTABLE, "it keeps changing while it is read"))
            self.again.add(path)
        elif outcome.failure is hashing.Failure.NOT_A_FILE:
            self.again.add(path)
        elif outcome.error is not None:
            self._trouble(path, problem.from_read_error(path, outcome.error))

    def finish(self) -> None:
        """Give each ignored folder an entry if it holds one, and take it away if it does not."""
        hollow = self._known.hollow
        if not hollow:
            return
        asked = {path for path in self._shaken if path in hollow}
        for path in (*self._put, *self._gone, *self._shaken):
            asked.update(above for above in paths.ancestors(path) if above in hollow)
        for folder in sorted(asked, key=paths.depth, reverse=True):
            if any(child in self._known.tree for child in self._known.children.get(folder, ())):
                self._set(folder, entry.folder())
            else:
                self._remove(folder)

    def _remember(self, read: hashing.Digested, kept: Entry, seen: walk.Pending, walked_ns: int) -> None:
        """Keep the stamp of a file that was read, as proven or not."""
        first_ns = walked_ns if read.stamp == seen.stamp else read.began_ns
        first_ns = self._cache.first_seen_ns(read.path, read.stamp, first_ns)
        waited = read.began_ns - first_ns >= statcache.tick_ns(read.stamp)
        if waited or self._ticks.reached_ns(read.device) > statcache.settles_at_ns(read.stamp):
            self._cache.prove(read.path, read.stamp, kept)
        else:
            self._cache.doubt(read.path, read.stamp, first_ns)

    def _set(self, path: str, new: Entry) -> Entry:
        """Make a path be an entry; return the object that the tree holds for it."""
        old = self._known.tree.get(path)
        if old == new and old is not None:
            return old
        self._known.tree.put(path, new)
        self._put[path] = new
        self._gone.discard(path)
        return new

    def _remove(self, path: str) -> None:
        if self._known.tree.remove(path) is not None:
            self._put.pop(path, None)
            self._gone.add(path)
        self._cache.drop(path)

    def _drop(self, path: str) -> None:
        """Forget a path and everything below it."""
        siblings = self._known.children.get(paths.parent(path))
        if siblings is not None:
            siblings.discard(path)
        self._drop_below(path)
        self._forget(path)

    def _drop_below(self, path: str) -> None:
        stack = list(self._known.children.pop(path, ()))
        while stack:
            below = stack.pop()
            stack.extend(self._known.children.pop(below, ()))
            self._forget(below)

    def _forget(self, path: str) -> None:
        self._remove(path)
        self._clear(path)
        self._known.hollow.discard(path)
        self._known.follows.pop(path, None)
        self._known.refused.discard(path)

    def _trouble(self, path: str, trouble: Problem) -> None:
        if self._known.problems.get(path) != trouble:
            self._known.problems[path] = trouble
            self.problems[path] = trouble
        self.cleared.discard(path)

    def _clear(self, path: str) -> None:
        if self._known.problems.pop(path, None) is not None:
            self.problems.pop(path, None)
            self.cleared.add(path)
