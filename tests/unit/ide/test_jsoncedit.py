"""Texts are changed in one place, and mean then what the same change of their values means."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from devloop import errors
from devloop.ide import jsonc, jsoncedit

TASKS = """\
// tasks of the team
{
    "version": "2.0.0", // the only one
    "tasks": [
        {
            "label": "build", /* quick */
            "type": "shell",
        },
        // { "label": "off" }
    ],
}
"""


def value_of(text: str) -> Any:
    node = jsonc.parse(text, "x.json")
    return None if node is None else node.value


def test_an_item_is_added_in_the_style_of_the_others() -> None:
    text = jsoncedit.put_item(TASKS, "x", ["tasks"], {"label": "new"}, note="mark")
    assert text == TASKS.replace(
        '        // { "label": "off" }\n',
        '        // { "label": "off" }\n        {\n            // mark\n            "label": "new"\n        },\n',
    )


def test_a_comma_goes_before_the_comment_of_the_last_entry() -> None:
    assert jsoncedit.put('{\n\t"a": 1 // one\n}\n', "x", ["b"], 2) == '{\n\t"a": 1, // one\n\t"b": 2\n}\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ("{ }", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ("", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ("// mine", '// mine\n{\n  "a": {\n    "b": 1\n  }\n}\n'),
        ('{"a": {}}', '{"a": {\n  "b": 1\n}}'),
        ('{"c": 0}', '{"c": 0,\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\r\n  "c": 0\r\n}', '{\r\n  "c": 0,\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}'),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ('{"a": {"b": true}}', '{"a": {"b": 1}}'),
        ('{"a": {"b": 1, "b": 2}}', '{"a": {"b": 1, "b": 1}}'),
    ],
)
def test_a_member_is_set(before: str, after: str) -> None:
    assert jsoncedit.put(before, "x", ["a", "b"], 1) == after


def test_a_place_that_is_no_object_or_list_is_refused() -> None:
    with pytest.raises(errors.ConfigError, match="a is not an object"):
        jsoncedit.put('{"a": 1}', "x", ["a", "b"], 1)
    with pytest.raises(errors.ConfigError, match="the file is not an object"):
        jsoncedit.put("[]", "x", ["a"], 1)
    with pytest.raises(errors.ConfigError, match="tasks is not a list"):
        jsoncedit.put_item('{"tasks": {}}', "x", ["tasks"], 1)


# ---- any text -------------------------------------------------------------------------------------------------------

_keys = st.sampled_from(["a", "b", "tasks", "été", "//", "/*", ""])
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _keys)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)
_trivia = st.lists(
    st.sampled_from([" ", "\n", "\r\n", "\t", "// c\n", "//\r\n", "/* d */", "/*\n*/", "  "]), max_size=2
).map("".join)


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> str:
    """Return a text of JSONC with trivia everywhere."""

    ascii_only = draw(st.booleans())

    def write(value: Any) -> str:
        if isinstance(value, dict):
            parts = [f"{gap()}{json.dumps(key)}{gap()}:{gap()}{write(each)}{gap()}" for key, each in value.items()]
            return "{" + joined(parts) + "}"
        if isinstance(value, list):
            return "[" + joined([gap() + write(each) + gap() for each in value]) + "]"
        return json.dumps(value, ensure_ascii=ascii_only)

    def gap() -> str:
        return draw(_trivia)

    def joined(parts: list[str]) -> str:
        trailing = draw(st.booleans())
        end = "," if parts and trailing else ""
        return ",".join(parts) + end + gap()

    return draw(st.sampled_from(["", "\ufeff"])) + gap() + write(draw(values)) + gap()


def comments(text: str) -> list[str]:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    return re.findall(r"//[^\r\n]*|/\*.*?\*/", bare, re.DOTALL)


def keeps(before: str, after: str) -> bool:
    """Say whether `after` is `before` with only insertions, spaces of empty brackets and commas apart."""
    rest = iter(re.sub(r"\s", "", after))
    return all(character in rest for character in re.sub(r"\s", "", before))


@hypothesis.given(texts(st.dictionaries(_keys, _values, max_size=3)), _keys, _values)
def test_setting_a_member_means_the_same_in_text_and_value(text: str, key: str, value: Any) -> None:
    wanted = copy.deepcopy(value_of(text))
    missing = key not in wanted
    wanted[key] = value
    after = jsoncedit.put(text, "x", [key], value)
    assert json.dumps(value_of(after), sort_keys=True) == json.dumps(wanted, sort_keys=True)
    assert jsoncedit.put(after, "x", [key], value) == after
    if missing:
        assert keeps(text, after) and comments(text) == comments(after)


@hypothesis.given(texts(st.lists(_values, max_size=3).map(lambda items: {"tasks": items})), _values)
def test_adding_an_item_means_the_same_in_text_and_value(text: str, value: Any) -> None:
    after = jsoncedit.put_item(text, "x", ["tasks"], value)
    wanted = [*value_of(text)["tasks"], value]
    assert json.dumps(value_of(after)["tasks"]) == json.dumps(wanted)
    assert keeps(text, after) and comments(text) == comments(after)


@hypothesis.given(
    texts(st.lists(_values, min_size=1, max_size=3).map(lambda items: {"tasks": items})), _values, st.data()
)
def test_replacing_an_item_touches_nothing_else(text: str, value: Any, data: st.DataObject) -> None:
    root = jsonc.parse(text, "x")
    assert root is not None
    items = root.children[0].node.children
    index = data.draw(st.integers(0, len(items) - 1))
    after = jsoncedit.put_item(text, "x", ["tasks"], value, index=index)
    old = items[index].node
    assert after.startswith(text[: old.start]) and after.endswith(text[old.end :])
    wanted = list(root.value["tasks"])
    wanted[index] = value
    assert json.dumps(value_of(after)["tasks"]) == json.dumps(wanted)


@hypothesis.given(st.text(alphabet='{}[]",:/* \n\\a1-', max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        node = jsonc.parse(text, "x")
    except errors.ConfigError as error:
        assert error.line >= 1 and error.column >= 1
        return
    if node is not None and isinstance(node.value, dict):
        assert value_of(jsoncedit.put(text, "x", ["zz"], [1])) == {**node.value, "zz": [1]}
