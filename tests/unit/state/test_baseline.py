"""The last acknowledged trees survive."""

import os
from pathlib import Path

import pytest

from devloop import errors
from devloop.core import entry, tree
from devloop.state import baseline

A, B = entry.file(bytes(32), 1), entry.file(bytes(32), 2)


def test_updates_survive_a_restart(tmp_path: Path) -> None:
    first = baseline.Baselines(str(tmp_path)).of("web", "./web:/app", "t1")
    assert len(first.load()) == 0
    first.update(tree.TreeDelta({"a": A, "d": entry.folder(), "d/\udcff": B}))
    first.update(tree.TreeDelta({"a": B}, frozenset({"d/\udcff", "a"})))
    first.close()
    again = baseline.Baselines(str(tmp_path)).of("web", "./web:/app", "t1")
    loaded = again.load()
    assert dict(loaded) == {"a": B, "d": entry.folder()}
    assert loaded.digest == tree.Tree(loaded).digest
    again.close()


def test_the_loaded_tree_is_the_callers(tmp_path: Path) -> None:
    subject = baseline.Baselines(str(tmp_path)).of("web", "s", "t1")
    loaded = subject.load()
    loaded.put("a", A)
    subject.close()
    assert len(subject.load()) == 0
    subject.close()


def test_another_service_sync_or_target_has_its_own(tmp_path: Path) -> None:
    keeper = baseline.Baselines(str(tmp_path))
    first = keeper.of("web", "s", "t1")
    first.load()
    first.update(tree.TreeDelta({"a": A}))
    first.close()
    for names in (("web", "s", "t2"), ("web", "s2", "t1"), ("api", "s", "t1"), ("web\0s", "", "t1")):
        other = keeper.of(*names)
        assert len(other.load()) == 0
        other.close()


def test_a_cleared_baseline_is_empty(tmp_path: Path) -> None:
    subject = baseline.Baselines(str(tmp_path)).of("web", "s", "t1")
    subject.load()
    subject.update(tree.TreeDelta({"a": A}))
    subject.clear()
    subject.close()
    assert len(subject.load()) == 0
    subject.close()


def test_targets_that_do_not_come_back_are_forgotten(tmp_path: Path) -> None:
    keeper = baseline.Baselines(str(tmp_path))
    keeper.prune()
    for tree_id, age_s in (("old", baseline.KEEP_S + 10), ("new", 10)):
        one = keeper.of("web", "s", tree_id)
        one.load()
        one.update(tree.TreeDelta({"a": A}))
        one.close()
        file = max((tmp_path / "baselines").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        os.utime(file, (file.stat().st_mtime - age_s,) * 2)
    keeper.prune()
    sizes = []
    for tree_id in ("old", "new"):
        one = keeper.of("web", "s", tree_id)
        sizes.append(len(one.load()))
        one.close()
    assert sizes == [0, 1]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    subject = baseline.Baseline(str(tmp_path / "none" / "x.log"))
    with pytest.raises(errors.LocalError, match="baseline"):
        subject.load()
