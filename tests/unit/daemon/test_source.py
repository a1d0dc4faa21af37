"""One sync's laptop side on a real folder: what is found, what is lost, and what a flush promises."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from devloop import errors
from devloop.config import model
from devloop.core.problem import Problem
from devloop.core.tree import Tree, TreeDelta
from devloop.daemon import source
from devloop.fs import rootguard, scan
from devloop.protocol import answers
from devloop.sync import events
from devloop.watch import events as watch_events
from devloop.watch import watcher


class Owner:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.found_all: list[source.Found] = []
        self.parts: list[TreeDelta] = []
        self.losses: list[rootguard.RootLost] = []
        self.regains = 0
        self.problems: dict[str, Problem] = {}
        self.rules = 0
        self.moves: list[tuple[str, str]] = []
        self.notices: list[events.Notice] = []
        self.more = asyncio.Event()

    def found_part(self, index: int, delta: TreeDelta, began_s: float) -> None:
        self.tree.apply(delta)
        self.parts.append(delta)

    def found(self, index: int, found: source.Found) -> None:
        self.tree.apply(found.delta)
        self.found_all.append(found)
        self.more.set()

    def lost(self, index: int, error: rootguard.RootLost) -> None:
        self.losses.append(error)
        self.more.set()

    def regained(self, index: int) -> None:
        self.regains += 1
        self.more.set()

    def troubled(self, index: int, problems: dict[str, Problem]) -> None:
        self.problems = problems
        self.more.set()

    def rules_changed(self, index: int) -> None:
        self.rules += 1
        self.more.set()

    def git_moved(self, index: int, old: str, new: str) -> None:
        self.moves.append((old, new))
        self.more.set()

    def notice(self, event: events.Notice) -> None:
        self.notices.append(event)
        self.more.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.more.clear()
                await self.more.wait()


class Bench:
    def __init__(self, folder: Path, **more: Any) -> None:
        self.home = folder / "project" / "web"
        self.home.mkdir(parents=True, exist_ok=True)
        self.state = folder / "state"
        self.state.mkdir(exist_ok=True)
        self.owner = Owner()
        watch = more.pop("watch", {})
        self.source = source.Source(
            0,
            model.Sync.model_validate({"from": str(self.home), "to": "/app", **more}),
            cache_path=str(self.state / "cache"),
            boundary=str(folder / "project"),
            watch=model.Watch.model_validate(watch),
            owner=self.owner,
        )

    def write(self, name: str, text: str = "x") -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.home, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    @property
    def paths(self) -> set[str]:
        return set(self.owner.tree)


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    before = asyncio.all_tasks()
    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        task = group.create_task(bench.source.run())
        await bench.owner.until(lambda: bool(bench.owner.found_all or bench.owner.losses))
        yield bench
        task.cancel()
    assert asyncio.all_tasks() == before


async def test_what_is_there_and_what_comes_is_found(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.source.watching == "starting"
    bench.write("a")
    async with running(bench):
        assert bench.paths == {"a"}
        bench.write("b/c", "new")
        await bench.owner.until(lambda: bench.paths == {"a", "b", "b/c"})
        (bench.home / "a").unlink()
        await bench.owner.until(lambda: "a" not in bench.paths)
        assert "folders" in bench.source.watching
        with bench.source.open_body("b/c", bench.owner.tree["b/c"]) as opened:
            assert opened.read(100) == b"new"


async def test_a_large_first_look_is_told_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PART_FILES", 2)
    bench = Bench(tmp_path)
    for number in range(5):
        bench.write(f"d/{number}", str(number))
    bench.write("e")
    bench.write("f")
    async with running(bench):
        assert [len(delta.put) for delta in bench.owner.parts] == [3, 2, 2]
        (last,) = bench.owner.found_all
        assert len(last.delta.put) == 1
        assert bench.paths == {"d", *(f"d/{number}" for number in range(5)), "e", "f"}


async def test_a_flush_returns_when_what_was_saved_before_it_is_found(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        for index in range(30):
            bench.write(f"f{index % 3}", str(index))
            bench.write("deep/" * (index % 4) + "g", str(index))
            await bench.source.flush(10.0)
            with bench.source.open_body(f"f{index % 3}", bench.owner.tree[f"f{index % 3}"]) as opened:
                assert opened.read(10) == str(index).encode()


async def test_what_has_ended_finds_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with running(bench):
        pass
    bench.write("late")
    await bench.source.rescan_all()
    await bench.source.rescan({"late"})
    assert bench.paths == set()


async def test_a_flush_without_a_watcher_looks_itself(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a")
    bench.source._open()
    await bench.source.flush(1.0)
    assert bench.paths == {"a"}
    bench.source._close()
    bench.source._thread.shutdown()


async def test_what_a_followed_link_leads_to_beyond_the_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "QUIET_S", 0.05)
    bench = Bench(tmp_path, symlinks="follow")
    libs = tmp_path / "project" / "libs"
    libs.mkdir()
    (bench.home / "libs").symlink_to("../libs")
    async with running(bench):
        (libs / "x").write_text("1")
        await bench.owner.until(lambda: bench.paths == {"libs", "libs/x"})


async def test_a_flush_looks_at_what_followed_links_lead_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "QUIET_S", 1000.0)
    bench = Bench(tmp_path, symlinks="follow")
    (tmp_path / "project" / "x").write_text("1")
    (bench.home / "x").symlink_to("../x")
    async with running(bench):
        for text in ("22", "333"):
            (tmp_path / "project" / "x").write_text(text)
            await bench.source.flush(10.0)
            assert bench.owner.tree["x"].size == len(text)


async def test_rules_that_change_show_and_hide_paths(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ignore=["*.tmp"])
    for name in ("a.py", "a.log", "a.tmp"):
        bench.write(name)
    async with running(bench):
        assert bench.paths == {"a.py", "a.log"}
        message = bench.source.rules_message()
        known = answers.message_to_rules(message)
        assert known is not None and message.digest == known.digest
        bench.write(".devloopignore", "*.log\n")
        await bench.owner.until(lambda: "a.log" not in bench.paths)
        assert bench.owner.rules
        assert any("a.log" in found.hidden for found in bench.owner.found_all)
        assert bench.source.rules_message().digest != message.digest
        (bench.home / ".devloopignore").unlink()
        await bench.owner.until(lambda: "a.log" in bench.paths)


async def test_a_git_operation_is_told_and_vouches_for_its_deletions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.git("init", "-q", "-b", "main")
    bench.write("kept")
    bench.git("add", "-A")
    bench.git("commit", "-qm", "one")
    bench.git("switch", "-qc", "other")
    bench.write("gone")
    bench.git("add", "-A")
    bench.git("commit", "-qm", "two")
    old = bench.git("rev-parse", "HEAD")
    async with running(bench):
        assert bench.paths == {"kept", "gone"}
        assert bench.source.listed() == {"kept", "gone"}
        bench.git("switch", "-q", "main")
        await bench.owner.until(lambda: "gone" not in bench.paths)
        new = bench.git("rev-parse", "HEAD")
        assert (old, new) in bench.owner.moves
        (found,) = [found for found in bench.owner.found_all if "gone" in found.delta.gone]
        assert found.approved == {"gone"} and found.git


async def test_a_switch_to_a_branch_without_a_commit_vouches_for_what_git_deleted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.git("init", "-q", "-b", "main")
    bench.write("gone")
    bench.write("also/gone")
    bench.git("add", "-A")
    bench.git("commit", "-qm", "one")
    bench.write("untracked")
    async with running(bench):
        bench.git("switch", "-q", "--orphan", "new")
        await bench.owner.until(lambda: bench.paths == {"untracked"})
        approved = {path for found in bench.owner.found_all for path in found.approved}
        assert approved == {"gone", "also/gone", "also"}
        bench.git("switch", "-q", "main")
        await bench.owner.until(lambda: bench.paths == {"untracked", "gone", "also", "also/gone"})


async def test_no_git_lists_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a")
    async with running(bench):
        assert bench.source.listed() == frozenset()


async def test_a_folder_that_goes_stops_and_comes_back_without_a_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "QUIET_S", 0.05)
    bench = Bench(tmp_path)
    bench.write("a")
    async with running(bench):
        aside = tmp_path / "aside"
        bench.home.rename(aside)
        await bench.owner.until(lambda: bool(bench.owner.losses))
        assert bench.paths == {"a"}
        aside.rename(bench.home)
        await bench.owner.until(lambda: bench.owner.regains == 1)
        assert bench.paths == {"a"}
        assert not any(found.delta.gone for found in bench.owner.found_all)


async def test_a_folder_that_is_made_again_goes_on_by_itself_and_is_watched(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a")
    bench.write("b")
    async with running(bench):
        shutil.rmtree(bench.home)
        bench.write("a", "new")
        bench.write("c")
        await bench.owner.until(lambda: bench.owner.regains > 0 and bench.paths == {"a", "c"})
        bench.write("d/e", "later")
        await bench.owner.until(lambda: bench.paths == {"a", "c", "d", "d/e"})
    assert bench.owner.losses


async def test_a_folder_that_was_emptied_is_lost_until_it_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "QUIET_S", 0.05)
    bench = Bench(tmp_path)
    for index in range(40):
        bench.write(f"f{index}")
    async with running(bench):
        for index in range(40):
            (bench.home / f"f{index}").unlink()
        await bench.owner.until(lambda: bool(bench.owner.losses))
        assert len(bench.paths) == 40
        bench.source.accept_root()
        await bench.source.rescan_all()
        await bench.owner.until(lambda: bench.owner.regains == 1)
        assert bench.paths == set()


async def test_a_folder_that_was_never_there_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    shutil.rmtree(bench.home)
    with pytest.raises(errors.RootError, match="web"):
        async with asyncio.timeout(20):
            await bench.source.run()


async def test_an_unreadable_or_odd_path_is_a_problem_and_the_rest_is_found(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a")
    os.mkfifo(bench.home / "pipe")
    async with running(bench):
        assert bench.paths == {"a"}
        assert set(bench.owner.problems) == {"pipe"}
        (bench.home / "pipe").unlink()
        await bench.owner.until(lambda: not bench.owner.problems)


async def test_a_folder_that_goes_before_its_watches_stand_is_lost_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "QUIET_S", 0.02)
    bench = Bench(tmp_path)
    bench.write("a")
    enter = watcher.Watcher.__aenter__
    tries = 0

    async def enter_late(self: watcher.Watcher) -> watcher.Watcher:
        nonlocal tries
        tries += 1
        if tries == 1:
            # A flush that comes this early looks at everything itself; then the disk goes.
            await bench.source.rescan_all()
            bench.home.rename(tmp_path / "elsewhere")
        return await enter(self)

    monkeypatch.setattr(watcher.Watcher, "__aenter__", enter_late)
    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        task = group.create_task(bench.source.run())
        await bench.owner.until(lambda: bool(bench.owner.losses))
        assert bench.owner.losses[0].lost is rootguard.Lost.MISSING
        (tmp_path / "elsewhere").rename(bench.home)
        await bench.owner.until(lambda: bench.owner.regains == 1)
        bench.write("b")
        await bench.owner.until(lambda: bench.paths == {"a", "b"})
        task.cancel()


async def test_polling_is_said_and_finds_changes_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, watch={"backend": "polling", "poll": "100ms"})
    async with running(bench):
        await bench.owner.until(lambda: bool(bench.owner.notices))
        assert "polled every 0.1 s" in bench.owner.notices[0].message
        bench.write("a")
        await bench.owner.until(lambda: bench.paths == {"a"})


@pytest.mark.parametrize(
    ("report", "level", "words"),
    [
        (watch_events.WatchLimit(8, 100, 64, "sysctl …"), events.Level.WARNING, "watches ran out"),
        (watch_events.WatchInstances(8, "sysctl …"), events.Level.WARNING, "instances ran out"),
        (watch_events.PollingInstead("", 2.0, "it is on a network"), events.Level.INFO, "polled every 2 s"),
    ],
)
def test_reports_are_told_in_words(report: watch_events.Report, level: events.Level, words: str) -> None:
    told = source._notice(report)
    assert told.level is level and words in told.message


async def test_what_was_scanned_before_is_known_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.write("a")
    async with running(bench):
        first = dict(bench.owner.tree)
    again = Bench(tmp_path)
    async with running(again):
        assert dict(again.owner.tree) == first


# ---- rules and looks that others cause --------------------------------------------------------------------------


def repository(folder: Path) -> Bench:
    """Return a folder inside a repository: rules and git's own files are above it."""
    bench = Bench(folder)
    bench.write("a.py", "a")
    bench.write("b.log", "b")
    bench.git("init", "-q", str(bench.home.parent))
    return bench


