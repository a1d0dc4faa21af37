"""The window's arithmetic; how it behaves on a link is in test_flow_simulation."""

import pytest

from devloop import errors
from devloop.protocol import window

KIB = 1024


def carry(link: window.LinkWindow, size: int, sent_s: float, reported_s: float, total: int) -> None:
    link.admit(size, False)
    link.handed_over(size, False, sent_s)
    link.reported(total, reported_s)


def test_a_new_window_has_room_for_one_large_frame() -> None:
    link = window.LinkWindow()
    assert link.has_room(256 * KIB, urgent=False)
    link.admit(200 * KIB, False)
    assert not link.has_room(100 * KIB, urgent=False)
    assert link.in_flight_bytes == 200 * KIB


def test_small_things_have_a_window_of_their_own() -> None:
    link = window.LinkWindow()
    link.admit(256 * KIB, False)
    for _ in range(4):
        assert link.has_room(64 * KIB, urgent=True)
        link.admit(64 * KIB, True)
    assert not link.has_room(64 * KIB, urgent=True)


def test_a_frame_may_always_join_what_may_wait_to_be_reported() -> None:
    link = window.LinkWindow()
    link.admit(window.REPORT_BYTES, False)
    assert link.has_room(256 * KIB, urgent=False)


def test_the_window_is_rate_times_round_trip_and_50_ms() -> None:
    link = window.LinkWindow()
    link.round_trip(0.3)
    link.round_trip(0.05)
    link.round_trip(0.2)
    carry(link, 1_000_000, 1.0, 1.1, 1_000_000)
    assert link.rate == pytest.approx(10e6)
    assert link.window_bytes == pytest.approx(10e6 * 0.1, abs=1)


def test_the_window_has_a_largest_size() -> None:
    link = window.LinkWindow()
    carry(link, 1 << 30, 0.0, 0.1, 1 << 30)
    assert link.window_bytes == window.MAX_WINDOW_BYTES


def test_a_pause_is_not_measured() -> None:
    link = window.LinkWindow()
    carry(link, 1_000_000, 0.0, 0.1, 1_000_000)
    carry(link, 1_000_000, 60.0, 60.1, 2_000_000)
    assert link.rate == pytest.approx(10e6)


def test_having_little_to_send_does_not_lower_the_rate() -> None:
    link = window.LinkWindow()
    carry(link, 1_000_000, 0.0, 0.1, 1_000_000)
    carry(link, 1_000, 1.0, 2.0, 1_001_000)
    assert link.rate == pytest.approx(10e6)


def test_a_full_window_lowers_the_rate() -> None:
    link = window.LinkWindow()
    carry(link, 1_000_000, 0.0, 0.1, 1_000_000)
    link.admit(700_000, False)
    assert not link.has_room(700_000, urgent=False)
    link.handed_over(700_000, False, 1.0)
    link.reported(1_700_000, 2.0)
    assert link.rate < 1e6


def test_short_spans_are_gathered() -> None:
    link = window.LinkWindow()
    for step in range(1, 5):
        carry(link, 100_000, step * 1.0, step * 1.0 + 0.006, step * 100_000)
    assert link.rate == pytest.approx(100_000 / 0.006)


def test_time_that_stands_still_is_survived() -> None:
    link = window.LinkWindow()
    carry(link, 100_000, 1.0, 1.0, 100_000)
    assert link.rate == 0.0
    assert link.window_bytes == window.MIN_WINDOW_BYTES


@pytest.mark.parametrize("total", [99, 201])
def test_an_impossible_report_is_the_peers_error(total: int) -> None:
    link = window.LinkWindow()
    carry(link, 100, 0.0, 0.1, 100)
    link.admit(100, False)
    link.handed_over(100, False, 0.2)
    with pytest.raises(errors.RemoteProtocolError):
        link.reported(total, 0.3)
