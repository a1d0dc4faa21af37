from __future__ import annotations

import pytest

from devloop import errors
from devloop.manifests import documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 22:22", {"a": "22:22"}),
        ("a: 0644", {"a": 420}),
        ("a: yes", {"a": True}),
        ("a: 'yes'", {"a": "yes"}),
        ("a: 1.5", {"a": 1.5}),
        ("a:", {"a": None}),
        ("80: x", {"80": "x"}),
        ("a: !mine x", {"a": "x"}),
        ("a: !!int x", {"a": "x"}),
        ("a: !!binary aGk=", {"a": "aGk="}),
        ("b: &x {c: 1, d: 2}\na: {<<: *x, c: 3}", {"b": {"c": 1, "d": 2}, "a": {"c": 3, "d": 2}}),
        ("b: &x {c: 1}\na: {<<: [*x]}", {"b": {"c": 1}, "a": {"c": 1}}),
        ('{"a": [1, null, true]}', {"a": [1, None, True]}),
    ],
)
def test_values_are_what_kubernetes_takes_them_for(text: str, value: object) -> None:
    (document,) = documents.parse(text, "f")
    assert document.value == value
    assert document.has_aliases is ("*" in text)


def test_a_stream_of_documents() -> None:
    assert [each.value for each in documents.parse("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n", "f")] == [
        {"a": 1},
        None,
        {"b": 2},
    ]
    assert documents.parse("", "f") == documents.parse("# only\n", "f") == []


@pytest.mark.parametrize(
    ("text", "line", "hint"), [("a: [1\nb: 2\n", 2, ""), ("a: 1\nb: {{ .Values.x }}: {\n", 2, "helm template")]
)
def test_what_is_no_yaml_is_told_with_its_place(text: str, line: int, hint: str) -> None:
    with pytest.raises(errors.ConfigError) as raised:
        documents.parse(text, "m.yaml")
    assert (raised.value.file, raised.value.line, raised.value.error_code) == ("m.yaml", line, "DL0810")
    assert hint in raised.value.hint


def test_a_control_character_is_told() -> None:
    with pytest.raises(errors.ConfigError, match="not valid YAML"):
        documents.parse("a: \x01", "f")


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 10)}]" for at in range(1, 12)]
    with pytest.raises(errors.ConfigError, match="too much"):
        documents.parse("\n".join(lines), "f")


def test_places() -> None:
    (document,) = documents.parse("a:\n  - b: 1\n    c: 2\n", "f")
    assert documents.place_of(documents.find(document.node, ("a", 0, "c"))) == (3, 8)
    assert documents.place_of(documents.find(document.node, ("a", 0, "x", "y"))) == (2, 5)
    assert documents.place_of(documents.find(document.node, ("a", 7))) == (2, 3)
