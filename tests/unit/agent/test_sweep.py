"""Going round in slices finds all that someone else did, and nothing else."""

import itertools
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import store, sweep
from devloop.core import entry, ops
from devloop.fs import atomic
from tests.unit.agent import target
from tests.unit.agent.target import D, L, Target, Things, X


def ignored(path: str, is_folder: bool) -> bool:
    name = path.rpartition("/")[2]
    return name.endswith(".tmp") or (is_folder and name == "build")


def pulled(path: str) -> bool:
    return path.startswith("migrations/")


def ticking() -> Callable[[], float]:
    """A clock that goes on by one with every look at it."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


def whole_pass(subject: sweep.Sweep, budget_s: float = 0.0) -> tuple[sweep.SweepReport, int]:
    for steps in itertools.count(1):
        report = subject.step(budget_s)
        if report is not None:
            return report, steps
    raise AssertionError


def report_of(box: Target) -> sweep.SweepReport:
    return whole_pass(sweep.Sweep(box.root, box.store, ignored, pulled, ticking()))[0]


SHIPPED: Things = {"a": "1", "d/b": "2", "d/x": X("3"), "l": L("a"), "e": D, "build/tracked": "4"}


def test_a_target_that_nobody_touched(box: Target) -> None:
    box.become(SHIPPED)
    report = report_of(box)
    assert report == sweep.SweepReport((), (), 0, 0, (), len(target.whole(SHIPPED)))


def test_everything_that_someone_may_do(box: Target) -> None:
    box.become(SHIPPED)
    (box.data / "a").write_text("changed")
    (box.data / "d/b").unlink()
    (box.data / "e").rmdir()
    (box.data / "e").write_text("now a file")
    target.write_disk(
        box.data,
        {
            "new": "1",
            "d/new": X("1"),
            "n/deep/er": "1",
            "link": L("/etc"),
            "build/output": "1",
            "build/sub/o": "1",
            "x.tmp": "1",
        },
    )
    target.write_disk(box.data, {".git/config": "1", "d/.devloop/x": "1", "n/build/x": "1"})
    os.mkfifo(box.data / "fifo")
    report = report_of(box)
    assert [(drift.path, drift.now) for drift in report.drifted] == [
        ("a", target.entry_of("changed")),
        ("d/b", None),
        ("e", target.entry_of("now a file")),
    ]
    assert [drift.was for drift in report.drifted] == [target.entry_of(SHIPPED[path]) for path in ("a", "d/b", "e")]
    assert report.extra == ("d/new", "fifo", "link", "n", "n/deep", "n/deep/er", "new")
    assert report.extra_count == 7
    # build/output, build/sub, x.tmp, .git, d/.devloop and n/build, which count as one each
    assert report.protected_count == 6
    assert report_of(box) == report
    (box.data / "fifo").unlink()
    box.assert_agrees()


def test_a_folder_replaced_by_a_link_is_not_entered(box: Target) -> None:
    box.become({"d/b": "1", "e/f": "1"})
    (box.data / "d/b").unlink()
    (box.data / "d").rmdir()
    (box.data / "d").symlink_to("e")
    report = report_of(box)
    assert [(drift.path, drift.now) for drift in report.drifted] == [("d", entry.link(b"e")), ("d/b", None)]
    assert report.extra == ()


def test_files_to_pull_are_found_new_and_changed(box: Target) -> None:
    box.become({"migrations/1.py": "1", "migrations/2.py": "2", "other": "3"})
    (box.data / "migrations/2.py").write_text("changed")
    (box.data / "other").write_text("changed")
    target.write_disk(
        box.data,
        {"migrations/3.py": "3", "migrations/4.tmp": "4", "migrations/build/5": "5", "migrations/l": L("1.py")},
    )
    (box.data / "migrations/empty").mkdir()
    report = report_of(box)
    assert report.pulls == (
        sweep.Pull("migrations/2.py", target.entry_of("changed")),
        sweep.Pull("migrations/3.py", target.entry_of("3")),
        sweep.Pull("migrations/4.tmp", target.entry_of("4")),
    )
    assert report.protected_count == 2
    box.batch(*(ops.adopt(0, pull.path, pull.entry) for pull in report.pulls))
    assert report_of(box).pulls == ()


def test_files_to_pull_are_read_once(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.write_disk(box.data, {"migrations/1": "1", "migrations/2": "2"})
    read = []
    real = atomic.entry_at

    def seen(fd: int, name: str, info: os.stat_result) -> entry.Entry | None:
        read.append(name)
        return real(fd, name, info)

    monkeypatch.setattr(atomic, "entry_at", seen)
    subject = sweep.Sweep(box.root, box.store, ignored, pulled)
    first, _ = whole_pass(subject, 60.0)
    assert whole_pass(subject, 60.0)[0] == first
    (box.data / "migrations/2").write_text("3")
    assert whole_pass(subject, 60.0)[0].pulls[1].entry == target.entry_of("3")
    assert read == ["1", "2", "2"]


def test_a_slice_is_bounded_and_a_pass_is_the_sum_of_its_slices(box: Target) -> None:
    box.become({f"d{index % 7}/f{index}": "1" for index in range(1000)})
    (box.data / "d3/f3").write_text("2")
    target.write_disk(box.data, {"extra": "1"})
    at_once, steps = whole_pass(sweep.Sweep(box.root, box.store, ignored, clock_s=ticking()), 1e9)
    assert steps == 1
    before = len(os.listdir("/dev/fd"))
    sliced, steps = whole_pass(sweep.Sweep(box.root, box.store, ignored, clock_s=ticking()))
    assert steps > 1000 / sweep._GLANCE
    assert sliced == at_once
    assert len(os.listdir("/dev/fd")) == before


def test_a_large_file_is_read_in_slices(box: Target) -> None:
    box.become({"a": "1"})
    size = 5 * atomic.CHUNK_BYTES + 1
    (box.data / "a").write_bytes(b"x" * size)
    report, steps = whole_pass(sweep.Sweep(box.root, box.store, ignored, clock_s=ticking()))
    assert report.drifted[0].now == target.entry_of("x" * size)
    assert steps > 6


def test_batches_between_slices_are_not_taken_for_drift(box: Target) -> None:
    box.become({f"f{index:03}": "1" for index in range(200)})
    subject = sweep.Sweep(box.root, box.store, ignored, clock_s=ticking())
    for number in itertools.count():
        if subject.step(0.0) is not None:
            break
        things = {f"f{index:03}": f"{number}" for index in range(number % 3, 200, 3)}
        assert box.put(things).overwritten_drift == ()
        box.batch(ops.delete(0, f"f{number:03}"), ops.put(0, f"g{number}", entry.folder()))
    assert whole_pass(subject)[0] == sweep.SweepReport((), (), 0, 0, (), len(box.disk()))
    box.assert_agrees()


def test_a_batch_while_a_large_file_is_read_has_the_last_word(box: Target) -> None:
    box.become({"a": "1"})
    (box.data / "a").write_bytes(b"x" * (4 * atomic.CHUNK_BYTES))
    subject = sweep.Sweep(box.root, box.store, ignored, clock_s=ticking())
    for _ in range(3):
        assert subject.step(0.0) is None
    assert box.put({"a": "2"}).overwritten_drift == ((0, "a"),)
    assert whole_pass(subject)[0].drifted == ()
    box.assert_agrees()


def test_a_pass_can_be_given_up(box: Target) -> None:
    box.become({f"f{index:03}": "1" for index in range(200)})
    before = len(os.listdir("/dev/fd"))
    subject = sweep.Sweep(box.root, box.store, ignored, clock_s=ticking())
    for _ in range(4):
        assert subject.step(0.0) is None
    subject.restart()
    assert len(os.listdir("/dev/fd")) == before
    assert whole_pass(subject)[0].scanned == 200


def test_extra_paths_beyond_a_number_are_only_counted(box: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "MAX_LISTED", 3)
    target.write_disk(box.data, {f"f{index}": "1" for index in range(5)})
    report = report_of(box)
    assert (len(report.extra), report.extra_count) == (3, 5)


@given(st.floats(0, 10), st.floats(0.0001, 1.0))
def test_the_pause_keeps_the_share(spent_s: float, share: float) -> None:
    pause_s = sweep.pause_after(spent_s, share, at_most_s=1e9)
    assert pause_s >= 0
    assert spent_s <= share * (spent_s + pause_s) * 1.000001
    assert sweep.pause_after(spent_s, share, at_most_s=1.0) <= 1.0


def test_a_store_keeps_what_a_sweep_found(box: Target) -> None:
    box.become({"a": "1"})
    (box.data / "a").write_text("2")
    report_of(box)
    assert box.store.rows["a"].state is store.State.DRIFTED
    assert box.store.tree["a"] == target.entry_of("2")
