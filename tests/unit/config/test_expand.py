from __future__ import annotations

import pytest

from devloop.config import expand, nodes

ENVIRON = {"A": "one", "EMPTY": ""}


def result(text: str) -> tuple[object, list[str]]:
    root = nodes.Node(nodes.Place("f", 3, 7), text)
    expanded, found = expand.expand(root, ENVIRON)
    return expanded.value, [f"{error.location()}: {error}" for error in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("x${A}y${A}", "xoneyone"),
        ("${EMPTY}", ""),
        ("${B:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${A:-two}", "one"),
        ("${B:-}", ""),
        ("${B:-a b:c$}", "a b:c$"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$one"),
        ("$A", "$A"),
        ("a$", "a$"),
        ("$(ls)", "$(ls)"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert result(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${B}", "the variable B is not set"),
        ("${}", "'${}' is not a variable"),
        ("${1A}", "'${1A}' is not a variable"),
        ("${A:?no}", "'${A:?no}' is not a variable"),
        ("${A%x}", "'${A%x}' is not a variable"),
        ("${A", "'${' without '}'"),
        ("${B:-${A}}", "'${B:-${A}' is not a variable"),
    ],
)
def test_what_cannot_be_replaced_keeps_its_text_and_is_told(text: str, message: str) -> None:
    assert result(text) == (text, [f"f:3:7: {message}"])


def test_keys_and_nothing_are_left_alone() -> None:
    root = nodes.parse("${A}: ~\nx: ['${A}', {y: '${A}'}]", "f")
    expanded, found = expand.expand(root, ENVIRON)
    assert nodes.plain(expanded) == {"${A}": None, "x": ["one", {"y": "one"}]}
    assert found == []
    assert nodes.find(expanded, ("x", 1, "y")) == ("f", 2, 17)
