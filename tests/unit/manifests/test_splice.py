from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.manifests import documents, splice


def changed(text: str, new: Any) -> str:
    (document,) = documents.parse(text, "f")
    made = splice.changed(text, document.node, document.value, new)
    assert [each.value for each in documents.parse(made, "f")] == [new]
    return made


TEXT = """\
# head
a: 1   # one
list:
  # first
  - name: x   # the x
    value: "1"

  - name: y
    gone:
      deep: {}
    # tail of y
block: |
  text

flow: {a: 1}
# end
"""


@pytest.mark.parametrize(
    ("change", "was", "now"),
    [
        ({"a": 2}, "a: 1   # one", "a: 2   # one"),
        ({"flow": {"a": 1, "b": [2]}}, "flow: {a: 1}", 'flow: {"a": 1, "b": [2]}'),
        ({"flow": {}}, "flow: {a: 1}", "flow: {}"),
        ({"flow": None}, "flow: {a: 1}", "flow: null"),
        ({"flow": "22"}, "flow: {a: 1}", "flow: '22'"),
        ({"a": [1, {"b": 2}]}, "a: 1   # one\n", "a:\n- 1\n- b: 2   # one\n"),
        ({"block": "x"}, "block: |\n  text\n", "block: x\n"),
        ({"new": {"k": "v"}}, "flow: {a: 1}\n", "flow: {a: 1}\nnew:\n  k: v\n"),
    ],
)
def test_only_what_differs_is_written(change: dict[str, Any], was: str, now: str) -> None:
    value = yaml.safe_load(TEXT)
    assert changed(TEXT, {**value, **change}) == TEXT.replace(was, now)


def test_items_of_lists_come_and_go_and_change() -> None:
    value = yaml.safe_load(TEXT)
    more = copy.deepcopy(value)
    more["list"].append({"name": "z"})
    assert changed(TEXT, more) == TEXT.replace("      deep: {}\n", "      deep: {}\n  - name: z\n")
    fewer = {**value, "list": value["list"][1:]}
    assert changed(TEXT, fewer) == TEXT.replace('  - name: x   # the x\n    value: "1"\n', "")
    other = copy.deepcopy(value)
    other["list"][0]["value"] = "2"
    del other["list"][1]["gone"]
    expected = TEXT.replace('value: "1"', "value: '2'").replace("    gone:\n      deep: {}\n", "")
    assert changed(TEXT, other) == expected


def test_an_items_first_key_cannot_go_alone() -> None:
    text = "l:\n- first: 1\n  name: x   # lost\n- name: y   # kept\n"
    assert changed(text, {"l": [{"name": "x"}, {"name": "y"}]}) == "l:\n- name: x\n- name: y   # kept\n"


def test_lists_of_lists_and_dashes_on_lines_of_their_own() -> None:
    assert changed("a:\n- - 1\n  - 2\n", {"a": [[1, 3]]})
    assert changed("a:\n-\n  name: x\n-\n  name: y\n", {"a": [{"name": "y"}]}) == "a:\n-\n  name: y\n"


def test_line_ends_are_the_texts_own() -> None:
    assert changed("a: 1\r\nb:\r\n- x\r\n", {"a": 1, "b": ["x", "z"], "c": 2}) == "a: 1\r\nb:\r\n- x\r\n- z\r\nc: 2\r\n"
    assert changed("a:\n- x", {"a": ["x", "z"], "b": 1}) == "a:\n- x\n- z\nb: 1"


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_json_stays_json(indent: int | None) -> None:
    text = json.dumps({"a": [1, {"b": "ü"}]}, indent=indent, ensure_ascii=False) + "\n"
    new = {"a": [1, {"b": "ü", "c": 2}]}
    assert changed(text, new) == json.dumps(new, indent=indent, ensure_ascii=False) + "\n"


def test_keys_that_are_no_text_cost_the_layout_only() -> None:
    (document,) = documents.parse("? [a]\n: 1\nb: 2\n", "f")
    made = splice.changed("? [a]\n: 1\nb: 2\n", document.node, document.value, {"b": 3})
    assert documents.parse(made, "f")[0].value == {"b": 3}


leaves = st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["x", "a b", "1", "l\nm", ""]))
named = st.fixed_dictionaries({"name": st.sampled_from("pqrs")}, optional={"v": leaves})
values = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(st.one_of(named, inner), max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(values, values, st.booleans(), st.sampled_from([2, 4]))
def test_any_change_means_what_it_should(old: Any, new: Any, flow: bool, indent: int) -> None:
    text = "# head\n" + yaml.safe_dump(old, default_flow_style=None if flow else False, indent=indent)
    changed(text, new)
