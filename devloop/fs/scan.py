"""The laptop's folder as a tree of entries, kept true at the cost of what changed.

Paths that may have changed come in (from `devloop.watch`, or all of them); a delta, problems and paths to look at
again go out (to the sync engine). Events are hints and the disk is the truth: stat and hash decide. `devloop.fs.walk`
looks, `devloop.fs.hashing` reads, and the scanner takes their notes over, all of them or none.

The scanner writes nothing but its stat cache, and an error is never "empty": what cannot be read stays as it was.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from devloop.core import tree
from devloop.core.entry import Entry
from devloop.core.problem import Problem
from devloop.core.tree import TreeDelta
from devloop.fs import body, hashing, links, merge, rootguard, scanstate, statcache, walk
from devloop.fs import dirty as dirty_paths

# How much of a first scan is told at a time: enough that a batch is worth its overhead, little enough that the agent
# is never idle for long while the laptop reads.
PART_FILES: Final = 512
PART_BYTES: Final = 8 * 1024 * 1024


class ScanResult(msgspec.Struct, frozen=True):
    """What one scan found.

    Attributes:
        delta: What changed in the tree.
        problems: Trouble that appeared or changed, by path.
        cleared: Paths whose trouble is over.
        again: Paths that would not hold still, and must be scanned once more a little later.
        hashed_files: How many files were read.
        hashed_bytes: How many bytes were read.
        scanned: How many paths were judged.
    """

    delta: TreeDelta = TreeDelta()
    problems: dict[str, Problem] = {}
    cleared: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    hashed_files: int = 0
    hashed_bytes: int = 0
    scanned: int = 0


class Scanner:
    """The tree of one sync on the laptop. Synchronous, and used by one thread at a time; `cancel` by any.

    Args:
        root: The folder; links in its path are resolved once, here.
        ignore: The rules. When they change, the folders they govern must be scanned again.
        cache: Opened by the caller, who also flushes and closes it.
        symlinks: `keep` ships links as links, `skip` none, `follow` what they lead to.
        boundary: With `follow`, the folder that followed links must stay in, such as the project; the root by
            default. Without it a link in a repository could ship any file of its user. Changes beyond the root are
            seen only by a scan of the link: see `beyond`.
    """

    def __init__(
        self,
        root: str,
        *,
        ignore: scanstate.IgnoreLike,
        cache: statcache.StatCache,
        symlinks: links.Symlinks | str = links.Symlinks.KEEP,
        boundary: str | None = None,
    ) -> None:
        self.root = os.path.realpath(root)
        self.tree = tree.Tree()
        self._inside = os.path.join(self.root, "")
        self._guard = rootguard.RootGuard(self.root)
        self._cancelled = threading.Event()
        self._known = scanstate.Known(self.tree, {}, {}, set(), {}, set())
        self._setup = scanstate.Setup(
            self.root,
            ignore,
            cache,
            statcache.Ticks(),
            links.Symlinks(symlinks),
            self.root if boundary is None else os.path.realpath(boundary),
            self._cancelled.is_set,
            scanstate.has_loose_names(self.root),
        )
        self._had_entries = len(cache) > 0

    @property
    def problems(self) -> Mapping[str, Problem]:
        """All trouble there is now, by path."""
        return self._known.problems

    @property
    def unproven(self) -> frozenset[str]:
        """Files written so recently that their stamp proves nothing yet.

        Scanning them once more when the folder has been quiet for a second finds a change whose event was lost, and
        lets the stat cache keep them.
        """
        return self._setup.cache.unproven

    @property
    def beyond(self) -> frozenset[str]:
        """The links that are followed out of the root: what changes there, no watch on the root tells."""
        # A copy at one go: a scan may be under way in its thread.
        follows = self._known.follows.copy()
        return frozenset(link for link, real in follows.items() if not (real + os.sep).startswith(self._inside))

    def scan_all(self) -> ScanResult:
        """Look at everything.

        Raises:
            RootLost: The root cannot be trusted; nothing was changed.
            Cancelled: `cancel` was called; nothing was changed.
        """
        self._guard.check()
        look = walk.Look(self._setup, self._known)
        look.walk("")
        return self._take(look)

    def scan_parts(self) -> Iterator[ScanResult]:
        """Look at everything as `scan_all`, and yield what was found part by part while files are still being read.

        For the first scan, so that what is read can be sent meanwhile. The parts together are the whole; what is gone,
        and folders, links and files that were proven before, are in the first one. A file that changes between two
        parts is like one that changes after a scan: it is for the caller's watch to notice.

        Raises:
            RootLost: The root cannot be trusted; what was not yielded was not taken over.
            Cancelled: `cancel` was called.
        """
        self._guard.check()
        look = walk.Look(self._setup, self._known)
        look.walk("")
        yield from self._take_parts(look, PART_FILES, PART_BYTES)

    def scan(self, dirty: Iterable[str]) -> ScanResult:
        """Look at the given paths, and at everything below those that are folders.

        The cost is that of the paths, whatever the size of the tree.

        Args:
            dirty: Paths relative to the root, of things that may have changed, appeared or vanished; the empty path
                is the root. Paths that can be no entry are left out.

        Raises:
            RootLost: As `scan_all`.
            Cancelled: As `scan_all`.
        """
        if self._guard.check():
            return self.scan_all()
        tops = dirty_paths.Router(self._setup, self._known).tops(dirty)
        if "" in tops:
            return self.scan_all()
        look = walk.Look(self._setup, self._known)
        for top in tops:
            look.at(top)
        return self._take(look)

    def still_there(self, gone: Iterable[str]) -> frozenset[str]:
        """Return those of some paths that are on the disk all the same, under these very names.

        One that is reached only through a link, which took the place of a folder, is not.

        Args:
            gone: Paths that are no entries any more.
        """
        look = walk.Look(self._setup, self._known)
        return frozenset(path for path in gone if look.is_there(path))

    def accept_root(self) -> None:
        """Take the root as it is at the next scan, other or emptied, because its user says that it is right."""
        self._guard.forget()
        self._had_entries = False

    def watched_again(self) -> None:
        """Take a root that was removed and made again at the next scan: it is watched by now."""
        self._guard.watched_again()

    def cancel(self) -> None:
        """Make a running scan, and every later one, end with `Cancelled` soon."""
        self._cancelled.set()

    def open_body(self, path: str, expected: Entry, offset: int = 0) -> body.Body:
        """Open a file's content for sending; from any thread.

        Args:
            path: An entry of the tree.
            expected: The entry as it was planned.
            offset: How many bytes the receiver already has.

        Raises:
            BodyChanged: There is no such file any more.
        """
        return body.Body(path, scanstate.locate(self.root, self._known.follows, path), expected, offset)

    def _take(self, look: walk.Look) -> ScanResult:
        """Read what must be read, and take everything over if the root still stands: all of it or nothing."""
        (whole,) = self._take_parts(look, sys.maxsize, sys.maxsize)
        return whole

    def _take_parts(self, look: walk.Look, most_files: int, most_bytes: int) -> Iterator[ScanResult]:
        walked_ns = time.monotonic_ns()
        follows = self._known.follows
        wanted = [
            hashing.Wanted(path, scanstate.locate(self.root, follows, path), at.size)
            for path, at in look.pending.items()
        ]
        first = True
        for part in hashing.parts(wanted, most_files, most_bytes):
            outcomes = hashing.digest_all(part, self._setup.stop)
            self._guard.check_again()
            if self._had_entries and first and self._empties_root(look):
                self._guard.check_not_emptied()
            taking = merge.Merge(self._setup, self._known)
            if first:
                taking.notes(look)
            for outcome in outcomes:
                taking.outcome(outcome, look.pending[outcome.path], walked_ns)
            taking.finish()
            self._had_entries = self._had_entries or bool(self.tree)
            yield _result(taking, outcomes, look.scanned if first else 0)
            first = False

    def _empties_root(self, look: walk.Look) -> bool:
        """Say whether nothing would be left at the top of the tree."""
        if "" in look.listed:
            return not look.listed[""]
        lost = {path for path in look.lost if "/" not in path}
        return bool(lost) and self._known.children[""] <= lost and not any(look.members.values())


def after(before: ScanResult, part: ScanResult) -> ScanResult:
    """Return a part that also tells the trouble of those before it, whose deltas were told already."""
    return msgspec.structs.replace(
        part,
        problems={**before.problems, **part.problems},
        cleared=(before.cleared | part.cleared) - part.problems.keys(),
        again=before.again | part.again,
    )


def _result(taking: merge.Merge, outcomes: Sequence[hashing.Digested | hashing.Failed], scanned: int) -> ScanResult:
    read = [outcome for outcome in outcomes if isinstance(outcome, hashing.Digested)]
    return ScanResult(
        taking.delta,
        taking.problems,
        frozenset(taking.cleared),
        frozenset(taking.again),
        len(read),
        sum(outcome.entry.size for outcome in read),
        scanned,
    )
