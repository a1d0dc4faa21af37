"""A source tells all that its scanner finds, whoever waits for it, and sees its rules wherever they are."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devloop.config import model
from devloop.core import tree
from devloop.core.problem import Problem
from devloop.daemon import source
from devloop.fs import rootguard
from devloop.sync import events


class Owner:
    """Keeps what a source says."""

    def __init__(self) -> None:
        self.tree = tree.Tree()
        self.hidden: set[str] = set()
        self.rules = 0
        self.looks = 0
        self.first = asyncio.Event()

    def found(self, index: int, found: source.Found) -> None:
        self.tree.apply(found.delta)
        self.hidden.update(found.hidden)
        self.looks += 1
        self.first.set()

    def lost(self, index: int, error: rootguard.RootLost) -> None:
        raise AssertionError(error)

    def regained(self, index: int) -> None:
        raise AssertionError("it was never lost")

    def troubled(self, index: int, problems: dict[str, Problem]) -> None:
        pass

    def rules_changed(self, index: int) -> None:
        self.rules += 1

    def found_part(self, index: int, delta: tree.TreeDelta, began_s: float) -> None:
        pass

    def git_moved(self, index: int, old: str, new: str) -> None:
        pass

    def notice(self, event: events.Notice) -> None:
        pass


@contextlib.asynccontextmanager
async def watched(project: Path, root: Path) -> AsyncIterator[tuple[source.Source, Owner]]:
    owner = Owner()
    spec = model.Sync.model_validate({"from": str(root), "to": "/app"})
    subject = source.Source(
        0, spec, cache_path=str(project / "cache"), boundary=str(project), watch=model.Watch(), owner=owner
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(subject.run())
        try:
            async with asyncio.timeout(20):
                await owner.first.wait()
            yield subject, owner
        finally:
            running.cancel()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "repo/web").mkdir(parents=True)
    (tmp_path / "repo/web/a.py").write_text("a")
    (tmp_path / "repo/web/b.log").write_text("b")
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    return tmp_path / "repo"


async def test_an_ignore_file_above_the_root_takes_effect_with_the_next_flush(project: Path) -> None:
    async with watched(project, project / "web") as (subject, owner):
        assert set(owner.tree) == {"a.py", "b.log"}
        (project / ".gitignore").write_text("*.log\n")
        await subject.flush(20)
        assert set(owner.tree) == {"a.py"}
        assert owner.hidden == {"b.log"}
        assert owner.rules > 0
        (project / ".gitignore").unlink()
        await subject.flush(20)
        assert set(owner.tree) == {"a.py", "b.log"}


async def test_so_does_gits_own_exclude_file(project: Path) -> None:
    async with watched(project, project / "web") as (subject, owner):
        (project / ".git/info/exclude").write_text("a.py\n")
        await subject.flush(20)
        assert set(owner.tree) == {"b.log"}


async def test_what_a_cancelled_caller_had_found_is_told_all_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(project, project / "web") as (subject, owner):
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
            (project / "web/new.py").write_text("new")
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(subject._look(subject._look_at_all, began_s=0.0))
                await asyncio.to_thread(scanning.wait, 20)
                asking.cancel()
        go_on.set()
        await subject.flush(20)
        assert "new.py" in owner.tree


async def test_a_flush_waits_for_the_look_that_it_set_off(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(project, project / "web") as (subject, owner):
        original = subject._rules.refresh
        begun = threading.Event()

        def slow(dirty: frozenset[str], *, index_changed: bool) -> bool:
            # Long enough for a flush that does not wait to overtake it.
            begun.wait(0.2)
            return original(dirty, index_changed=index_changed)

        monkeypatch.setattr(subject._rules, "refresh", slow)
        (project / "web/new.py").write_text("new")
        await subject.flush(20)
        assert "new.py" in owner.tree


async def test_files_that_go_with_a_switch_to_a_branch_without_a_commit_are_found(project: Path) -> None:
    git = ["git", "-C", str(project), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    # git removes a folder that it leaves empty, and another one in its place would stop the sync.
    (project / "web/c.py").write_text("c")
    async with watched(project, project / "web") as (subject, owner):
        await asyncio.to_thread(subprocess.run, [*git, "switch", "-q", "--orphan", "empty"], check=True)
        await subject.flush(20)
        assert set(owner.tree) == {"c.py"}


async def test_a_repository_that_git_cannot_read_lists_nothing(project: Path) -> None:
    subprocess.run(["git", "-C", str(project), "add", "-A"], check=True)
    async with watched(project, project / "web") as (subject, _):
        assert await asyncio.to_thread(subject.listed) == {"a.py", "b.log"}
        (project / ".git/index").write_bytes(b"no index")
        assert await asyncio.to_thread(subject.listed) == frozenset()


async def test_a_folder_with_the_name_of_a_temporary_file_is_seen_to_go(project: Path) -> None:
    async with watched(project, project / "web") as (subject, owner):
        (project / "web/old~").mkdir()
        await subject.flush(20)
        assert "old~" in owner.tree
        looks = owner.looks
        (project / "web/a.py~").touch()
        (project / "web/a.py~").unlink()
        (project / "web/old~").rmdir()
        await subject.flush(20)
        assert "old~" not in owner.tree
        assert owner.looks == looks + 1
