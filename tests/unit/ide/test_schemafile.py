from __future__ import annotations

import json

import pytest

from devloop import errors
from devloop.ide import schemafile


def after(before: str | None, schema: dict[str, object], *, force: bool = False) -> str:
    return schemafile.file("s.json", lambda path: before, schema, force=force).after


def test_it_is_replaced_only_where_devloop_wrote_it() -> None:
    first = after(None, {"title": "one"})
    assert json.loads(first)["title"] == "one" and after(first, {"title": "one"}) == first
    assert json.loads(after(first, {"title": "two"}))["title"] == "two"
    mine = first.replace("one", "mine")
    assert after(mine, {"title": "two"}) == mine and after("[]", {"title": "two"}) == "[]"
    assert json.loads(after(mine, {"title": "two"}, force=True))["title"] == "two"
    assert json.loads(after("", {"title": "two"}))["title"] == "two"


def test_a_broken_one_is_told() -> None:
    with pytest.raises(errors.ConfigError):
        after("{", {})
