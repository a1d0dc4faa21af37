from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop.manifests import documents, dump

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text("ab: #'\"-\n{}[],&*!|>%@`1e0xyn\t ", max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    for text in (dump.block(value), dump.flow(value)):
        assert [each.value for each in documents.parse(text, "f")] == [value]


@pytest.mark.parametrize(
    "text", ["1e3", "0o17", "12", "1_000", "y", "N", "0x1F", ".5", "-1", "2020-01-01", "on", "~", "="]
)
def test_text_that_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert dump.inline(text) == f"'{text}'"


@pytest.mark.parametrize("text", ["10m", "512Mi", "app.py", "/app", "--port", "$(PORT)"])
def test_other_text_is_not(text: str) -> None:
    assert dump.inline(text) == text


def test_lines_become_a_block() -> None:
    assert dump.block({"a": "one\ntwo"}) == "a: |-\n  one\n  two\n"


def test_nothing_is_wrapped_or_shared() -> None:
    shared = {"k": "word " * 100}
    made = dump.block([shared, shared])
    assert len(made.splitlines()) == 2 and "*" not in made
    assert yaml.safe_load(made) == [shared, shared]
