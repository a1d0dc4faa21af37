"""Grouping hints into batches: a lone save at once, a burst as one, a git operation as one. Pure, no clock of its own.

The watcher feeds it with events and the times at which they happened, asks for the next deadline, and takes a batch
when that has come. All state is a few sets and times, and the deadline is a function of those alone, so the order in
which the events of one moment are fed does not matter.

How a lone save is told from the start of a burst: it cannot be, by its first event. So the first change after a time
of quiet waits for one millisecond, in which its editor's own afterthoughts arrive (a chmod, the removal of a backup).
If it is still alone then, or has one other path with it, as a rename has, it goes. Else it is a burst, which waits
until nothing has happened for a moment; a change soon after another is the tail of a burst, and waits likewise.

    what is pending                               goes at (the earliest of a row)
    one or two paths, after quiet                 first change + grace
    one or two paths, otherwise                   last event + quiet, first change + lone cap
    more, or a folder to rescan                   last event + quiet, first event + burst cap
    only disappearances                           first + gone (and last event + quiet), first event + burst cap
    files written to, not closed                  each at its first write + open
    HEAD moved, or the index changed              last git event + settle
    while the index is locked, not before         burst cap, or git cap, by the number of paths
    after a large locked change, not before       last git event + settle, or + quiet once HEAD has moved
    HEAD moved during a rebase; a flush           at once
"""

from __future__ import annotations

import collections
from typing import Final

import msgspec

from devloop.core import paths
from devloop.watch import events, gitwatch

# Deadlines and the clock are sums of floats; a hundredth of a millisecond decides nothing.
_EPSILON_S: Final = 1e-5


class Timing(msgspec.Struct, frozen=True):
    """The times and sizes of batching.

    Attributes:
        fresh_s: A change after this much quiet may be a lone save.
        grace_s: How long a lone save waits for company.
        quiet_s: A burst has ended when nothing happened for this long.
        lone_cap_s: A lone save never waits longer.
        burst_cap_s: A burst never waits longer.
        gone_s: How long a lone disappearance waits for its return.
        open_s: A file that is written to but not closed is told this often.
        settle_s: How long a git command may take between releasing the index and moving HEAD, and a bit.
        git_cap_s: A git operation is never waited for longer.
        git_many: A change under git's lock that has more paths is a git operation.
        lone_paths: At most this many paths are a lone save.
        folder_paths: More paths in one folder become a rescan of it.
        total_paths: More paths altogether become a rescan of the root.
    """

    fresh_s: float = 0.1
    grace_s: float = 0.001
    quiet_s: float = 0.015
    lone_cap_s: float = 0.05
    burst_cap_s: float = 0.3
    gone_s: float = 0.1
    open_s: float = 0.3
    settle_s: float = 0.05
    git_cap_s: float = 10.0
    git_many: int = 20
    lone_paths: int = 2
    # A stat of a path costs the same as a path's share of a walk, but a walk pays for the unchanged as well; so paths
    # stay paths up to where the sets themselves become a burden.
    folder_paths: int = 4_096
    total_paths: int = 32_768


class GitMove(msgspec.Struct, frozen=True):
    """HEAD moved.

    Attributes:
        old: The commit it stood for before; empty for an unborn branch.
        new: The one it stands for now.
    """

    old: str
    new: str


class Batch(msgspec.Struct, frozen=True):
    """Where to look now.

    Attributes:
        paths: Single paths that may have changed, appeared or gone; none of them in a rescanned folder.
        rescans: Folders to look through with all that is below; none in another. They may be gone.
        git: HEAD's move, where this batch holds one.
        index_changed: git's index was written: read the list of tracked files again first.
        first_event_s: When the first event of it happened, on the monotonic clock.
        cookies: The flushes that this batch completes.
        reasons: Why folders are rescanned.
    """

    paths: frozenset[str]
    rescans: frozenset[str]
    git: GitMove | None
    index_changed: bool
    first_event_s: float
    cookies: frozenset[str]
    reasons: frozenset[events.Reason]


