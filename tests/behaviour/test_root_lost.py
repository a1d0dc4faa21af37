"""A `from` that is emptied or gone stops its sync and deletes nothing; it goes on by itself when the folder is back."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.behaviour import oracle, world
from tests.behaviour.conftest import Start

FILES = {f"web/f{number}.py": str(number) for number in range(30)}
SPECS = [oracle.SyncSpec("web", "/app")]


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_that_is_moved_away_and_back(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), FILES)
    assert subject.settle() == "in sync"
    (subject.project / "web").rename(subject.project / "away")
    world.until(lambda: subject.status()["state"] == "stopped", "stopped")
    assert subject.status()["syncs"][0]["stopped"]
    assert subject.flush(1.0) == "stopped"
    assert len(files_in(subject.target / "app")) == 30
    subject.write("away/f0.py", "changed meanwhile")
    (subject.project / "away").rename(subject.project / "web")
    world.until(lambda: subject.flush(1.0) == "in sync", "in sync again")
    assert (subject.target / "app/f0.py").read_text() == "changed meanwhile"
    assert not world.differences(subject, SPECS, oracle.Hasher())


def test_a_folder_that_is_emptied_and_filled_again(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), FILES)
    assert subject.settle() == "in sync"
    for path in (subject.project / "web").iterdir():
        path.unlink()
    world.until(lambda: subject.flush(1.0) == "stopped", "stopped")
    assert len(files_in(subject.target / "app")) == 30
    subject.write("web/f7.py", "back")
    assert subject.settle() == "in sync"
    assert files_in(subject.target / "app") == {"f7.py"}


def test_an_emptied_folder_that_is_approved_is_emptied_in_the_target(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), FILES)
    assert subject.settle() == "in sync"
    shutil.rmtree(subject.project / "web")
    (subject.project / "web").mkdir()
    world.until(lambda: subject.flush(1.0) == "stopped", "stopped")
    assert len(files_in(subject.target / "app")) == 30
    subject.ask("approve")
    assert subject.settle() == "in sync"
    assert not files_in(subject.target / "app")


def test_a_folder_that_is_emptied_while_nobody_watches(start: Start) -> None:
    subject = start(world.config("from: ./web, to: /app"), FILES)
    assert subject.settle() == "in sync"
    subject.stop()
    for path in (subject.project / "web").iterdir():
        path.unlink()
    subject.start()
    world.until(lambda: subject.flush(1.0) in {"stopped", "held"}, "stopped, or held")
    assert len(files_in(subject.target / "app")) == 30
