"""The manifest says what is there, whatever someone else did, and knows what is devloop's to delete."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import store
from devloop.core import entry
from devloop.fs import atomic
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things, X

SHIPPED: Things = {"a": "1", "d/b": "2", "d/x": X("3"), "l": L("a"), "e": D}

CHANGES: list[tuple[str, Things, list[str]]] = [
    ("nothing", {}, []),
    ("touched", {"a": "1"}, []),
    ("changed", {"a": "2"}, ["a"]),
    ("made executable", {"a": X("1")}, ["a"]),
    ("retargeted", {"l": L("b")}, ["l"]),
    ("a link", {"a": L("d/b")}, ["a"]),
    ("a file for a link", {"l": "1"}, ["l"]),
    ("a file for a folder", {"e": "1"}, ["e"]),
    ("a link for a folder", {"d": L("e")}, ["d", "d/b", "d/x"]),
]


def replace(box: Target, things: Things) -> None:
    for path in things:
        full = box.data / path
        if full.is_dir() and not full.is_symlink():
            for child in full.iterdir():
                child.unlink()
            full.rmdir()
        else:
            full.unlink()
    target.write_disk(box.data, things)


@pytest.mark.parametrize(("change", "drifted"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_is_really_there_is_the_truth(tmp_path: Path, change: Things, drifted: list[str], restarted: bool) -> None:
    with target.opened(tmp_path) as box:
        box.become(SHIPPED)
        before = box.store.tree.digest
        replace(box, change)
        if not restarted:
            found = box.store.verify()
            assert [drift.path for drift in found] == drifted
    with target.opened(tmp_path) as box:
        found = box.store.verify()
        assert [drift.path for drift in found] == drifted
        for drift in found:
            assert drift.was == target.entry_of(target.whole(SHIPPED)[drift.path])
            there = box.disk().get(drift.path)
            assert drift.now == (None if there is None else target.entry_of(there))
        box.assert_agrees()
        assert (box.store.tree.digest == before) == (not drifted)
        assert box.store.drifted() == found
        replace(box, {path: thing for path, thing in SHIPPED.items() if path in change})
        if "d" in change:
            (box.data / "d").unlink()
            target.write_disk(box.data, {"d/b": "2", "d/x": X("3")})
        assert box.store.verify() == ()
        assert box.store.tree.digest == before


def test_what_vanished_stays_devloops_and_what_was_forgotten_does_not(tmp_path: Path) -> None:
    with target.opened(tmp_path) as box:
        box.become({"gone": "1", "drifted": "1", "deleted": "1"})
        (box.data / "gone").unlink()
        (box.data / "drifted").write_text("2")
        box.become({"gone": "1", "drifted": "1"})
        box.store.verify()
    with target.opened(tmp_path) as box:
        assert box.store.managed("gone") is not None
        assert box.store.managed("drifted") is not None
        assert box.store.managed("deleted") is None
        assert box.store.managed("never") is None
        assert set(box.store.tree) == {"drifted"}
        box.store.settle({"gone": None, "drifted": None})
        assert dict(box.store.rows.items() - {}.items()).keys() == {"deleted"}
        assert dict(box.store.tree) == {}


def test_unreadable_and_special_files_are_drift_that_is_written_once(
    box: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.become({"a": "1", "b": "1"})
    (box.data / "a").unlink()
    os.mkfifo(box.data / "a")
    (box.data / "b").write_text("2")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic, "open_regular", refuse)
    expected = tuple(store.Drift(path, target.entry_of("1"), None) for path in ("a", "b"))
    assert box.store.verify() == expected
    rows = dict(box.store.rows)
    assert box.store.verify() == expected
    assert all(box.store.rows[path] is row for path, row in rows.items())
    assert dict(box.store.tree) == {}


def test_only_the_chosen_paths_are_looked_at(box: Target) -> None:
    box.become({"a": "1", "d/b": "1"})
    for name in ("a", "d/b"):
        (box.data / name).write_text("2")
    assert [drift.path for drift in box.store.verify(["d/b", "unknown"])] == ["d/b"]
    assert box.store.rows["a"].state is store.State.CLEAN


def test_unchanged_files_are_not_read_again(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become(SHIPPED)
    (box.data / "a").write_text("2")
    read = []
    real = atomic.entry_at

    def seen(fd: int, name: str, info: os.stat_result) -> entry.Entry | None:
        read.append(name)
        return real(fd, name, info)

    monkeypatch.setattr(atomic, "entry_at", seen)
    box.store.verify()
    box.store.verify()
    assert read == ["a"]


def test_deleted_paths_are_forgotten_when_time_has_settled_them(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_DELETED_KEPT", 10)
    old, young = store.deleted_row(target.entry_of("1"), 1), store.deleted_row(target.entry_of("1"), 2**62)
    box.store.settle({f"f{index}": old for index in range(10)})
    assert len(box.store.rows) == 10
    box.store.settle({"young": young})
    assert set(box.store.rows) == {"young"}
    box.store.settle({"again": old})
    box.store.verify()
    assert set(box.store.rows) == {"young"}


ROWS = st.builds(
    store.Row,
    st.sampled_from([entry.folder(), entry.link(b"x"), entry.file(bytes(32), 3)]),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.integers(0, 2**63),
    st.sampled_from(store.State),
    st.booleans(),
    st.sampled_from([None, entry.folder(), entry.file(bytes(32), 4)]),
)
STEPS = st.lists(st.dictionaries(st.sampled_from(["a", "b/c", "caf\udce9"]), st.none() | ROWS), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(STEPS)
def test_rows_and_tree_are_the_same_after_a_restart(box: Target, steps: list[dict[str, store.Row | None]]) -> None:
    box.store.settle(dict.fromkeys(list(box.store.rows)))
    for changes in steps:
        box.store.settle(changes)
    again = store.Store(box.root)
    again.open()
    assert again.rows == box.store.rows
    assert dict(again.tree) == dict(box.store.tree)
    assert again.tree.digest == box.store.tree.digest
    assert again.drifted() == box.store.drifted()
    again.close()