async def test_an_ignore_file_above_the_root_takes_effect_with_the_next_flush(tmp_path: Path) -> None:
    bench = repository(tmp_path)
    async with running(bench):
        assert bench.paths == {"a.py", "b.log"}
        (bench.home.parent / ".gitignore").write_text("*.log\n")
        await bench.source.flush(20)
        assert bench.paths == {"a.py"}
        assert {path for found in bench.owner.found_all for path in found.hidden} == {"b.log"}
        assert bench.owner.rules > 0
        (bench.home.parent / ".gitignore").unlink()
        await bench.source.flush(20)
        assert bench.paths == {"a.py", "b.log"}


async def test_so_does_gits_own_exclude_file(tmp_path: Path) -> None:
    bench = repository(tmp_path)
    async with running(bench):
        (bench.home.parent / ".git/info/exclude").write_text("a.py\n")
        await bench.source.flush(20)
        assert bench.paths == {"b.log"}


async def test_what_a_cancelled_caller_had_found_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = repository(tmp_path)
    async with running(bench):
        subject = bench.source
        scanning, go_on = threading.Event(), threading.Event()
        original = subject._scanner.scan_all

        def slow() -> object:
            result = original()
            scanning.set()
            assert go_on.wait(20)
            return result

        monkeypatch.setattr(subject._scanner, "scan_all", slow)
        # Nobody else may find it first.
        async with subject.still():
            bench.write("new.py", "new")
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(subject._look(subject._look_at_all, began_s=0.0))
                await asyncio.to_thread(scanning.wait, 20)
                asking.cancel()
        go_on.set()
        await subject.flush(20)
        assert "new.py" in bench.paths


