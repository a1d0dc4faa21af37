"""Texts are read with their places, and what is broken is told with its own."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from devloop import errors
from devloop.ide import jsonc

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


def test_comments_trailing_commas_and_a_byte_order_mark_are_read() -> None:
    assert value_of("\ufeff" + TASKS) == {"version": "2.0.0", "tasks": [{"label": "build", "type": "shell"}]}
    assert value_of('{"url": "http://x/*y*/"}') == {"url": "http://x/*y*/"}
    assert value_of('{"a": 1, "a": 2}') == {"a": 2}
    assert value_of(" // nothing\n") is None and value_of("") is None
    node = jsonc.parse(TASKS, "x")
    assert node is not None and len(node.comments) == 3  # the first stands before it


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{\n  "a": \n}', "x.json:3:1", "a value is missing"),
        ('{\n  "a": 1\n  "b": 2\n}', "x.json:3:3", "a comma or }"),
        ("[1 2]", "x.json:1:4", "a comma or ]"),
        ("{a: 1}", "x.json:1:2", "a key in double quotes"),
        ('{"a" 1}', "x.json:1:6", "a colon"),
        ('{"a": "b\n"}', "x.json:1:7", "does not end"),
        ('{"a": "\\x"}', "x.json:1:7", "not a value"),
        ("{} /* c", "x.json:1:4", "comment does not end"),
        ("{} {}", "x.json:1:4", "behind the end"),
        ("{", "x.json:1:2", "a key"),
        ("[,]", "x.json:1:2", "a value is missing"),
        ("\ufeff?", "x.json:1:1", "not JSON"),
        ("[01]", "x.json:1:2", "not JSON"),
        ("[truest]", "x.json:1:2", "not JSON"),
        ("[" * 200, "x.json:1:102", "too deep"),
        ("[" + "1" * 5000 + "]", "x.json:1:2", "not a value"),
    ],
)
def test_what_is_broken_is_told_with_its_place(text: str, place: str, what: str) -> None:
    with pytest.raises(errors.ConfigError, match=what) as caught:
        jsonc.parse(text, "x.json")
    assert caught.value.location() == place and caught.value.error_code == "DL0360"


@hypothesis.given(st.text(alphabet='{}[]",:/* \n\\a1-', max_size=30))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        jsonc.parse(text, "x")
    except errors.ConfigError as error:
        assert error.line >= 1 and error.column >= 1
