"""The asyncio face of watching: one root, batches and reports out.

Events come from a backend's thread into a bounded inbox; the loop is woken once for many of them, and not at all for
those that could not make it act sooner. There is no task and no queue of batches: whoever iterates pulls, and what
happens meanwhile is merged into the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import msgspec

from devloop import errors
from devloop.watch import backend, batcher, clocks, events, gitwatch, inbox, polling, rootguard, select

# How often sleep, the root and git's state are looked at, whatever events come.
_TICK_S: Final = 1.0

# Reports that wait for their reader, of whom the newest matter.
_REPORTS: Final = 64


class Statistics(msgspec.Struct, frozen=True):
    """What the watcher did so far.

    Attributes:
        backend: Its name; `inotify+polling` where a limit was reached.
        watches: Watched folders.
        events: Events that the backend told.
        wake_ups: How often the loop was woken by the backend.
        batches: Batches handed out.
        overflows: How often everything was rescanned because events were lost or too many.
        pending: Paths that wait for their batch.
        refused: Folders beyond the watch limit, which are polled.
    """

    backend: str
    watches: int
    events: int
    wake_ups: int
    batches: int
    overflows: int
    pending: int
    refused: int


class Watcher:
    """Watches one root while its context is open; iterate over `batches` in one task only.

    A root that is given before it exists, or twice, is the caller's to refuse. The first scan belongs after the
    context was entered: whatever changes from then on is told.

    Args:
        root: The folder; symbolic links in its path are resolved once.
        prune: Whether a folder is left out with all that is in it; see `backend.Prune` for its thread. The folders of
            `paths.RESERVED` always are.
        ignored: Whether a path's events are to be dropped, such as those of editors' temporary files and of logs: they
            would cause batches, and make a lone save look like a burst. Called on the loop.
        git: Where git's data is; None for a folder that is not in a work tree.
        outside: Absolute paths of files outside the tree whose changes are told all the same, such as ignore files
            above the root: they come in `Batch.paths`, absolute.
        poll_interval_s: Poll, and at this interval; None lets the platform and the file system decide.
        timing: The times of batching.
        make: Makes the backend of a choice; for tests.
    """

    def __init__(
        self,
        root: str,
        *,
        prune: backend.Prune,
        ignored: Callable[[str], bool] | None = None,
        git: gitwatch.GitDirs | None = None,
        outside: frozenset[str] = frozenset(),
        poll_interval_s: float | None = None,
        timing: batcher.Timing | None = None,
        make: Callable[[select.Choice], backend.Backend] | None = None,
    ) -> None:
        self._root = os.path.realpath(root)
        self._prune = prune
        self._ignored = ignored
        self._git = git
        self._outside = outside
        self._git_state = gitwatch.GitState()
        self._timing = timing or batcher.Timing()
        self._poll_interval_s = poll_interval_s
        self._make = make or make_backend
        self._batcher = batcher.Batcher(self._timing)
        self._guard: rootguard.RootGuard | None = None
        self._backend: backend.Backend | None = None
        self._poller: polling.Polling | None = None
        self._refused = 0
        self._reports: deque[events.Report] = deque(maxlen=_REPORTS)
        self._failure = ""
        self._clocks = clocks.read()
        self._next_tick_s = 0.0
        self._tokens = itertools.count(1)
        self._flushes: dict[str, asyncio.Future[None]] = {}
        self._open = False
        self._batches = 0
        self._overflows = 0

    async def __aenter__(self) -> Self:
        """Watch the tree; returns when every folder is watched.

        Raises:
            devloop.errors.RootError: The root is no readable folder.
        """
        self._loop = asyncio.get_running_loop()
        self._inbox = inbox.Inbox(self._loop)
        if self._git is not None:
            self._git_state = gitwatch.read_state(self._git)
            self._batcher = batcher.Batcher(self._timing, self._git_state)
        choice = select.choose(sys.platform, self._root, _read_mounts(), self._poll_interval_s)
        try:
            await self._start(choice)
        except backend.UnavailableError as error:
            if error.report is not None:
                self._reports.append(error.report)
            choice = select.Choice("polling", why=error.message)
            await self._start(choice)
        if choice.backend == "polling":
            self._reports.append(events.PollingInstead("", choice.interval_s, choice.why))
        self._watch_beside()
        self._open = True
        self._next_tick_s = time.monotonic() + _TICK_S
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the threads; flushes that wait end as failed, and the iteration ends."""
        self._open = False
        self._inbox.ring()
        for each in self._flushes.values():
            if not each.done():
                each.set_exception(OSError(errno.ESHUTDOWN, "the watching ends"))
        stopped = [
            self._loop.run_in_executor(None, started.stop)
            for started in (self._backend, self._poller)
            if started is not None
        ]
        await asyncio.shield(asyncio.gather(*stopped))

    def batches(self) -> Self:
        """Return the watcher as the asynchronous iterator that it is, over batches and reports."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> batcher.Batch | events.Report:
        """Wait for the next batch or report. Cancelling loses nothing.

        Raises:
            devloop.errors.LocalError: The watching itself broke down.
            StopAsyncIteration: The context was left.
        """
        while self._open:
            self._drain()
            if self._reports:
                return self._reports.popleft()
            if self._failure:
                raise errors.LocalError(f"watching {self._root} broke down: {self._failure}", hint="start devloop anew")
            batch = self._batcher.take(time.monotonic())
            if batch is not None:
                self._batches += 1
                self._end_flushes(batch.cookies)
                return batch
            await self._wait()
        raise StopAsyncIteration

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything that happened before this call has been handed out.

        Args:
            timeout_s: After this a rescan of the root is put in its place.

        Returns:
            Whether the mark came back in time. Someone else must be iterating over the batches meanwhile.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._poller is not None:
                    await self._mark(self._poller, "polled")
                if self._backend is not None:
                    await self._mark(self._backend, "flush")
            return True
        except (TimeoutError, OSError):
            self._receive(events.Rescan("", events.Reason.FLUSH))
            return False

    def refresh_prune(self, folder: str = "") -> None:
        """Ask the rules again about everything below a folder, after they changed.

        What is ignored now is no longer watched; what is not any more is watched, and then told as a rescan.
        """
        if self._backend is not None:
            self._backend.refresh(folder)

    def watch_outside(self, files: frozenset[str]) -> None:
        """Tell the changes of exactly these files outside the tree from now on; see `outside`."""
        if files != self._outside:
            self._outside = files
            self._watch_beside()

    def statistics(self) -> Statistics:
        """Return what was done so far."""
        name = self._backend.name if self._backend is not None else ""
        return Statistics(
            backend=f"{name}+{self._poller.name}" if self._poller is not None else name,
            watches=self._backend.watch_count if self._backend is not None else 0,
            events=self._inbox.event_count,
            wake_ups=self._inbox.wake_ups,
            batches=self._batches,
            overflows=self._overflows,
            pending=len(self._batcher) + self._inbox.path_count,
            refused=self._refused,
        )

    async def _start(self, choice: select.Choice) -> None:
        started = self._make(choice)
        self._backend = started
        # Polling guards the root itself: a look at a file system that hangs must not be taken by the loop.
        self._guard = None
        try:
            if choice.backend != "polling":
                self._guard = rootguard.RootGuard(self._root)
            work = self._loop.run_in_executor(None, started.start, self._root, self._prune, self._receive)
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                # The walk cannot be interrupted; what it started is stopped when it is done.
                with contextlib.suppress(errors.DevloopError):
                    await work
                await asyncio.to_thread(started.stop)
                raise
        except OSError as error:
            raise errors.RootError(
                f"cannot watch {self._root}: {error.strerror}", hint="check that the folder exists and is readable"
            ) from error

    # In the backends' threads.

    def _receive(self, event: events.Event) -> None:
        if not isinstance(event, events.Beside) or self._concerns_git(event) or self._concerned_files(event):
            self._inbox.put(event)

    def _concerns_git(self, event: events.Beside) -> bool:
        return self._git is not None and gitwatch.concerns(self._git, self._git_state, event.folder, event.name)

    def _concerned_files(self, event: events.Beside) -> frozenset[str]:
        """Return the files outside the tree that an event may be about."""
        outside = self._outside
        if event.name:
            return outside & {os.path.join(event.folder, event.name)}
        # The watch on the folder begins only now: any of them may have changed before.
        return frozenset(path for path in outside if os.path.dirname(path) == event.folder)

    # On the loop.

    def _drain(self) -> None:
        git_s = None
        for at_s, event in self._inbox.take():
            if isinstance(event, events.Hint):
                self._take_hint(event, at_s)
            elif isinstance(event, events.Beside):
                git_s = at_s
                files = self._concerned_files(event)
                if files:
                    self._batcher.feed(events.Dirty(files), at_s)
            elif isinstance(event, events.Mark):
                self._take_mark(event.token, at_s)
            else:
                self._take_news(event)
        now_s = time.monotonic()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + _TICK_S
            self._tick(now_s)
            git_s = git_s or now_s
        if git_s is not None:
            self._look_at_git(git_s)

    def _take_hint(self, event: events.Hint, at_s: float) -> None:
        if isinstance(event, events.Rescan):
            if event.reason in {events.Reason.OVERFLOW, events.Reason.TOO_MANY}:
                self._overflows += 1
            self._batcher.feed(event, at_s)
            return
        if self._ignored is not None:
            ignored = self._ignored
            kept = frozenset(path for path in event.paths if not ignored(path))
            if not kept:
                return
            event = msgspec.structs.replace(event, paths=kept)
        self._batcher.feed(event, at_s)

    def _take_mark(self, token: str, at_s: float) -> None:
        if token.startswith("polled"):
            self._end_flushes(frozenset({token}))
        else:
            self._batcher.flush(token, at_s)

    def _take_news(self, event: events.Event) -> None:
        if isinstance(event, events.Failed):
            self._failure = event.why
        elif isinstance(event, events.Unwatched):
            self._cover(event.path)
        elif isinstance(event, events.RootGone):
            if self._guard is not None:
                self._guard.lost = True
            self._batcher.clear()
            self._reports.append(event)
        elif isinstance(event, events.WatchLimit | events.RootBack):
            self._reports.append(event)

    def _cover(self, folder: str) -> None:
        self._refused += 1
        if self._poller is None:
            self._poller = polling.Polling(select.DEFAULT_POLL_INTERVAL_S, whole=False)
            self._poller.start(self._root, self._prune, self._receive)
        self._poller.cover(folder)

    def _tick(self, now_s: float) -> None:
        before, self._clocks = self._clocks, clocks.read()
        reason = clocks.jump(before, self._clocks)
        if reason is not None:
            self._batcher.feed(events.Rescan("", reason), now_s)
        news = self._guard.look() if self._guard is not None else None
        if news is not None:
            self._take_news(news)
        if isinstance(news, events.RootBack) and self._backend is not None:
            self._backend.rebuild(events.Reason.ROOT_BACK)

    def _look_at_git(self, at_s: float) -> None:
        if self._git is None:
            return
        before, self._git_state = self._git_state, gitwatch.read_state(self._git)
        if self._git_state != before:
            self._batcher.git(self._git_state, at_s)
        if self._git_state.ref != before.ref:
            self._watch_beside()

    def _watch_beside(self) -> None:
        if self._backend is None:
            return
        folders = frozenset(os.path.dirname(path) for path in self._outside)
        if self._git is not None:
            folders |= gitwatch.folders(self._git, self._git_state)
        if folders or self._git is not None:
            self._backend.watch_beside(folders)

    async def _mark(self, where: backend.Backend, kind: str) -> None:
        token = f"{kind}-{os.getpid()}-{next(self._tokens)}"
        self._flushes[token] = self._loop.create_future()
        try:
            where.mark(token)
            await self._flushes[token]
        finally:
            del self._flushes[token]

    def _end_flushes(self, tokens: frozenset[str]) -> None:
        for token in tokens:
            waiting = self._flushes.get(token)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def _wait(self) -> None:
        """Wait for an event that matters now, the batch's deadline, or the next tick."""
        deadline_s = self._batcher.deadline_s()
        ear = inbox.Ear.CHANGES if deadline_s is not None else inbox.Ear.ALL
        if self._batcher.settling:
            ear = inbox.Ear.URGENT
        await self._inbox.wait(ear, self._next_tick_s if deadline_s is None else min(deadline_s, self._next_tick_s))


def make_backend(choice: select.Choice) -> backend.Backend:
    """Return the backend of a choice, not started."""
    # Each needs what only its own platform has.
    if choice.backend == "inotify":
        from devloop.watch import inotify

        return inotify.Inotify()
    if choice.backend == "fsevents":
        from devloop.watch import fsevents

        return fsevents.FSEvents()
    return polling.Polling(choice.interval_s)


def _read_mounts() -> list[select.Mount]:
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as handle:
            return select.parse_mounts(handle.read())
    except OSError:
        return []