async def test_a_flush_waits_for_the_look_that_it_set_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = repository(tmp_path)
    async with running(bench):
        original = bench.source._rules.refresh
        begun = threading.Event()

        def slow(dirty: frozenset[str], *, index_changed: bool) -> bool:
            # Long enough for a flush that does not wait to overtake it.
            begun.wait(0.2)
            return original(dirty, index_changed=index_changed)

        monkeypatch.setattr(bench.source._rules, "refresh", slow)
        bench.write("new.py", "new")
        await bench.source.flush(20)
        assert "new.py" in bench.paths


async def test_files_that_go_with_a_switch_to_a_branch_without_a_commit_are_found(tmp_path: Path) -> None:
    bench = repository(tmp_path)
    bench.git("add", "-A")
    bench.git("commit", "-qm", "first")
    # git removes a folder that it leaves empty, and another one in its place would stop the sync.
    bench.write("c.py", "c")
    async with running(bench):
        await asyncio.to_thread(bench.git, "switch", "-q", "--orphan", "empty")
        await bench.source.flush(20)
        assert bench.paths == {"c.py"}
        assert not bench.owner.losses


async def test_a_repository_that_git_cannot_read_lists_nothing(tmp_path: Path) -> None:
    bench = repository(tmp_path)
    bench.git("add", "-A")
    async with running(bench):
        assert await asyncio.to_thread(bench.source.listed) == {"a.py", "b.log"}
        (bench.home.parent / ".git/index").write_bytes(b"no index")
        assert await asyncio.to_thread(bench.source.listed) == frozenset()


async def test_a_folder_with_the_name_of_a_temporary_file_is_seen_to_go(tmp_path: Path) -> None:
    bench = repository(tmp_path)
    async with running(bench):
        (bench.home / "old~").mkdir()
        await bench.source.flush(20)
        assert "old~" in bench.paths
        looks = len(bench.owner.found_all)
        (bench.home / "a.py~").touch()
        (bench.home / "a.py~").unlink()
        (bench.home / "old~").rmdir()
        await bench.source.flush(20)
        assert "old~" not in bench.paths
        assert len(bench.owner.found_all) == looks + 1