class Batcher:
    """Groups hints into batches.

    Args:
        timing: The times and sizes.
        git: What git was doing at the start.
    """

    def __init__(self, timing: Timing | None = None, git: gitwatch.GitState | None = None) -> None:
        self._t = timing or Timing()
        self._git = git or gitwatch.GitState()
        self._locked_s = 0.0
        self._last_change_s = float("-inf")
        self._opened: dict[str, float] = {}
        self._start_anew()

    def _start_anew(self) -> None:
        self._dirty: set[str] = set()
        self._gone: dict[str, float] = {}
        self._rescans: set[str] = set()
        self._reasons: set[events.Reason] = set()
        self._cookies: set[str] = set()
        self._moved_from: str | None = None
        self._index_changed = False
        self._many_locked = False
        self._due = False
        self._fresh = False
        self._first_s: float | None = None
        self._first_change_s = 0.0
        self._last_s = 0.0
        self._git_s = 0.0

    def __len__(self) -> int:
        """Return how many paths are pending."""
        return len(self._dirty) + len(self._gone) + len(self._opened) + len(self._rescans)

    @property
    def settling(self) -> bool:
        """Whether further hints can only postpone the deadline, so that nobody need be woken by one."""
        return bool(self._dirty or self._rescans) and not self._due

    def feed(self, event: events.Hint, at_s: float) -> None:
        """Take one hint.

        Args:
            event: The hint.
            at_s: When it happened, on the clock that `take` is told; never earlier than before.
        """
        if isinstance(event, events.Opened):
            for path in event.paths - self._dirty:
                self._opened.setdefault(path, self._gone.pop(path, at_s))
            self._bound(at_s)
            return
        self._touch(at_s)
        if isinstance(event, events.Vanished):
            self._dirty -= event.paths
            for path in event.paths:
                self._opened.pop(path, None)
                self._gone.setdefault(path, at_s)
        else:
            self._change(event, at_s)
        self._note_many()
        self._bound(at_s)

    def _change(self, event: events.Dirty | events.Rescan, at_s: float) -> None:
        if not self._dirty and not self._rescans:
            self._first_change_s = at_s
            self._fresh = at_s - self._last_change_s >= self._t.fresh_s
        self._last_change_s = at_s
        if isinstance(event, events.Rescan):
            self._rescans.add(event.path)
            self._reasons.add(event.reason)
            return
        self._dirty |= event.paths
        for path in event.paths:
            self._gone.pop(path, None)
            self._opened.pop(path, None)

    def git(self, state: gitwatch.GitState, at_s: float) -> None:
        """Take what git is doing now."""
        before, self._git = self._git, state
        if state.locked and not before.locked:
            self._locked_s = at_s
        changed = state.head != before.head or state.index != before.index
        if changed or state.locked != before.locked:
            self._git_s = at_s
            if self._first_s is not None or changed:
                self._touch(at_s)
        if state.head != before.head:
            if self._moved_from is None:
                self._moved_from = before.head
            # The steps of a rebase are batches of their own, however soon the next one begins.
            self._due = self._due or state.rebasing
        self._index_changed = self._index_changed or state.index != before.index
        self._note_many()

    def flush(self, cookie: str, at_s: float) -> None:
        """Have everything fed so far go at once, in a batch with this cookie, even if there is nothing."""
        self._touch(at_s)
        self._cookies.add(cookie)
        self._due = True

    def clear(self) -> None:
        """Forget what is pending, since the root is gone; flushes and what git did are kept."""
        self._dirty.clear()
        self._gone.clear()
        self._opened.clear()
        self._rescans.clear()
        self._reasons.clear()

    def deadline_s(self) -> float | None:
        """Return when `take` will give a batch: a time, perhaps past; None while nothing is pending."""
        t = self._t
        candidates = [min(self._opened.values()) + t.open_s] if self._opened else []
        if self._first_s is not None:
            if self._due:
                return self._first_s
            if self._dirty or self._rescans:
                candidates.append(self._change_deadline_s())
            elif self._gone:
                waited_s = next(iter(self._gone.values())) + t.gone_s
                candidates.append(min(max(waited_s, self._last_s + t.quiet_s), self._first_s + t.burst_cap_s))
            if self._moved_from is not None or self._index_changed:
                candidates.append(max(self._git_s, self._last_s) + t.settle_s)
        if not candidates:
            return None
        return max(min(candidates), self._held_until_s())

    def take(self, now_s: float) -> Batch | None:
        """Return the batch whose deadline has come, or None.

        Args:
            now_s: The time.
        """
        deadline_s = self.deadline_s()
        if deadline_s is None or now_s + _EPSILON_S < deadline_s:
            return None
        closed = self._overdue(now_s)
        first_s = self._first_s if self._first_s is not None else min(closed.values(), default=now_s)
        rescans = set(paths.outermost(self._rescans))
        found = self._dirty | self._gone.keys() | closed.keys()
        found, crowded = collapse(found, rescans, self._t.folder_paths)
        if crowded:
            self._reasons.add(events.Reason.TOO_MANY)
        moved = self._moved_from is not None and self._moved_from != self._git.head
        batch = Batch(
            paths=frozenset(found),
            rescans=frozenset(paths.outermost(rescans | crowded)),
            git=GitMove(self._moved_from or "", self._git.head) if moved else None,
            index_changed=self._index_changed,
            first_event_s=first_s,
            cookies=frozenset(self._cookies),
            reasons=frozenset(self._reasons),
        )
        for path in closed:
            del self._opened[path]
        self._start_anew()
        return None if _is_empty(batch) else batch

    def _touch(self, at_s: float) -> None:
        if self._first_s is None:
            self._first_s = at_s
        self._last_s = max(self._last_s, at_s)

    def _note_many(self) -> None:
        self._many_locked = self._many_locked or (self._git.locked and self._is_many())

    def _change_deadline_s(self) -> float:
        t = self._t
        assert self._first_s is not None
        # Counted from the first event of any kind: a path that comes and goes without end has to go out as well.
        cap_s = self._first_s + t.burst_cap_s
        if not self._is_lone():
            return min(self._last_s + t.quiet_s, cap_s)
        if self._fresh:
            return min(self._first_change_s + t.grace_s, cap_s)
        return min(self._last_s + t.quiet_s, self._first_change_s + t.lone_cap_s, cap_s)

    def _held_until_s(self) -> float:
        """Return the time before which git has nothing go, or minus infinity."""
        t = self._t
        if self._first_s is None:
            return float("-inf")
        cap_s = self._first_s + t.git_cap_s
        if self._git.locked:
            # Here a lone save waits like a burst: on a busy machine the first file of a branch switch is alone for
            # longer than a save may wait otherwise, and would cost a batch and a reload of its own.
            # What goes while git works is git's doing: only its end says whether it vouches for that.
            until_s = cap_s if self._many_locked or self._gone else self._first_s + t.burst_cap_s
            # A lock that is never given back, by a git that was killed, holds nothing for longer than that.
            return min(until_s, self._locked_s + t.git_cap_s)
        if self._many_locked or (self._moved_from is not None and self._is_many()):
            settle_s = t.quiet_s if self._moved_from is not None else t.settle_s
            return min(max(self._git_s, self._last_s) + settle_s, cap_s)
        return float("-inf")

    def _is_lone(self) -> bool:
        return not self._rescans and len(self._dirty) + len(self._gone) <= self._t.lone_paths

    def _is_many(self) -> bool:
        return len(self._dirty) + len(self._gone) + len(self._rescans) > self._t.git_many

    def _overdue(self, now_s: float) -> dict[str, float]:
        """Return the open files that go now: those written to long enough ago, and all of them for a flush."""
        if self._cookies:
            return dict(self._opened)
        latest_s = now_s + _EPSILON_S - self._t.open_s
        return {path: at_s for path, at_s in self._opened.items() if at_s <= latest_s}

    def _bound(self, at_s: float) -> None:
        if len(self) <= self._t.total_paths:
            return
        self._touch(at_s)
        self._dirty.clear()
        self._gone.clear()
        self._opened.clear()
        self._rescans = {""}
        self._reasons.add(events.Reason.TOO_MANY)


def _is_empty(batch: Batch) -> bool:
    return not (batch.paths or batch.rescans or batch.git or batch.index_changed or batch.cookies)


def collapse(found: set[str], rescans: set[str], folder_paths: int) -> tuple[set[str], set[str]]:
    """Leave out the paths that a rescan covers, and turn crowds into rescans of their folders.

    Args:
        found: Paths.
        rescans: Folders that are rescanned anyway, none in another.
        folder_paths: More paths than this in one folder are a crowd.

    Returns:
        The paths that remain, and the crowded folders.
    """
    if "" in rescans:
        return set(), set()
    if rescans:
        found = {
            path for path in found if path not in rescans and not any(up in rescans for up in paths.ancestors(path))
        }
    if len(found) <= folder_paths:
        return found, set()
    counts = collections.Counter(map(paths.parent, found))
    crowded = {folder for folder, count in counts.items() if count > folder_paths}
    if crowded:
        found, _ = collapse(found, set(paths.outermost(crowded)), folder_paths)
    return found, crowded
