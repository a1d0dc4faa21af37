"""Lines that are JSON, taken apart; all others left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.logs import structured


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"level":"INFO","ts":1750000000.5,"msg":"started","port":80}',
            structured.Taken("2025-06-15T15:06:40.500Z", "info", "started", (("port", "80"),)),
        ),
        (
            '{"level":30,"time":1750000000500,"msg":"hello world","pid":1}',
            structured.Taken("2025-06-15T15:06:40.500Z", "info", "hello world", (("pid", "1"),)),
        ),
        (
            '{"severity":"ERROR","@timestamp":"yesterday","message":"broken","user":"a b","ok":null}',
            structured.Taken("yesterday", "error", "broken", (("user", '"a b"'), ("ok", "null"))),
        ),
        (
            '{"event":"seen","level":"warning","data":{"a":[1,2]},"trace":"one\\ntwo"}',
            structured.Taken("", "warning", "seen", (("data", '{"a":[1,2]}'), ("trace", "one\ntwo"))),
        ),
        ('{"msg":"only","level":35}', structured.Taken("", "35", "only", ())),
        ('{"msg":"t","time":1e300}', structured.Taken("1e+300", "", "t", ())),
        ('{"msg":true,"level":"x"}', structured.Taken("", "x", "", (("msg", "true"),))),
    ],
)
def test_the_shapes_of_common_libraries(line: str, expected: structured.Taken) -> None:
    assert structured.take(line) == expected


@pytest.mark.parametrize(
    "line", ["", "plain text", "{", "{}", '{"a":1}', "[1]", '{"msg":"x"} and more', '{"msg":"x"', "{" * 5000 + "}"]
)
def test_another_shape_is_left_alone(line: str) -> None:
    assert structured.take(line) is None


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(max_size=8).map("x".__add__), VALUES, max_size=6))
def test_no_object_breaks_it_and_nothing_is_dropped(fields: dict[str, object]) -> None:
    taken = structured.take(json.dumps({**fields, "msg": "m"}))
    assert taken is not None and taken.message == "m"
    assert [name for name, _ in taken.fields] == list(fields)
