"""The asyncio face, on real folders and with a backend of the test's own."""

from __future__ import annotations

import asyncio
import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from devloop import errors
from devloop.watch import backend, batcher, clocks, events, gitwatch, select, watcher
from tests.unit.watch import support
from tests.unit.watch.test_gitwatch import dirs, git

needs_inotify = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

Found = list[batcher.Batch | events.Report]


def nothing(path: str) -> bool:
    return False


async def collect(subject: watcher.Watcher, action: Callable[[], object]) -> Found:
    """Do something in a thread while iterating, and return everything that came of it."""
    found: Found = []

    async def act() -> bool:
        await asyncio.to_thread(action)
        return await subject.flush(support.TIMEOUT_S)

    async with asyncio.timeout(2 * support.TIMEOUT_S), asyncio.TaskGroup() as group:
        acting = group.create_task(act())
        while True:
            item = await anext(subject)
            found.append(item)
            if isinstance(item, batcher.Batch) and item.cookies:
                break
    assert acting.result()
    return found


def batches(found: Found) -> list[batcher.Batch]:
    return [item for item in found if isinstance(item, batcher.Batch)]


def all_paths(found: Found) -> set[str]:
    return {path for batch in batches(found) for path in batch.paths}


def all_rescans(found: Found) -> set[str]:
    return {path for batch in batches(found) for path in batch.rescans}


async def next_batch(subject: watcher.Watcher) -> batcher.Batch:
    async with asyncio.timeout(support.TIMEOUT_S):
        while True:
            item = await anext(subject)
            if isinstance(item, batcher.Batch):
                return item


@needs_inotify
async def test_a_save_is_a_batch_of_its_own(tmp_path: pathlib.Path) -> None:
    async with watcher.Watcher(str(tmp_path), prune=nothing) as subject:
        (tmp_path / "f").write_text("x")
        batch = await next_batch(subject)
        assert (sorted(batch.paths), sorted(batch.rescans), batch.git) == (["f"], [], None)
        statistics = subject.statistics()
    assert (statistics.backend, statistics.watches, statistics.batches) == ("inotify", 1, 1)


