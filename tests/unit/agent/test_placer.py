"""What becomes of one path, whatever stands there: transitions, drift, times, bits, and folders swapped for links."""

import contextlib
import itertools
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import probe, store
from devloop.core import entry, ops, paths, problem
from devloop.fs import atomic
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things, X

TRANSITIONS: list[tuple[str, Things, Things]] = [
    ("nothing to nothing", {}, {}),
    ("first files", {}, {"a": "1", "b/c": "2", "b/d/e": ""}),
    ("changed", {"a": "1"}, {"a": "2"}),
    ("emptied", {"a": "1"}, {"a": ""}),
    ("deleted", {"a": "1", "b/c/d": "2"}, {}),
    ("file to folder", {"a": "1"}, {"a/x": "2"}),
    ("file to empty folder", {"a": "1"}, {"a": D}),
    ("folder to file", {"a/x": "1", "a/b/y": "2"}, {"a": "3"}),
    ("empty folder to file", {"a": D}, {"a": "1"}),
    ("file to link", {"a": "1"}, {"a": L("b")}),
    ("link to file", {"a": L("b"), "b": "2"}, {"a": "1", "b": "2"}),
    ("link to folder", {"a": L("b"), "b/x": "2"}, {"a/x": "1", "b/x": "2"}),
    ("folder to link", {"a/x": "1", "b/x": "2"}, {"a": L("b"), "b/x": "2"}),
    ("link retargeted", {"a": L("b")}, {"a": L("c/d")}),
    ("link to nowhere", {}, {"x/a": L("../nowhere")}),
    ("swap file and folder", {"a": "1", "b/x": "2"}, {"a/x": "2", "b": "1"}),
    ("deep to shallow", {"a/b/c/d": "1"}, {"a/b": "1"}),
    ("shallow to deep", {"a/b": "1"}, {"a/b/c/d": "1"}),
    ("becomes executable", {"a": "1"}, {"a": X("1")}),
    ("no longer executable", {"a": X("1")}, {"a": "2"}),
    ("names that need care", {}, {"-rf": "1", "a b/c\nd": "2", "caf\udce9": L("caf\udce9"), "…": "3"}),
    ("case only", {"Readme": "1", "Src/a": "2"}, {"README": "1", "src/a": "2"}),
]


@pytest.mark.parametrize(("old", "new"), [case[1:] for case in TRANSITIONS], ids=[case[0] for case in TRANSITIONS])
def test_a_tree_becomes_another(box: Target, old: Things, new: Things) -> None:
    for things in (old, new):
        applied = box.become(things)
        assert (applied.problems, applied.kept, applied.overwritten_drift) == ((), (), ())
        assert box.disk() == target.whole(things)
        assert applied.digests == (box.store.tree.digest,)
        box.assert_agrees()
    assert box.become(new).changed == 0


SEGMENTS = st.sampled_from(["a", "b", "c"])
THINGS = st.one_of(st.sampled_from(["", "1", "22"]), st.builds(X, st.just("1")), st.just(L("a")), st.just(D))


@st.composite
def trees(draw: st.DrawFn) -> Things:
    drawn = draw(st.dictionaries(st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join), THINGS, max_size=6))
    return {
        path: thing
        for path, thing in drawn.items()
        if all(isinstance(drawn.get(folder, D), target.Folder) for folder in paths.ancestors(path))
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.lists(trees(), min_size=1, max_size=4))
def test_any_tree_becomes_any_other(box: Target, steps: list[Things]) -> None:
    for things in steps:
        assert box.become(things).problems == ()
        assert box.disk() == target.whole(things)
        box.assert_agrees()


BLOCKED: list[tuple[str, Things, Things, Things, dict[str, problem.Reason], list[str]]] = [
    (
        "file over a folder with extras",
        {"a/mine": "1"},
        {"a/theirs": "t"},
        {"a": "2", "b": "3"},
        {"a": problem.Reason.IN_THE_WAY},
        ["theirs"],
    ),
    (
        "link over a folder with extras",
        {"a": D},
        {"a/theirs": "t"},
        {"a": L("b"), "b": "3"},
        {"a": problem.Reason.IN_THE_WAY},
        ["theirs"],
    ),
    ("deleted folder that someone replaced", {"a/x": "1"}, {"a/y": "t"}, {"b": "3"}, {}, []),
]


