"""A batch is in the journal whole or not at all, and is found until it is done."""

from pathlib import Path

import pytest

from agent import journal
from devloop.core import entry, ops
from devloop.fs import recordlog

TREES = ("t1", "t2")
STEPS = [
    journal.Step(ops.Action.PUT, 0, b"a/caf\xe9", entry.file(bytes(32), 3), "staged-1"),
    journal.Step(ops.Action.PUT, 1, b"b", entry.file(bytes(32), 3, executable=True), mode_only=True),
    journal.Step(ops.Action.DELETE, 0, b"c"),
]


def reopened(path: Path) -> journal.Pending | None:
    other = journal.Journal(str(path), ("now", "different"))
    try:
        return other.open()
    finally:
        other.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def subject(path: Path) -> journal.Journal:
    made = journal.Journal(str(path), TREES)
    assert made.open() is None
    return made


def test_what_was_begun_is_found_until_it_is_done(subject: journal.Journal, path: Path) -> None:
    subject.write(7, STEPS)
    assert reopened(path) == journal.Pending(7, TREES, tuple(STEPS))
    assert subject.open() == journal.Pending(7, TREES, tuple(STEPS))
    subject.done(7)
    assert reopened(path) is None
    subject.write(8, [])
    assert reopened(path) == journal.Pending(8, TREES, ())
    subject.close()


def test_ops_come_back(subject: journal.Journal) -> None:
    assert STEPS[0].op() == ops.put(0, "a/caf\udce9", entry.file(bytes(32), 3))
    assert STEPS[2].op() == ops.delete(0, "c")
    assert journal.Step(ops.Action.DELETE, 0, b"../c").op() is None
    subject.close()


def test_a_batch_of_many_parts_is_all_or_nothing(
    subject: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_PART", 2)
    steps = STEPS * 3
    subject.write(7, steps)
    whole = path.read_bytes()
    assert reopened(path) == journal.Pending(7, TREES, tuple(steps))
    subject.done(7)
    subject.close()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert reopened(path) is None


def test_parts_of_a_batch_that_was_cut_off_do_not_mix_with_the_next(
    subject: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_PART", 2)
    subject.write(7, STEPS)
    subject.close()
    cut = path.read_bytes()
    path.write_bytes(cut[:-1])
    other = journal.Journal(str(path), TREES)
    assert other.open() is None
    other.write(7, STEPS[:2])
    assert reopened(path) == journal.Pending(7, TREES, tuple(STEPS[:2]))
    other.close()


def test_it_does_not_grow_for_ever(subject: journal.Journal, path: Path) -> None:
    for number in range(3000):
        subject.write(number, STEPS)
        subject.done(number)
    assert path.stat().st_size < 300_000
    assert reopened(path) is None
    subject.close()


def test_records_of_another_version_are_no_batch(subject: journal.Journal, path: Path) -> None:
    subject.write(7, STEPS)
    subject.close()
    with recordlog.RecordLog(str(path)) as log:
        log.open()
        log.append(b"\xc1 not ours")
    assert reopened(path) is None
