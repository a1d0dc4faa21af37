"""Quantities in the units of a divisor, as a container gets them."""

from __future__ import annotations

import pytest

from devloop.shell import quantity


@pytest.mark.parametrize(
    ("text", "divisor", "expected"),
    [
        ("250m", "", "1"), ("250m", "1m", "250"), ("1500m", "1", "2"), ("2", "", "2"), ("0", "", "0"),
        ("64Mi", "", "67108864"), ("64Mi", "1Mi", "64"), ("64Mi", "1M", "68"), ("1Gi", "1Mi", "1024"),
        ("1e3", "", "1000"), ("0.5", "1m", "500"), ("128974848", "1Ki", "125952"), ("1E", "1P", "1000"),
        (".5G", "0", "500000000"),
    ],
)  # fmt: skip
def test_they_are_rounded_up(text: str, divisor: str, expected: str) -> None:
    assert quantity.divided(text, divisor) == expected


@pytest.mark.parametrize("text", ["", "x", "1Q", "1ki", "1 Mi", "--1", "1mi"])
def test_what_is_none_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity.parse(text)
