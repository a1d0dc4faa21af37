from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import stats

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1)


def test_median_of_an_odd_and_an_even_number() -> None:
    assert stats.median([3.0, 1.0, 2.0]) == 2.0
    assert stats.median([4.0, 1.0, 2.0, 3.0]) == 2.5


@pytest.mark.parametrize(("percent", "expected"), [(50, 100), (95, 190), (100, 200), (0.1, 1)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert stats.percentile([float(each) for each in range(200, 0, -1)], percent) == expected


@given(VALUES, st.floats(0.1, 100))
def test_percentile_leaves_at_least_so_many_below(values: list[float], percent: float) -> None:
    found = stats.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= len(values) * percent - 1e-6


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_refuses_what_is_none(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="no such percentile"):
        stats.percentile(values, percent)


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        stats.median([])