@pytest.mark.parametrize(
    ("old", "extra", "new", "reasons", "named"), [case[1:] for case in BLOCKED], ids=[case[0] for case in BLOCKED]
)
def test_what_devloop_does_not_know_is_kept_and_named(
    box: Target, old: Things, extra: Things, new: Things, reasons: dict[str, problem.Reason], named: list[str]
) -> None:
    box.become(old)
    target.write_disk(box.data, extra)
    applied = box.become(new)
    assert {trouble.path: trouble.reason for _, trouble in applied.problems} == reasons
    for name in named:
        assert name in applied.problems[0][1].detail
    there = box.disk()
    assert {path: there[path] for path in extra} == extra
    assert there["b"] == "3"
    box.assert_agrees()


def test_an_extra_file_keeps_files_out_of_a_folder_of_its_name_unless_that_folder_is_put(box: Target) -> None:
    target.write_disk(box.data, {"a": "theirs", "b": "theirs"})
    fine = target.entry_of("1")
    applied = box.batch(
        ops.put(0, "a/x", fine),
        ops.put(0, "b", entry.folder()),
        ops.put(0, "b/x", fine),
        bodies={"a/x": "1", "b/x": "1"},
    )
    [(_, trouble)] = applied.problems
    assert (trouble.path, trouble.reason) == ("a/x", problem.Reason.IN_THE_WAY)
    assert box.disk() == {"a": "theirs", "b": D, "b/x": "1"}


def test_a_deleted_folder_stays_for_what_is_not_devloops(box: Target) -> None:
    box.become({"a/b/mine": "1", "a/c/mine": "2"})
    target.write_disk(box.data, {"a/b/theirs": "t"})
    applied = box.become({})
    assert applied.problems == ()
    assert [(kept.path, kept.inside, kept.count) for kept in applied.kept] == [
        ("a/b", ("theirs",), 1),
        ("a", ("b",), 1),
    ]
    assert box.disk() == {"a": D, "a/b": D, "a/b/theirs": "t"}
    assert dict(box.store.tree) == {}


def test_a_deletion_takes_only_what_it_lists(box: Target) -> None:
    box.become({"a/x": "1", "a/y": "2"})
    applied = box.batch(ops.delete(0, "a"), ops.delete(0, "a/x"))
    assert [kept.inside for kept in applied.kept] == [("y",)]
    assert box.disk() == {"a": D, "a/y": "2"}


def test_deleting_what_is_not_there_is_no_trouble(box: Target) -> None:
    applied = box.batch(ops.delete(0, "a"), ops.delete(0, "b/c/d"))
    assert (applied.problems, applied.changed) == ((), 0)


def test_a_path_that_git_lists_is_deleted_though_devloop_never_shipped_it(box: Target) -> None:
    target.write_disk(box.data, {"seeded": "1"})
    assert box.batch(ops.delete(0, "seeded")).changed == 1
    assert box.disk() == {}


