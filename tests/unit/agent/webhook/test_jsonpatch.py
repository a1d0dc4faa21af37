from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.webhook import jsonpatch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.floats(0, 2) | st.text("a/~ö", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a/~ö", max_size=2), inner, max_size=3),
    max_leaves=12,
)


def applied(document: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a patch as RFC 6902 says, written from its text."""
    whole = {"": copy.deepcopy(document)}
    for step in patch:
        keys = ["", *(key.replace("~1", "/").replace("~0", "~") for key in step["path"].split("/")[1:])]
        holder: Any = whole
        for key in keys[:-1]:
            holder = holder[int(key)] if isinstance(holder, list) else holder[key]
        last = keys[-1]
        if isinstance(holder, list):
            if step["op"] == "add":
                holder.insert(len(holder) if last == "-" else int(last), step["value"])
            else:
                assert step["op"] == "replace"
                holder[int(last)] = step["value"]
        elif step["op"] == "remove":
            del holder[last]
        else:
            assert (last in holder) == (step["op"] == "replace")
            holder[last] = step["value"]
    return whole[""]


@given(VALUES, VALUES)
def test_it_makes_the_one_of_the_other(old: Any, new: Any) -> None:
    made = applied(old, list(jsonpatch.diff(old, new)))
    # repr tells 1, 1.0 and True apart; the order of keys means nothing.
    assert made == new and repr(ordered(made)) == repr(ordered(new))


def ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, ordered(inner)) for key, inner in value.items())
    return [ordered(inner) for inner in value] if isinstance(value, list) else value


def test_what_is_added_to_a_list_leaves_the_rest_alone() -> None:
    assert list(jsonpatch.diff({"a": [1, 2]}, {"a": [1, 2, 3]})) == [{"op": "add", "path": "/a/-", "value": 3}]


def test_keys_with_slashes_are_escaped() -> None:
    assert list(jsonpatch.diff({}, {"devloop.dev/a~b": 1})) == [{"op": "add", "path": "/devloop.dev~1a~0b", "value": 1}]
