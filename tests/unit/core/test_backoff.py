"""Waiting times grow to a bound, with jitter, and never to nothing."""

from __future__ import annotations

import itertools

from devloop.core import backoff


def test_steps_grow_to_the_longest_and_stay_there() -> None:
    found = list(itertools.islice(backoff.delays(first_s=1.0, longest_s=10.0), 20))
    step_s = 1.0
    for delay_s in found:
        assert step_s / 2 <= delay_s <= step_s
        step_s = min(10.0, step_s * backoff.FACTOR)
    assert step_s == 10.0


def test_the_first_try_comes_soon_and_none_waits_long() -> None:
    found = list(itertools.islice(backoff.delays(), 100))
    assert found[0] <= backoff.FIRST_S
    assert max(found) <= backoff.LONGEST_S


def test_two_laptops_do_not_wait_alike() -> None:
    one, other = (list(itertools.islice(backoff.delays(), 10)) for _ in range(2))
    assert one != other
