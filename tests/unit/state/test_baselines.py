"""Every tree has a baseline of its own, and those of trees that do not come back make room."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devloop.core import entry, tree
from devloop.state import baselines

A = entry.file(bytes(32), 1)
B = entry.file(b"\1" * 32, 2)


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[baselines.Baselines]:
    made = baselines.Baselines(str(tmp_path))
    yield made
    made.close()


def test_trees_and_syncs_do_not_overwrite_each_other(subject: baselines.Baselines) -> None:
    for root, tree_id in ((0, "one"), (0, "two"), (1, "one")):
        subject.reset(root, tree_id, tree.Tree({f"{root}-{tree_id}": A}))
    subject.update(0, "one", tree.TreeDelta({"b": B}))
    assert dict(subject.load(0, "one")) == {"0-one": A, "b": B}
    assert dict(subject.load(0, "two")) == {"0-two": A}
    assert dict(subject.load(1, "one")) == {"1-one": A}
    assert dict(subject.load(1, "two")) == {}


def test_they_are_there_after_a_restart(subject: baselines.Baselines, tmp_path: Path) -> None:
    subject.reset(0, "one", tree.Tree({"a": A}))
    subject.close()
    again = baselines.Baselines(str(tmp_path))
    assert dict(again.load(0, "one")) == {"a": A}
    again.close()
    # Closed is not gone.
    assert dict(again.load(0, "one")) == {"a": A}
    again.close()


@pytest.mark.parametrize("tree_id", ["../../etc", "", "x" * 5000, "caf\udce9", "a/b\0"])
def test_a_tree_may_be_called_anything(subject: baselines.Baselines, tmp_path: Path, tree_id: str) -> None:
    subject.reset(0, tree_id, tree.Tree({"a": A}))
    assert dict(subject.load(0, tree_id)) == {"a": A}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_oldest_that_nobody_uses_make_room(tmp_path: Path) -> None:
    for number in range(baselines.KEPT + 2):
        made = baselines.Baselines(str(tmp_path))
        made.reset(0, str(number), tree.Tree({"a": A}))
        made.close()
        (newest,) = set(tmp_path.glob("baseline-*")) - {
            path for path in tmp_path.iterdir() if path.stat().st_mtime < 1e6
        }
        os.utime(newest, (number, number))
    (tmp_path / "cache-0").touch()
    subject = baselines.Baselines(str(tmp_path))
    subject.reset(0, "new", tree.Tree({"b": B}))
    subject.reset(0, "newer", tree.Tree({"b": B}))
    held = [number for number in range(baselines.KEPT + 2) if subject.load(0, str(number))]
    assert held == list(range(2, baselines.KEPT + 2))
    assert dict(subject.load(0, "new")) == {"b": B}
    assert (tmp_path / "cache-0").exists()
    subject.close()


def test_no_more_than_so_many_are_open(
    subject: baselines.Baselines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(baselines, "MAX_OPEN", 3)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(8):
        subject.reset(0, str(number), tree.Tree({"a": A}))
        subject.update(0, "0", tree.TreeDelta({f"b{number}": B}))
    if before:
        assert len(os.listdir("/proc/self/fd")) - before <= 3
    # What is used all the time stays; what was closed is read again.
    assert len(subject.load(0, "0")) == 9
    assert dict(subject.load(0, "5")) == {"a": A}


def test_a_disk_that_refuses_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    subject = baselines.Baselines(str(tmp_path / "file"))
    subject.reset(0, "one", tree.Tree({"a": A}))
    assert dict(subject.load(0, "one")) == {}
