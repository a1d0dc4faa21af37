"""A kill at any point leaves every file whole, and the next start leaves the old tree or the new one, never both."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devloop.core import entry
from tests.unit.agent import killed, target

HERE = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "tests.unit.agent.killed"]


def run(*args: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    subprocess.run([*COMMAND, *args], cwd=HERE, env=environment, check=True, timeout=50)


def is_whole(folder: Path, scenario: str) -> bool:
    """Every file has a content that was its own at some time, before any recovery."""
    old, new = map(target.whole, killed.SCENARIOS[scenario])
    for path, thing in target.read_disk(folder).items():
        versions = {target.content(old[path])} if path in old else set()
        versions |= {target.content(new[path])} if path in new else set()
        if target.content(thing) not in versions:
            return False
    return True


def outcome(folder: Path, scenario: str) -> str:
    """Recover, check everything, and say which tree it is."""
    old, new = killed.SCENARIOS[scenario]
    assert is_whole(folder / "r/data", scenario)
    with target.opened(folder) as box:
        assert box.store.verify() == ()
        box.assert_agrees()
        there = box.disk()
        assert box.become(new).problems == ()
        assert box.disk() == target.whole(new)
        box.assert_agrees()
    assert there in (target.whole(old), target.whole(new))
    return "new" if there == target.whole(new) else "old"


def outcomes(base: Path, scenario: str) -> list[str]:
    return [outcome(base / f"{index}", scenario) for index in range(len(list(base.iterdir())))]


@pytest.mark.parametrize("how", ["count", "torn"])
@pytest.mark.parametrize("scenario", killed.SCENARIOS)
def test_a_kill_at_every_change_of_the_disk(tmp_path: Path, scenario: str, how: str) -> None:
    run(how, str(tmp_path), scenario)
    found = outcomes(tmp_path, scenario)
    # Nothing is done until the journal has the batch, and all of it from then on: one border, both sides seen.
    assert found == sorted(found, reverse=True)
    assert set(found) == {"old", "new"}
    assert len(found) >= {"first": 15, "edit": 6, "swap": 30}[scenario]


@pytest.mark.parametrize("first", [14, 20, 30, 36])
def test_a_kill_at_every_point_of_the_recovery(tmp_path: Path, first: int) -> None:
    run("again", str(tmp_path), "swap", str(first))
    assert len(set(outcomes(tmp_path, "swap"))) == 1


KILLS = 12


def test_real_kills_at_random_times(tmp_path: Path) -> None:
    """A reader sees whole versions only, and after each restart every file is of the same version."""
    chance = random.Random(1)
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    reads = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [*COMMAND, "loop", str(tmp_path)], cwd=HERE, env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline()
            until_s = time.monotonic() + chance.uniform(0.0, 0.06)
            while time.monotonic() < until_s:
                index = chance.randrange(killed.FILES)
                text = (tmp_path / f"r/data/f{index}").read_text()
                assert text == killed.version(int(text.split()[1]), index)
                reads += 1
            process.kill()
        with target.opened(tmp_path) as box:
            assert box.store.verify() == ()
            box.assert_agrees()
            there = box.disk()
            number = int(str(there["f0"]).split()[1])
            expected = {f"f{index}": killed.version(number, index) for index in range(killed.FILES)}
            expected[f"only{number}/x"] = killed.version(number, killed.FILES)
            assert there == target.whole(expected)
            assert dict(box.store.tree) == {path: target.entry_of(thing) for path, thing in there.items()}
            assert entry.FOLDER in box.store.tree.values()
    assert reads > 100
