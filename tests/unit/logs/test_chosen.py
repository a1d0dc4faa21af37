"""Which lines are wanted."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.logs import chosen


def test_all_are_where_nothing_is_asked() -> None:
    assert chosen.parse([], []).is_all and chosen.parse([], []).wants("x")


def test_one_of_several_is_enough_and_one_exclusion_too() -> None:
    subject = chosen.parse(["a", "b+"], ["no", "never$"])
    assert not subject.is_all
    assert subject.wants("a") and subject.wants("xbb")
    assert not subject.wants("c") and not subject.wants("a no") and not subject.wants("a never")
    assert subject.wants("a never mind")


@pytest.mark.parametrize("text", ["(", "*", "[a", "a{99999999999}", "(?P<a>x)(?P<a>y)"])
def test_what_is_no_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(errors.UsageError, match="--exclude") as caught:
        chosen.parse(["a"], [text])
    assert caught.value.hint
