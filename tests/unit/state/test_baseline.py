"""A baseline is what the agent acked last, or nothing; never trouble."""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry, tree
from devloop.fs import table
from devloop.state import baseline

A = entry.file(bytes(32), 1)
B = entry.file(b"\1" * 32, 2, executable=True)
PATHS = st.sampled_from(["a", "b/c", "caf\udce9", "d"])
DELTAS = st.builds(
    tree.TreeDelta, st.dictionaries(PATHS, st.sampled_from([A, B, entry.folder()])), st.frozensets(PATHS)
)


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[baseline.Baseline]:
    made = baseline.Baseline(str(tmp_path / "web" / "baseline.log"))
    yield made
    made.close()


def again(tmp_path: Path) -> tree.Tree:
    fresh = baseline.Baseline(str(tmp_path / "web" / "baseline.log"))
    try:
        return fresh.load("t1")
    finally:
        fresh.close()


def refuse(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_nothing_is_stored_at_first(subject: baseline.Baseline) -> None:
    assert dict(subject.load("t1")) == {}


def test_what_was_acked_is_there_after_a_restart(subject: baseline.Baseline, tmp_path: Path) -> None:
    subject.reset("t1", tree.Tree({"a": A, "gone": A}))
    subject.update(tree.TreeDelta({"b": B}, frozenset({"gone"})))
    subject.close()
    found = again(tmp_path)
    assert dict(found) == {"a": A, "b": B}
    assert found.digest == tree.Tree({"a": A, "b": B}).digest


def test_another_tree_has_none(subject: baseline.Baseline) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    assert dict(subject.load("t2")) == {}
    subject.reset("t2", tree.Tree({"b": B}))
    assert dict(subject.load("t1")) == {}
    assert dict(subject.load("t2")) == {"b": B}


def test_updates_before_the_first_reset_are_ignored(subject: baseline.Baseline, tmp_path: Path) -> None:
    subject.update(tree.TreeDelta({"a": A}))
    assert not subject.trouble
    subject.reset("t1", tree.Tree())
    assert dict(again(tmp_path)) == {}


def test_updates_go_on_after_a_restart(subject: baseline.Baseline, tmp_path: Path) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    subject.close()
    subject.update(tree.TreeDelta({"b": B}))
    assert dict(again(tmp_path)) == {"a": A, "b": B}


def test_what_was_loaded_is_the_callers(subject: baseline.Baseline) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    subject.load("t1").put("b", B)
    assert dict(subject.load("t1")) == {"a": A}


@given(st.lists(DELTAS, max_size=6))
def test_it_follows_every_delta(deltas: list[tree.TreeDelta]) -> None:
    import tempfile

    model = tree.Tree({"a": A})
    with tempfile.TemporaryDirectory() as folder:
        subject = baseline.Baseline(os.path.join(folder, "baseline.log"))
        subject.reset("t1", model)
        for delta in deltas:
            subject.update(delta)
            model.apply(delta)
        subject.close()
        found = subject.load("t1")
        subject.close()
    assert dict(found) == dict(model)
    assert found.digest == model.digest


def test_a_path_that_is_both_gone_and_put_is_there(subject: baseline.Baseline) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    subject.update(tree.TreeDelta({"a": B}, frozenset({"a"})))
    assert dict(subject.load("t1")) == {"a": B}


@pytest.mark.parametrize("damage", [b"", b"garbage", b"devlooplog1\n" + b"\xff" * 40])
def test_a_damaged_file_is_nothing_stored(subject: baseline.Baseline, tmp_path: Path, damage: bytes) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    subject.close()
    (tmp_path / "web" / "baseline.log").write_bytes(damage)
    assert dict(subject.load("t1")) == {}
    subject.reset("t1", tree.Tree({"b": B}))
    assert dict(again(tmp_path)) == {"b": B}


def test_a_reset_that_was_cut_short_is_nothing_stored(subject: baseline.Baseline, tmp_path: Path) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    subject.close()
    file = tmp_path / "web" / "baseline.log"
    os.truncate(file, file.stat().st_size - 1)
    assert dict(subject.load("t1")) == {}


def test_a_full_disk_makes_it_unusable_and_a_later_reset_usable(
    subject: baseline.Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.reset("t1", tree.Tree({"a": A}))
    with monkeypatch.context() as full:
        full.setattr(table.Table, "update", refuse)
        subject.update(tree.TreeDelta({"b": B}))
        assert "No space" in subject.trouble
        assert dict(subject.load("t1")) == {}
        subject.reset("t1", tree.Tree({"a": A}))
        assert subject.trouble
    subject.update(tree.TreeDelta({"b": B}))
    assert dict(again(tmp_path)) == {}
    subject.reset("t1", tree.Tree({"b": B}))
    assert not subject.trouble
    assert dict(again(tmp_path)) == {"b": B}


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    subject = baseline.Baseline(str(tmp_path / "file" / "baseline.log"))
    assert dict(subject.load("t1")) == {}
    subject.update(tree.TreeDelta({"a": A}))
    subject.reset("t1", tree.Tree({"a": A}))
    assert subject.trouble
    assert dict(subject.load("t1")) == {}


def test_loads_and_updates_may_come_from_different_threads(subject: baseline.Baseline) -> None:
    subject.reset("t1", tree.Tree())

    def work(number: int) -> None:
        for step in range(30):
            subject.update(tree.TreeDelta({f"{number}/{step}": A}))
            found = subject.load("t1")
            assert found.get(f"{number}/{step}") == A

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(subject.load("t1")) == 120
