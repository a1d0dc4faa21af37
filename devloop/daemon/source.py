"""One sync's laptop side: the watcher, the rules and the scanner, put together.

Dirty paths come from the watcher; the scanner finds what they mean; the service is told. All disk work runs in one
thread of this sync's own, so the loop stays free and the scanner is used by one thread at a time. A folder that
cannot be trusted stops the sync, is looked at again until it can, and nothing is deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import msgspec

from devloop import errors
from devloop.config import model
from devloop.core import paths, rules, tree
from devloop.core.entry import Entry
from devloop.core.problem import Problem
from devloop.fs import body, gitrepo, ignore, rootguard, scan, statcache
from devloop.protocol import answers, messages
from devloop.sync import events
from devloop.watch import batcher, gitwatch, watcher
from devloop.watch import events as watch_events

# A path that would not hold still is looked at again after this: a build that writes a file does so in bursts.
AGAIN_S: Final = 0.2

# How often what can wait is done: proving recent stamps, persisting the cache, looking for a lost root.
QUIET_S: Final = 1.5

T = TypeVar("T")


class Found(msgspec.Struct, frozen=True):
    """What one look at the folder found.

    Attributes:
        delta: How the tree changed.
        hidden: Those gone that are still on the disk, covered by the rules now.
        approved: Those gone that a git operation deleted.
        git: A git operation did it.
        began_s: When the first of the changes was seen, by the loop's clock.
    """

    delta: tree.TreeDelta
    hidden: tuple[str, ...] = ()
    approved: frozenset[str] = frozenset()
    git: bool = False
    began_s: float = 0.0


class Seen(msgspec.Struct, frozen=True):
    """What a look in the scan's thread came to: the scan's own result, and which of those gone are what."""

    result: scan.ScanResult
    hidden: tuple[str, ...]
    approved: frozenset[str]


class Owner(Protocol):
    """Whom a source reports to; every call is made in the loop's thread."""

    def found_part(self, index: int, delta: tree.TreeDelta, began_s: float) -> None:
        """Take up a part of what the first look finds; the rest comes with `found`."""

    def found(self, index: int, found: Found) -> None:
        """Take up what a look found."""

    def lost(self, index: int, error: rootguard.RootLost) -> None:
        """The folder cannot be trusted."""

    def regained(self, index: int) -> None:
        """The folder can be trusted again; what is in it was found."""

    def troubled(self, index: int, problems: dict[str, Problem]) -> None:
        """The folder's problems changed; these are all."""

    def rules_changed(self, index: int) -> None:
        """The ignore rules changed."""

    def git_moved(self, index: int, old: str, new: str) -> None:
        """HEAD moved."""

    def notice(self, event: events.Notice) -> None:
        """Tell a person."""


class _Rules:
    """The sync's ignore rules, for three threads: the scan's, the watcher's, and the loop's."""

    def __init__(self, spec: model.Sync) -> None:
        self._lock = threading.RLock()
        self._rules = ignore.Ignore(spec.source, ignore=spec.ignore, include=spec.include)
        self._news: set[str] = set()

    def load(self) -> None:
        with self._lock:
            self._rules.load()

    def enter(self, folder: str, names: Collection[str] | None = None) -> None:
        with self._lock:
            if self._rules.enter(folder, names):
                self._news.add(folder)

    def take_news(self) -> list[str]:
        """Return the folders below which rules changed since the last call, whoever noticed it."""
        with self._lock:
            news, self._news = self._news, set()
            return paths.outermost(news) if news else []

    def ignored(self, path: str, is_folder: bool) -> rules.Verdict:
        with self._lock:
            return self._rules.ignored(path, is_folder)

    def may_descend(self, folder: str) -> bool:
        with self._lock:
            return self._rules.may_descend(folder)

    def prunes(self, folder: str) -> bool:
        """Say whether a folder need not be watched."""
        with self._lock:
            return not self._rules.may_descend(folder)

    def is_noise(self, path: str) -> bool:
        """Say whether a change of this path concerns nobody."""
        with self._lock:
            return not self._rules.is_source(path) and self._rules.ignored(path, False).ignored

    def refresh(self, dirty: Collection[str], *, index_changed: bool) -> bool:
        """Read again what changed, where it may matter; say whether the rules did."""
        with self._lock:
            sources = [path for path in dirty if self._rules.is_source(path)]
            if not sources and not index_changed:
                return False
            changed = self._rules.refresh(sources)
            if changed:
                self._news.add("")
            return changed

    def refresh_all(self) -> bool:
        with self._lock:
            changed = self._rules.refresh()
            if changed:
                self._news.add("")
            return changed

    def outside(self) -> frozenset[str]:
        """Return the files outside the folder that the rules were read from; git's index is watched as git's."""
        with self._lock:
            repo = self._rules.repo
            index = {repo.index_file} if isinstance(repo, gitrepo.GitRepo) else set()
            return self._rules.sources() - index

    def rule_set(self) -> rules.RuleSet:
        with self._lock:
            return self._rules.rule_set()

    @property
    def repo(self) -> gitrepo.GitRepo | None:
        found = self._rules.repo
        return found if isinstance(found, gitrepo.GitRepo) else None

    def problems(self) -> dict[str, Problem]:
        with self._lock:
            return {trouble.path: trouble for trouble in self._rules.problems}


