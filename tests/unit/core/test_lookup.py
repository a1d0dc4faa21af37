"""Rules by hash and by letter give what the rules tried one after another would give."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import lookup, rules, wildmatch

LINES = st.sampled_from(
    [
        "a",
        "b",
        "*",
        "*a",
        "*.a",
        "a*",
        "?b",
        "a/b",
        "/a",
        "a/*",
        "**/a",
        "**/*.a",
        "**/a*",
        "/**/a/b",
        "a/**",
        "[ab]",
        "x/**/y",
    ]
)
PATHS = st.lists(st.sampled_from(["a", "b", "x", "y", "x.a", "ab", "ba"]), min_size=1, max_size=3).map("/".join)


def slow_rank(lines: list[str], path: str) -> int:
    """Return the last line that matches, each tried as a regular expression."""
    name = path.rpartition("/")[2]
    best = lookup.NO_MATCH
    for rank, line in enumerate(lines):
        if "/" in line:
            expression = wildmatch.compile_path(line.removeprefix("/"), "", fold=False, globstar_after_prefix=False)
            found = expression is not None and expression.fullmatch(path)
        else:
            expression = wildmatch.compile_name(line, fold=False)
            found = expression is not None and expression.fullmatch(name)
        best = rank if found else best
    return best


@given(st.lists(LINES, max_size=8), PATHS)
def test_the_last_rule_that_matches_is_found(lines: list[str], path: str) -> None:
    compiled = [
        lookup.compile_rule(rule, fold=False, globstar_after_prefix=False)
        for rule in rules.parse_lines(lines, b"", "f")
    ]
    subject = lookup.Lookup(compiled)
    assert subject.rank(path, path.rpartition("/")[2]) == slow_rank(lines, path)


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("a", lookup.Form.NAME), ("**/a", lookup.Form.NAME), ("*.a", lookup.Form.ENDING),
        ("**/*.a", lookup.Form.ENDING), ("/a", lookup.Form.PATH), ("a/b", lookup.Form.PATH),
        ("a*", lookup.Form.NAME_LIKE), ("a/*", lookup.Form.PATH_LIKE),
    ],
)  # fmt: skip
def test_common_rules_need_no_regular_expression(line: str, form: lookup.Form) -> None:
    (rule,) = rules.parse_lines([line], b"web", "f")
    compiled = lookup.compile_rule(rule, fold=False, globstar_after_prefix=False)
    assert compiled is not None
    assert compiled.form is form
    assert isinstance(compiled.expression, re.Pattern) == (form in {lookup.Form.NAME_LIKE, lookup.Form.PATH_LIKE})


def test_no_rules_match_nothing() -> None:
    assert lookup.Lookup([]).rank("a/b", "b") == lookup.NO_MATCH
    assert lookup.Lookup([None, None]).rank("a", "a") == lookup.NO_MATCH