@needs_inotify
async def test_a_root_behind_a_link_is_watched(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    async with watcher.Watcher(str(tmp_path / "link"), prune=nothing) as subject:
        (tmp_path / "real/f").write_text("x")
        assert (await next_batch(subject)).paths == {"f"}


@needs_inotify
async def test_a_thousand_files_come_out(tmp_path: pathlib.Path) -> None:
    for number in range(10):
        (tmp_path / f"d{number}").mkdir()
    names = {f"d{number % 10}/f{number}" for number in range(1_000)}

    def rewrite() -> None:
        for name in names:
            (tmp_path / name).write_text("x")

    async with watcher.Watcher(str(tmp_path), prune=nothing) as subject:
        assert all_paths(await collect(subject, rewrite)) == names
        assert subject.statistics().pending == 0


@needs_inotify
async def test_ignored_paths_make_no_batch(tmp_path: pathlib.Path) -> None:
    async with watcher.Watcher(str(tmp_path), prune=nothing, ignored=lambda path: path.endswith(".log")) as subject:
        found = await collect(subject, lambda: (tmp_path / "a.log").write_text("x"))
        assert [batch.paths for batch in batches(found)] == [frozenset()]


@needs_inotify
async def test_changed_rules_are_taken_up(tmp_path: pathlib.Path) -> None:
    pruned = {"build"}
    (tmp_path / "build/x").mkdir(parents=True)
    async with watcher.Watcher(str(tmp_path), prune=lambda path: path in pruned) as subject:
        assert subject.statistics().watches == 1
        pruned.clear()
        assert all_rescans(await collect(subject, subject.refresh_prune)) == {"build"}
        assert subject.statistics().watches == 3


async def test_files_outside_the_root_are_told_by_their_absolute_path_and_their_neighbours_not(
    tmp_path: pathlib.Path,
) -> None:
    root, wanted = tmp_path / "root", tmp_path / ".gitignore"
    root.mkdir()
    async with watcher.Watcher(str(root), prune=nothing, outside=frozenset({str(wanted)})) as subject:
        await collect(subject, (root / "a").touch)
        (tmp_path / "other").touch()
        assert all_paths(await collect(subject, wanted.touch)) == {str(wanted)}
        subject.watch_outside(frozenset({str(tmp_path / "other")}))
        await collect(subject, (root / "b").touch)
        wanted.unlink()
        assert all_paths(await collect(subject, (tmp_path / "other").unlink)) == {str(tmp_path / "other")}


@needs_inotify
async def test_a_flush_comes_after_all_that_was_written_before(tmp_path: pathlib.Path) -> None:
    async with watcher.Watcher(str(tmp_path), prune=nothing) as subject:
        for number in range(20):
            found = await collect(subject, (tmp_path / f"f{number}").touch)
            assert f"f{number}" in all_paths(found)


async def test_flushes_that_overlap_are_all_answered(tmp_path: pathlib.Path) -> None:
    async with watcher.Watcher(str(tmp_path), prune=nothing) as subject, asyncio.TaskGroup() as group:
        flushes = [group.create_task(subject.flush(support.TIMEOUT_S)) for _ in range(5)]
        cookies: set[str] = set()
        while len(cookies) < 5:
            cookies |= (await next_batch(subject)).cookies
        assert [await flush for flush in flushes] == [True] * 5


class Silent:
    """A backend that tells only what the test says, and swallows marks."""

    name = "silent"
    watch_count = 0

    def __init__(self) -> None:
        self.sink: backend.Sink = lambda event: None
        self.rebuilt: list[events.Reason] = []
        self.stopped = 0
        self.mark_error: OSError | None = None

    def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
        self.sink = sink

    def stop(self) -> None:
        self.stopped += 1

    def watch_beside(self, folders: frozenset[str]) -> None:
        pass

    def refresh(self, folder: str) -> None:
        pass

    def rebuild(self, reason: events.Reason) -> None:
        self.rebuilt.append(reason)

    def mark(self, token: str) -> None:
        if self.mark_error is not None:
            raise self.mark_error


def with_silent(root: pathlib.Path, silent: Silent) -> watcher.Watcher:
    return watcher.Watcher(str(root), prune=nothing, make=lambda choice: silent)


async def test_a_flush_whose_mark_is_lost_becomes_a_rescan(tmp_path: pathlib.Path) -> None:
    async with with_silent(tmp_path, Silent()) as subject:
        assert not await subject.flush(0.01)
        batch = await next_batch(subject)
        assert (sorted(batch.rescans), sorted(batch.reasons)) == ([""], [events.Reason.FLUSH])


async def test_a_flush_whose_mark_is_refused_becomes_a_rescan(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    silent.mark_error = OSError(28, "no watch left")
    async with with_silent(tmp_path, silent) as subject:
        assert not await subject.flush(support.TIMEOUT_S)
        assert (await next_batch(subject)).rescans == {""}


async def test_leaving_ends_flushes_and_iteration(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    subject = with_silent(tmp_path, silent)
    await subject.__aenter__()
    iterating = asyncio.gather(anext(subject), return_exceptions=True)
    flushing = asyncio.gather(subject.flush(support.TIMEOUT_S))
    await asyncio.sleep(0)
    await subject.__aexit__(None, None, None)
    assert isinstance((await iterating)[0], StopAsyncIteration)
    assert (await flushing)[0] is False
    assert silent.stopped == 1


async def test_reports_come_out_as_they_are(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    limit = events.WatchLimit(1, 2, 3, "sudo sysctl …")
    async with with_silent(tmp_path, silent) as subject:
        silent.sink(limit)
        assert await anext(subject) == limit


async def test_a_backend_that_breaks_down_ends_the_iteration_with_its_reason(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    async with with_silent(tmp_path, silent) as subject:
        silent.sink(events.Failed("RuntimeError: broken"))
        with pytest.raises(errors.LocalError, match="RuntimeError: broken"):
            await anext(subject)


async def test_a_busy_loop_holds_no_more_than_a_bounded_number_of_paths(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    async with with_silent(tmp_path, silent) as subject:
        for number in range(200):
            silent.sink(events.Dirty(frozenset(f"{number}/{each}" for each in range(1_000))))
            assert subject.statistics().pending <= 70_000
        silent.sink(events.Mark("kept"))
        batch = await next_batch(subject)
        assert batch.rescans == {""}
        assert events.Reason.TOO_MANY in batch.reasons
        assert subject.statistics().overflows >= 1


async def test_the_loop_is_woken_once_for_many_events(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    async with with_silent(tmp_path, silent) as subject:
        waiting = asyncio.gather(next_batch(subject))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        def tell() -> None:
            for number in range(500):
                silent.sink(events.Dirty(frozenset({f"{number}"})))

        teller = threading.Thread(target=tell)
        teller.start()
        teller.join()
        [batch] = await waiting
        assert len(batch.paths) == 500
        assert subject.statistics().wake_ups == 1


async def test_cancelling_the_wait_loses_nothing(tmp_path: pathlib.Path) -> None:
    silent = Silent()
    async with with_silent(tmp_path, silent) as subject:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(subject)
        silent.sink(events.Dirty(frozenset({"f"})))
        assert (await next_batch(subject)).paths == {"f"}


async def test_waking_from_sleep_rescans_all(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter(range(1_000_000))

    def read() -> clocks.Clocks:
        # Every look at the clocks finds an hour slept away.
        return clocks.Clocks(0.0, 3_600.0 * next(readings), 0.0)

    monkeypatch.setattr(clocks, "read", read)
    async with with_silent(tmp_path, Silent()) as subject:
        subject._next_tick_s = 0.0
        batch = await next_batch(subject)
        assert (sorted(batch.rescans), sorted(batch.reasons)) == ([""], [events.Reason.WAKE])


async def test_a_lost_root_is_told_and_what_was_pending_is_dropped(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "f").write_text("x")
    silent = Silent()
    async with with_silent(root, silent) as subject:
        shutil.move(root, tmp_path / "elsewhere")
        silent.sink(events.Vanished(frozenset({"f"})))
        subject._next_tick_s = 0.0
        assert isinstance(await anext(subject), events.RootGone)
        assert subject.statistics().pending == 0
        shutil.move(tmp_path / "elsewhere", root)
        subject._next_tick_s = 0.0
        assert isinstance(await anext(subject), events.RootBack)
        assert silent.rebuilt == [events.Reason.ROOT_BACK]


@needs_inotify
async def test_a_deleted_root_is_told_at_once_and_only_once(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    async with watcher.Watcher(str(root), prune=nothing) as subject:
        root.rmdir()
        assert isinstance(await anext(subject), events.RootGone)
        subject._next_tick_s = 0.0
        found = await collect(subject, lambda: None)
        assert not [item for item in found if isinstance(item, events.RootGone)]


@pytest.mark.parametrize("name", ["missing", "file"])
async def test_a_root_that_is_no_folder_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "file").touch()
    for interval_s in (None, 1.0):
        with pytest.raises(errors.RootError):
            async with watcher.Watcher(str(tmp_path / name), prune=nothing, poll_interval_s=interval_s):
                pass


async def test_polling_on_demand_says_so_and_finds_changes(tmp_path: pathlib.Path) -> None:
    async with watcher.Watcher(str(tmp_path), prune=nothing, poll_interval_s=3_600.0) as subject:
        assert await anext(subject) == events.PollingInstead("", 3_600.0, "as the configuration says")
        assert all_paths(await collect(subject, (tmp_path / "f").touch)) == {"f"}
        assert subject.statistics().backend == "polling"


async def test_without_inotify_it_polls_and_tells_the_limit(tmp_path: pathlib.Path) -> None:
    class Refused(Silent):
        def start(self, root: str, prune: backend.Prune, sink: backend.Sink) -> None:
            raise backend.UnavailableError("no instance left", report=events.WatchInstances(128, "sudo sysctl …"))

    def make(choice: select.Choice) -> backend.Backend:
        return watcher.make_backend(choice) if choice.backend == "polling" else Refused()

    async with watcher.Watcher(str(tmp_path), prune=nothing, make=make) as subject:
        assert await anext(subject) == events.WatchInstances(128, "sudo sysctl …")
        told = await anext(subject)
        assert isinstance(told, events.PollingInstead)
        assert told.why == "no instance left"


LIMITED = """
import asyncio, json, os, sys
from devloop.watch import batcher, events, watcher
async def main():
    reports, paths, rescans = [], set(), set()
    async with watcher.Watcher(sys.argv[1], prune=lambda path: False) as subject:
        async def flushed():
            flushing = asyncio.create_task(subject.flush(20))
            while True:
                item = await anext(subject)
                if not isinstance(item, batcher.Batch):
                    reports.append(type(item).__name__)
                    continue
                paths.update(item.paths)
                rescans.update(item.rescans)
                if item.cookies:
                    assert await flushing
                    return
        await flushed()
        for number in range(20):
            with open(f"{sys.argv[1]}/d{number:02}/f", "w"):
                pass
        await flushed()
        print(json.dumps([reports, sorted(rescans), sorted(paths), subject.statistics().backend]))
asyncio.run(main())
"""


def test_folders_beyond_the_watch_limit_are_polled(tmp_path: pathlib.Path) -> None:
    for number in range(20):
        (tmp_path / f"d{number:02}").mkdir()
    reports, rescans, paths, name = support.in_namespace(
        "echo 11 > /proc/sys/user/max_inotify_watches", LIMITED, str(tmp_path)
    )
    assert reports == ["WatchLimit"]
    assert len(rescans) == 11
    assert paths == [f"d{number:02}/f" for number in range(20)]
    assert name == "inotify+polling"


class Repo:
    """A repository with two branches that differ in many files."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(range(60), "one")
        self.git("add", ".")
        self.git("commit", "-qm", "one")
        self.git("checkout", "-qb", "feature/two")
        self.write(range(10, 70), "two")
        self.git("add", ".")
        self.git("commit", "-qm", "two")

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)

    def write(self, numbers: range, content: str) -> None:
        for number in numbers:
            (self.root / f"f{number}").write_text(content)

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def watcher(self) -> watcher.Watcher:
        # A test machine may be slow: what belongs together must not fall apart because a process was not scheduled.
        timing = batcher.Timing(quiet_s=0.25, burst_cap_s=5.0, lone_cap_s=5.0, settle_s=1.0)
        return watcher.Watcher(str(self.root), prune=nothing, git=dirs(self.root), timing=timing)


@pytest.fixture
def repo(tmp_path: pathlib.Path) -> Repo:
    return Repo(tmp_path / "repo")


Step = Callable[[watcher.Watcher], Awaitable[batcher.Batch]]


@needs_inotify
async def test_a_checkout_is_one_batch_that_knows_both_commits(repo: Repo) -> None:
    old = repo.head
    async with repo.watcher() as subject:
        git_does = asyncio.gather(asyncio.to_thread(repo.git, "checkout", "-q", "main"))
        batch = await next_batch(subject)
        await git_does
    assert batch.git == batcher.GitMove(old, repo.head)
    assert batch.index_changed
    assert batch.paths == {f"f{number}" for number in range(10, 70)}


@needs_inotify
async def test_commits_and_resets_on_a_branch_are_seen(repo: Repo) -> None:
    async with repo.watcher() as subject:
        for arguments in (("commit", "-q", "--allow-empty", "-m", "three"), ("reset", "-q", "--soft", "HEAD^")):
            old = repo.head
            git_does = asyncio.gather(asyncio.to_thread(repo.git, *arguments))
            batch = await next_batch(subject)
            await git_does
            assert batch.git == batcher.GitMove(old, repo.head)


@needs_inotify
async def test_a_linked_work_tree_is_seen_too(repo: Repo, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other"
    repo.git("worktree", "add", "-q", str(other), "main")
    old = git(other, "rev-parse", "HEAD")
    async with watcher.Watcher(str(other), prune=nothing, git=dirs(other)) as subject:
        found = await collect(subject, lambda: git(other, "checkout", "-q", "--detach", "feature/two"))
    moves = [batch.git for batch in batches(found) if batch.git is not None]
    assert moves == [batcher.GitMove(old, repo.head)]


@needs_inotify
async def test_staging_a_file_says_that_the_index_changed(repo: Repo) -> None:
    async with repo.watcher() as subject:
        found = await collect(subject, lambda: (repo.root / "new").touch())
        assert not any(batch.index_changed for batch in batches(found))
        git_does = asyncio.gather(asyncio.to_thread(repo.git, "add", "new"))
        batch = await next_batch(subject)
        await git_does
        assert (batch.index_changed, batch.git, batch.paths) == (True, None, frozenset())


@needs_inotify
async def test_a_branch_that_is_new_is_followed(repo: Repo) -> None:
    async with repo.watcher() as subject:
        await collect(subject, lambda: repo.git("checkout", "-q", "--no-track", "-b", "deep/er/branch", "main"))
        old = repo.head
        os.unlink(repo.root / ".git/logs/HEAD")
        os.mkdir(repo.root / ".git/logs/HEAD")  # no log tells of moves
        git_does = asyncio.gather(asyncio.to_thread(repo.git, "update-ref", "refs/heads/deep/er/branch", "feature/two"))
        batch = await next_batch(subject)
        await git_does
    assert batch.git is not None
    assert batch.git.old == old


def test_a_state_that_was_there_at_the_start_is_no_change() -> None:
    state = gitwatch.GitState("one", index=(1,))
    assert batcher.Batcher(git=state).deadline_s() is None