class Source:
    """Watches and scans one sync's folder.

    Args:
        index: The sync's number.
        spec: What the configuration says of it.
        cache_path: Where the stat cache is kept; its folder exists.
        boundary: The project's folder: followed links must stay in it.
        watch: How to notice changes.
        owner: Whom to tell.
    """

    def __init__(
        self,
        index: int,
        spec: model.Sync,
        *,
        cache_path: str,
        boundary: str,
        watch: model.Watch,
        owner: Owner,
    ) -> None:
        self.index = index
        self.spec = spec
        self._owner = owner
        self._watch = watch
        self._thread = ThreadPoolExecutor(1, f"scan-{index}")
        self._lock = asyncio.Lock()
        self._rules = _Rules(spec)
        self._cache = statcache.StatCache(cache_path)
        self._scanner = scan.Scanner(
            spec.source,
            ignore=self._rules,
            cache=self._cache,
            symlinks=spec.symlinks.value,
            boundary=boundary,
        )
        self._watcher: watcher.Watcher | None = None
        self._again: set[str] = set()
        self._look_again = asyncio.Event()
        self._lost = ""
        self._is_gone = False
        self._was_seen = False
        self._ended = False

    # ---- running --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watch and scan until cancelled.

        Raises:
            DevloopError: The folder cannot be watched at all, and has never been looked at.
        """
        try:
            await self._in_thread(self._open)
            await self._watch_when_there()
        finally:
            self._ended = True
            self._scanner.cancel()
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    def _open(self) -> None:
        self._cache.open()
        self._rules.load()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._cache.flush()
        self._cache.close()

    async def _watch_when_there(self) -> None:
        """Watch; a folder that went after it was seen is lost, waited for, and watched and scanned anew."""
        while True:
            try:
                await self._watch_root()
            except errors.RootError:
                # Bare only from setting the watches up: what goes wrong later comes in the group's exception.
                if not self._was_seen:
                    raise
            self._report_lost(rootguard.RootLost(self._scanner.root, rootguard.Lost.MISSING))
            await asyncio.sleep(AGAIN_S)

    async def _watch_root(self) -> None:
        """Watch until the root is gone, or cancelled.

        Watch first, then scan: what changes in between is seen by both, never by neither.
        """
        repo = self._rules.repo
        polling = self._watch.backend is model.Backend.POLLING
        watching = watcher.Watcher(
            self._scanner.root,
            prune=self._rules.prunes,
            ignored=self._is_noise,
            git=gitwatch.GitDirs(repo.git_dir, repo.common_dir) if repo is not None else None,
            outside=self._rules.outside(),
            poll_interval_s=self._watch.poll_s if polling else None,
        )
        async with watching:
            self._watcher, self._is_gone = watching, False
            self._scanner.watched_again()
            async with self._lock:
                began_s = self._now_s()
                await self._look(functools.partial(self._scan_first, asyncio.get_running_loop()), began_s=began_s)
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._look_at_unsteady()), group.create_task(self._in_quiet())]
                await self._take_all(watching)
                for task in beside:
                    task.cancel()

    async def _take_all(self, watching: watcher.Watcher) -> None:
        """Take what the watcher says until the root is gone."""
        async for item in watching.batches():
            if isinstance(item, watch_events.RootGone):
                # A folder that is there again, whatever its number, is another one: nothing watches it yet.
                self._is_gone = True
                return
            await self._take(item)

    def _is_noise(self, path: str) -> bool:
        # What is known matters whatever its name: a folder `old~` is not the temporary file that the rule means.
        return self._rules.is_noise(path) and path not in self._scanner.tree

    # ---- what the watcher says ------------------------------------------------------------------------------

    async def _take(self, item: batcher.Batch | watch_events.Report) -> None:
        match item:
            case batcher.Batch():
                await self._take_batch(item)
            case watch_events.RootBack():
                # It never was away as far as this watcher has told, and a scan of everything follows.
                pass
            case _:
                self._owner.notice(_notice(item))

    async def _take_batch(self, item: batcher.Batch) -> None:
        # Locked from the first step on: a flush that let this batch through waits until it has been looked at.
        async with self._lock:
            if item.git is not None:
                self._owner.git_moved(self.index, item.git.old, item.git.new)
            await self._look(lambda: self._look_at(item), began_s=item.first_event_s, is_git=item.git is not None)

    # ---- looking, in the scan's thread ----------------------------------------------------------------------

    def _look_at(self, item: batcher.Batch) -> Seen:
        if "" in item.rescans:
            # Whatever was missed may have been an ignore file, also one that no scan enters.
            changed = self._rules.refresh_all()
        else:
            changed = self._rules.refresh(item.paths, index_changed=item.index_changed)
        return self._scan(None if changed else item.paths | item.rescans, item.git)

    def _look_at_all(self) -> Seen:
        self._rules.refresh_all()
        return self._scan(None)

    def _scan_first(self, loop: asyncio.AbstractEventLoop) -> Seen:
        """Scan everything, and tell each part but the last while the next is read."""
        if self._lost:
            return self._look_at_all()
        began_s = loop.time()
        parts = self._scanner.scan_parts()
        last = next(parts)
        for part in parts:
            loop.call_soon_threadsafe(self._tell_part, last.delta, began_s)
            last = scan.after(last, part)
        return Seen(last, self.still_there(last.delta.gone), frozenset())

    def _scan(self, dirty: frozenset[str] | None, move: batcher.GitMove | None = None) -> Seen:
        """Scan some paths, or everything, and judge what is gone."""
        result = self._scanner.scan_all() if dirty is None or self._lost else self._scanner.scan(dirty)
        gone = result.delta.gone
        # What is still on the disk was not deleted: the rules cover it now, and its copy in the target stays.
        hidden = self.still_there(gone)
        approved: frozenset[str] = frozenset()
        repo = self._rules.repo
        if move is not None and move.old and gone and repo is not None:
            # Where git cannot tell, as of a commit that is gone, nothing vouches for the deletions.
            with contextlib.suppress(gitrepo.GitError):
                approved = gitrepo.vouched(repo.deleted_between(move.old, move.new), gone)
        return Seen(result, hidden, approved)

    # ---- telling what was seen ------------------------------------------------------------------------------

    async def _look(self, work: Callable[[], Seen], *, began_s: float, is_git: bool = False) -> None:
        """Have a look in the scan's thread, and tell the owner. The caller holds the lock.

        The scanner remembers what it found and finds it only once, so a caller who is cancelled meanwhile, such as a
        flush that waited long enough, does not keep it from the owner.

        Nothing is looked at while the root is not watched: what changed after the look would never be seen.
        """
        if self._is_gone:
            return
        if self._ended:
            # A service that stopped while others go on has nothing to look with, whoever still asks.
            return
        looking = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.shield(looking)
        except rootguard.RootLost as error:
            self._report_lost(error)
            return
        except asyncio.CancelledError:
            looking.add_done_callback(lambda done: self._tell_late(done, began_s, is_git))
            raise
        self._tell(looking.result(), began_s, is_git)

    def _tell_part(self, delta: tree.TreeDelta, began_s: float) -> None:
        if not self._ended:
            self._owner.found_part(self.index, delta, began_s)

    def _tell_late(self, looked: asyncio.Future[Seen], began_s: float, is_git: bool) -> None:
        # Asked for also where nobody is told any more, or it would be reported as an error that was lost.
        error = looked.exception() if not looked.cancelled() else None
        if looked.cancelled() or self._ended:
            return
        if isinstance(error, rootguard.RootLost):
            self._report_lost(error)
        elif error is None:
            self._tell(looked.result(), began_s, is_git)

    def _tell(self, seen: Seen, began_s: float, is_git: bool) -> None:
        news = self._rules.take_news()
        if news:
            self._owner.rules_changed(self.index)
        if news and self._watcher is not None:
            self._watcher.watch_outside(self._rules.outside())
            for folder in news:
                # Only there: looking through all folders of a large tree again takes as long as the first time.
                self._watcher.refresh_prune(folder)
        if seen.result.problems or seen.result.cleared:
            self._owner.troubled(self.index, {**self._rules.problems(), **self._scanner.problems})
        if seen.result.again:
            self._again |= seen.result.again
            self._look_again.set()
        self._was_seen = True
        was_lost, self._lost = self._lost, ""
        self._owner.found(self.index, Found(seen.result.delta, seen.hidden, seen.approved, is_git, began_s))
        if was_lost:
            self._owner.regained(self.index)

    def _report_lost(self, error: rootguard.RootLost) -> None:
        if self._lost != error.lost:
            self._lost = error.lost
            self._owner.lost(self.index, error)

    async def rescan(self, paths: Iterable[str]) -> None:
        """Look at some paths again, and report what was found."""
        wanted = frozenset(paths)
        async with self._lock:
            await self._look(lambda: self._scan(wanted), began_s=self._now_s())

    async def rescan_all(self) -> None:
        """Read the rules and look at everything again."""
        async with self._lock:
            await self._look(self._look_at_all, began_s=self._now_s())

    async def flush(self, timeout_s: float) -> None:
        """Return once everything that was saved before this call has been found and reported."""
        watching = self._watcher
        if watching is None or not await watching.flush(timeout_s):
            await self.rescan_all()
        elif self._scanner.beyond:
            await self.rescan(self._scanner.beyond)
        async with self.still():
            # The batch that the flush let through is being looked at by whoever held the lock.
            pass

    @contextlib.asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """Keep scans away while something is done that they must see whole."""
        async with self._lock:
            yield

    async def _look_at_unsteady(self) -> None:
        while True:
            await self._look_again.wait()
            self._look_again.clear()
            await asyncio.sleep(AGAIN_S)
            again, self._again = self._again, set()
            await self.rescan(again)

    async def _in_quiet(self) -> None:
        """What is done beside: files that no event proves, what links lead out to, the cache, a root that is lost."""
        while True:
            await asyncio.sleep(QUIET_S)
            if self._lost:
                await self.rescan_all()
                continue
            unwatched = self._scanner.unproven | self._scanner.beyond
            if unwatched:
                await self.rescan(unwatched)
            with contextlib.suppress(OSError):
                await self._in_thread(self._cache.flush)

    # ---- answers --------------------------------------------------------------------------------------------

    @property
    def watching(self) -> str:
        """How changes are noticed, for people."""
        if self._watcher is None:
            return "starting"
        figures = self._watcher.statistics()
        return f"{figures.backend}, {figures.watches} folders"

    def open_body(self, path: str, entry: Entry) -> body.Body:
        """Open a file for sending, in any thread."""
        return self._scanner.open_body(path, entry)

    def rules_message(self) -> messages.Rules:
        """Return the message that tells the agent this sync's rules."""
        return answers.rules_to_message(self.index, self._rules.rule_set())

    def listed(self) -> frozenset[str]:
        """Return the paths that git's HEAD or index lists. Runs git: call it in a thread.

        Nothing where git does not tell: what is not listed is kept.
        """
        repo = self._rules.repo
        if repo is None:
            return frozenset()
        try:
            return repo.tracked() | repo.head_paths()
        except gitrepo.GitError:
            return frozenset()

    def still_there(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return which of these paths are on the disk, whatever the rules say. Stats: call it in a thread."""
        return tuple(self._scanner.still_there(paths))

    def accept_root(self) -> None:
        """Take the folder as it is now: its user says that it is right."""
        self._scanner.accept_root()

    # ---- small steps ----------------------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()


def _notice(report: watch_events.Report) -> events.Notice:
    match report:
        case watch_events.WatchLimit():
            message = (
                f"inotify watches ran out: {report.needed} folders need one, this system allows "
                f"{report.allowed} in all programs together; the rest is polled"
            )
            return events.Notice(level=events.Level.WARNING, message=message, hint=report.hint, code="DL0330")
        case watch_events.WatchInstances():
            message = f"inotify instances ran out (the limit is {report.allowed}); the folder is polled"
            return events.Notice(level=events.Level.WARNING, message=message, hint=report.hint, code="DL0331")
        case watch_events.PollingInstead():
            message = f"{report.path or 'the folder'} is polled every {report.interval_s:g} s: {report.why}"
            return events.Notice(level=events.Level.INFO, message=message)
        case _:
            raise AssertionError(f"{report!r} is handled by the source")
