"""Sleep and set clocks."""

import pytest

from devloop.watch import clocks, events

BEFORE = clocks.Clocks(100.0, 500.0, 1_000_000.0)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (clocks.Clocks(101.0, 501.0, 1_000_001.0), None),
        (clocks.Clocks(400.0, 800.0, 1_000_300.0), None),  # the loop was busy for five minutes
        (clocks.Clocks(101.0, 4_101.0, 1_003_601.0), events.Reason.WAKE),
        (clocks.Clocks(101.0, 501.0, 1_003_601.0), events.Reason.CLOCK),  # a paused virtual machine
        (clocks.Clocks(101.0, 501.0, 900_000.0), events.Reason.CLOCK),  # backwards
        (clocks.Clocks(101.0, 501.0, 1_000_002.5), None),  # a time service's correction
    ],
)
def test_what_a_second_reading_means(after: clocks.Clocks, expected: events.Reason | None) -> None:
    assert clocks.jump(BEFORE, after) is expected


def test_two_readings_in_a_row_mean_nothing() -> None:
    assert clocks.jump(clocks.read(), clocks.read()) is None
