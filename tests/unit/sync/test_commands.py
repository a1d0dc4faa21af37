"""What a batch is asked, and what is counted until the service settles."""

from devloop.core import entry, ops
from devloop.sync import commands


def file(size: int) -> entry.Entry:
    return entry.file(bytes(32), size)


def test_a_body_is_found_by_its_path() -> None:
    batch = commands.Batch(16, (ops.delete(0, "a"), ops.put(0, "b", file(3)), ops.put(1, "b", file(0))))
    assert batch.body_index(0, "b") == 1
    assert batch.body_index(1, "b") is None
    assert batch.body_index(0, "a") is None
    assert batch.body_index(0, "x") is None


def test_a_path_counts_once_and_by_what_came_last() -> None:
    tally = commands.Tally()
    tally.begin(5.0)
    tally.begin(3.0)
    tally.begin(4.0)
    for op in (ops.put(0, "a", file(3)), ops.put(0, "a", file(5)), ops.put(0, "b", file(1)), ops.delete(0, "b")):
        tally.acked(op)
    tally.acked(ops.delete(0, "c"))
    tally.acked(ops.put(0, "c", file(2)))
    tally.acked(ops.adopt(0, "d", file(9)))
    tally.acked(ops.forget(0, "e"))
    settled = tally.settle(10.0, first=True, failed=1, skipped=2, held=3)
    assert (settled.files, settled.deletes, settled.total_bytes, settled.elapsed_s) == (2, 1, 7, 7.0)
    assert (settled.first, settled.failed, settled.skipped, settled.held) == (True, 1, 2, 3)


def test_nothing_takes_no_time_and_a_clock_that_goes_back_neither() -> None:
    assert commands.Tally().settle(10.0, first=False, failed=0, skipped=0, held=0).elapsed_s == 0.0
    tally = commands.Tally()
    tally.begin(20.0)
    assert tally.settle(10.0, first=False, failed=0, skipped=0, held=0).elapsed_s == 0.0
