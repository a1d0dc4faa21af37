"""What undoes an injection, on its way through a lease's annotation."""

from __future__ import annotations

import pytest

from devloop.podspec import undo

ONE = undo.Restore('{"version": 1}', "before", "after")


def test_it_survives_the_way_through_an_annotation() -> None:
    assert undo.read({undo.RESTORE: ONE.text(), "other": "x"}) == ONE


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "devloop.dev/restore"),
        (7, "devloop.dev/restore"),
        ("{", "devloop.dev/restore"),
        ('{"record": "r"}', "original"),
        (ONE.text().replace('"version":1}', '"version":2}'), "version 2"),
    ],
)
def test_what_it_cannot_undo_is_said(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        undo.read({} if value is None else {undo.RESTORE: value})


def test_the_order_of_keys_is_no_difference() -> None:
    assert undo.digest({"a": 1, "b": [1, 2]}) == undo.digest({"b": [1, 2], "a": 1})
    assert undo.digest({"a": [1, 2]}) != undo.digest({"a": [2, 1]})
    assert undo.digest({"a": None}) != undo.digest({})
