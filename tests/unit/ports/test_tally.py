"""The counts of a forward."""

from __future__ import annotations

from devloop.ports import tally


def test_the_last_failure_is_kept_with_its_code() -> None:
    counts = tally.Tally()
    counts.failed("first", "DL0001")
    counts.failed("second")
    assert (counts.error, counts.code) == ("second", "")