def test_neither_a_deletion_nor_a_put_goes_through_a_link(box: Target, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    target.write_disk(outside, {"x": "precious", "d/y": "precious"})
    before = target.read_disk(outside)
    target.write_disk(box.data, {"a": L(str(outside))})
    applied = box.batch(
        ops.delete(0, "a/x"),
        ops.delete(0, "a/d"),
        ops.put(0, "a/x2", target.entry_of("new")),
        ops.put(0, "a/sub", entry.folder()),
        ops.put(0, "fine", target.entry_of("new")),
        bodies={"a/x2": "new", "fine": "new"},
    )
    assert {trouble.path: trouble.reason for _, trouble in applied.problems} == {
        "a/x2": problem.Reason.IN_THE_WAY,
        "a/sub": problem.Reason.IN_THE_WAY,
    }
    assert target.read_disk(outside) == before
    assert box.disk() == {"a": L(str(outside)), "fine": "new"}
    assert box.batch(ops.delete(0, "a")).changed == 1
    assert target.read_disk(outside) == before


def test_a_link_that_took_the_place_of_a_shipped_folder_gives_way(box: Target, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    box.become({"a/x": "1"})
    (box.data / "a/x").unlink()
    (box.data / "a").rmdir()
    (box.data / "a").symlink_to(outside)
    applied = box.put({"a/y": "2"})
    assert applied.problems == ()
    assert applied.overwritten_drift == ((0, "a"),)
    assert box.disk() == {"a": D, "a/y": "2"}
    assert list(outside.iterdir()) == []


# ---------------------------------------------------------------- drift


DRIFTS: list[tuple[str, Things, Things, list[str]]] = [
    ("untouched", {}, {"a": "2"}, []),
    ("changed, then replaced", {"a": "t"}, {"a": "2"}, ["a"]),
    ("changed, then deleted", {"a": "t"}, {}, ["a"]),
    ("changed to what comes", {"a": "2"}, {"a": "2"}, ["a"]),
    ("made executable, then replaced", {"a": X("1")}, {"a": "2"}, ["a"]),
]


@pytest.mark.parametrize(("theirs", "new", "told"), [case[1:] for case in DRIFTS], ids=[case[0] for case in DRIFTS])
def test_the_batch_wins_over_someone_elses_change_and_says_so(
    box: Target, theirs: Things, new: Things, told: list[str]
) -> None:
    box.become({"a": "1"})
    target.write_disk(box.data, theirs)
    applied = box.become(new)
    assert applied.overwritten_drift == tuple((0, path) for path in told)
    assert applied.problems == ()
    assert box.disk() == new


def test_a_touched_file_has_not_drifted(box: Target) -> None:
    box.become({"a": "1"})
    os.utime(box.data / "a", ns=(1, 1))
    assert box.become({"a": "2"}).overwritten_drift == ()


def test_what_someone_else_removed_is_put_back_and_told(box: Target) -> None:
    box.become({"a": "1", "b": "1"})
    (box.data / "a").unlink()
    (box.data / "b").unlink()
    applied = box.batch(ops.put(0, "a", target.entry_of("1")), ops.delete(0, "b"), bodies={"a": "1"})
    assert applied.overwritten_drift == ((0, "a"),)
    assert box.disk() == {"a": "1"}
    box.assert_agrees()


def test_a_file_that_is_already_right_is_not_touched(box: Target) -> None:
    box.become({"a": "1"})
    before = (box.data / "a").stat()
    assert box.put({"a": "1"}).changed == 0
    assert (box.data / "a").stat() == before
    box.assert_agrees()


# ---------------------------------------------------------------- times and bits


class Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> int:
        return int(self.now_s * atomic.SECOND_NS)


def second(box: Target, path: str) -> int:
    return (box.data / path).stat().st_mtime_ns // atomic.SECOND_NS


def test_versions_within_one_second_have_different_seconds(tmp_path: Path) -> None:
    clock = Clock(1_900_000_000.5)
    with target.opened(tmp_path, clock) as box:
        seen = []
        for version in range(5):
            box.put({"a": f"{version}"})
            # The first version has nobody to differ from and gets the system's own time.
            if not version:
                os.utime(box.data / "a", (clock.now_s, clock.now_s))
            seen.append(second(box, "a"))
        assert seen == [1_900_000_000 + version for version in range(5)]
        clock.now_s -= 30
        box.put({"a": "x"})
        assert second(box, "a") == seen[-1] + 1


def test_a_deleted_file_is_remembered_when_it_comes_back(tmp_path: Path) -> None:
    clock = Clock(1_900_000_000.5)
    with target.opened(tmp_path, clock) as box:
        box.put({"a": "1"})
        os.utime(box.data / "a", (clock.now_s, clock.now_s))
        assert box.store.verify() == ()
        box.become({})
        box.put({"a": "2"})
        assert second(box, "a") == 1_900_000_001
    with target.opened(tmp_path, clock) as box:
        box.become({})
    with target.opened(tmp_path, clock) as box:
        box.put({"a": "3"})
        assert second(box, "a") == 1_900_000_002


def test_a_new_version_is_as_young_as_its_commit(box: Target) -> None:
    box.become({"a": "1", "built": "x"})
    for name in ("a", "built"):
        os.utime(box.data / name, (1_000_000_000, 1_000_000_000))
    number = box.begin(ops.put(0, "a", target.entry_of("2")), bodies={"a": "2"})
    (box.data / "built").write_text("from the old a")
    box.applier.commit(number)
    assert (box.data / "a").stat().st_mtime_ns >= (box.data / "built").stat().st_mtime_ns


def test_files_get_their_modes_from_the_umask(box: Target) -> None:
    box.become({"a": "1", "d/x": X("1")})
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((box.data / "a").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((box.data / "d/x").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((box.data / "d").stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("support", [probe.ModeSupport.NONE, probe.ModeSupport.BY_OPEN])
def test_a_bit_that_may_not_be_set_counts_as_set(
    box: Target, monkeypatch: pytest.MonkeyPatch, support: probe.ModeSupport
) -> None:
    box.become({"a": "1"})

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    box.root.modes = support
    number = box.begin(ops.put(0, "a", target.entry_of(X("1"))))
    assert box.applier.copy(number, 0, 0, "a")
    applied = box.applier.commit(number)
    assert applied.problems == ()
    assert box.store.tree["a"] == target.entry_of(X("1"))
    assert box.store.rows["a"].mode_ignored
    (box.data / "a").touch()
    assert box.store.verify() == ()
    assert box.disk() == {"a": "1"}


def test_only_the_bit_changes_when_the_content_is_here(box: Target) -> None:
    box.become({"a": "1"})
    before = (box.data / "a").stat()
    number = box.begin(ops.put(0, "a", target.entry_of(X("1"))))
    assert box.applier.copy(number, 0, 0, "a")
    assert box.applier.commit(number).changed == 1
    after = (box.data / "a").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert box.disk() == {"a": X("1")}
    box.assert_agrees()


# ---------------------------------------------------------------- adopt and forget


def test_what_is_there_is_adopted_only_if_it_is_what_was_said(box: Target) -> None:
    target.write_disk(box.data, {"a": "1", "b": "changed", "x": X("1"), "d": D, "l": L("a")})
    said: Things = {"a": "1", "b": "1", "x": X("1"), "d": D, "l": L("a"), "gone": "1", "d/e/f": "1"}
    applied = box.batch(*(ops.adopt(0, path, target.entry_of(thing)) for path, thing in said.items()))
    assert {trouble.path for _, trouble in applied.problems} == {"b", "gone", "d/e/f"}
    assert {trouble.reason for _, trouble in applied.problems} == {problem.Reason.CHANGED_IN_TRANSIT}
    assert set(box.store.tree) == set(box.store.rows) == {"a", "x", "d", "l"}
    assert applied.changed == 0
    box.assert_agrees()


def test_a_forgotten_path_stays_and_is_extra(box: Target) -> None:
    box.become({"a": "1"})
    assert box.batch(ops.forget(0, "a")).changed == 0
    assert box.disk() == {"a": "1"}
    assert box.store.managed("a") is None
    assert dict(box.store.tree) == {}


# ---------------------------------------------------------------- trouble with one path


def test_one_path_without_rights_does_not_stop_the_rest(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def refuse(source: str, to: str, **fds: int) -> None:
        if to == "locked":
            raise PermissionError(13, "Permission denied")
        real(source, to, **fds)

    monkeypatch.setattr(os, "rename", refuse)
    applied = box.put({"a": "1", "d/locked": "2", "e": "3"})
    [(number, trouble)] = applied.problems
    assert (number, trouble.path, trouble.reason, trouble.errno) == (0, "d/locked", problem.Reason.NOT_WRITABLE, 13)
    assert f"uid {os.geteuid()}" in trouble.detail and "mode 0" in trouble.detail
    assert box.disk() == {"a": "1", "d": D, "e": "3"}
    box.assert_agrees()


def test_someone_who_is_there_at_once_is_noticed(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename

    def then_replaced(source: str, to: str, **fds: int) -> None:
        real(source, to, **fds)
        if to == "a":
            (box.data / "theirs").write_text("t")
            real(box.data / "theirs", box.data / "a")

    monkeypatch.setattr(os, "rename", then_replaced)
    box.put({"a": "1"})
    assert box.store.drifted() == (store.Drift("a", target.entry_of("1"), target.entry_of("t")),)
    box.assert_agrees()


def test_a_folder_moved_away_while_it_is_written_is_told(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    box.become({"d/old": "1"})
    real = os.rename

    def then_moved(source: str, to: str, **fds: int) -> None:
        real(source, to, **fds)
        if to == "a":
            real(box.data / "d", box.data / "elsewhere")

    monkeypatch.setattr(os, "rename", then_moved)
    applied = box.put({"d/a": "1", "d/b": "2", "e": "3"})
    assert {(trouble.path, trouble.reason) for _, trouble in applied.problems} == {
        ("d/a", problem.Reason.UNSTABLE),
        ("d/b", problem.Reason.UNSTABLE),
    }
    assert "d/a" not in box.store.tree and "e" in box.store.tree
    box.store.verify()
    box.assert_agrees()


def test_a_target_that_ignores_case_gets_each_name_once(box: Target) -> None:
    box.become({"README": "1", "Src/a": "2"})
    box.root.case_sensitive = False
    applied = box.batch(
        ops.put(0, "readme", target.entry_of("3")),
        ops.put(0, "src/b", target.entry_of("3")),
        ops.put(0, "other", target.entry_of("3")),
        bodies={"readme": "3", "src/b": "3", "other": "3"},
    )
    assert {(trouble.path, trouble.reason) for _, trouble in applied.problems} == {
        ("readme", problem.Reason.COLLISION),
        ("src/b", problem.Reason.COLLISION),
    }
    assert box.disk() == {"README": "1", "Src": D, "Src/a": "2", "other": "3"}
    assert box.become({"readme": "1", "src/a": "2", "other": "3"}).problems == ()
    assert box.disk() == {"readme": "1", "src": D, "src/a": "2", "other": "3"}
    box.assert_agrees()


# ---------------------------------------------------------------- the race

SWAPS = 3000
RACE_S = 2.0


class Swapper(threading.Thread):
    """Turns a folder into a link to outside and back, as fast as it can, until it is told to stop."""

    def __init__(self, data: Path, outside: Path) -> None:
        super().__init__()
        self.folder, self.aside, self.outside = str(data / "a"), str(data / "aside"), str(outside)
        self.swapped = 0
        self.done = threading.Event()

    def run(self) -> None:
        os.mkdir(self.aside)
        for turn in itertools.takewhile(lambda _: not self.done.is_set(), itertools.count()):
            kept = f"{self.aside}/{turn}"
            # Any of these may fail, because the applier makes its own way meanwhile.
            with contextlib.suppress(OSError):
                os.rename(self.folder, kept)
            with contextlib.suppress(OSError):
                os.symlink(self.outside, self.folder)
                self.swapped += 1
            with contextlib.suppress(OSError):
                os.unlink(self.folder)
            with contextlib.suppress(OSError):
                os.rename(kept, self.folder)


def test_a_folder_swapped_for_a_link_never_leads_out(box: Target, tmp_path: Path) -> None:
    """A thread swaps a folder for a link to outside, thousands of times, while batches write and delete in it."""
    outside = tmp_path / "outside"
    target.write_disk(outside, {"x": "precious", "y": "precious", "d/z": "precious"})
    expected = target.read_disk(outside)
    box.become({"a/x": "1", "a/y": "1", "a/d/z": "1"})
    swapper = Swapper(box.data, outside)
    swapper.start()
    until_s = time.monotonic() + RACE_S
    batches = unstable = 0
    try:
        while swapper.is_alive() and (swapper.swapped < SWAPS or time.monotonic() < until_s):
            things: Things = {"a/x": f"{batches}", "a/n/m": f"{batches}"}
            puts = [ops.put(0, path, target.entry_of(thing)) for path, thing in things.items()]
            deletions = [ops.delete(0, path) for path in ("a/y", "a/d/z", "a/d")]
            applied = box.batch(*puts, ops.put(0, "a/l", entry.link(b"x")), *deletions, bodies=things)
            unstable += len(applied.problems)
            batches += 1
    finally:
        swapper.done.set()
        swapper.join()
    assert swapper.swapped >= SWAPS and batches > 100
    assert unstable, "the two never met"
    assert target.read_disk(outside) == expected
    box.store.verify()
    box.assert_agrees()
