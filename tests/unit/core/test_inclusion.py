"""Which ignored folders an include pattern leads into, and which pattern decides."""

import pytest

from devloop.core import inclusion, lookup, rules


def made(*patterns: str) -> inclusion.Inclusion:
    listed = rules.parse_lines(patterns, b"", "devloop.yaml: include")
    compiled = [lookup.compile_rule(rule, fold=False, globstar_after_prefix=False) for rule in listed]
    return inclusion.Inclusion(listed, compiled, fold=False)


@pytest.mark.parametrize(
    ("pattern", "into", "not_into"),
    [
        ("dist/**", ["dist", "dist/a", "dist/a/b"], ["a", "a/dist"]),
        ("/dist/js/*.js", ["dist", "dist/js"], ["dist/css", "js", "distx"]),
        ("a/*/c", ["a", "a/b"], ["b", "b/a"]),
        ("a/b[12]/c", ["a", "a/b1"], ["a/b3"]),
        ("**/gen/*.py", ["gen", "x/gen", "x/y/gen"], ["x", "node_modules", "gen/x/y/z"]),
        ("a/**/b", ["a", "a/x", "a/x/y"], ["b"]),
        ("*/gen/x", ["a", "a/gen"], ["a/b"]),
        ("a/[b/c]/d", ["a", "a/b"], ["b"]),
        (".env", [], ["a", ".env"]),
        ("**/.env", [], ["a"]),
        ("**", [], ["a"]),
        ("!dist/**", [], ["dist"]),
    ],
)
def test_a_pattern_leads_where_its_beginning_matches(pattern: str, into: list[str], not_into: list[str]) -> None:
    subject = made(pattern)
    assert [folder for folder in into if not subject.leads_into(folder, lookup.NO_MATCH)] == []
    assert [folder for folder in not_into if subject.leads_into(folder, lookup.NO_MATCH)] == []


def test_a_pattern_that_is_outranked_leads_nowhere() -> None:
    subject = made("dist/**", "!dist/tmp")
    rank = subject.rank("dist/tmp", "tmp", is_folder=True)
    assert subject.rule(rank) is None
    assert not subject.leads_into("dist/tmp", rank)


def test_the_last_pattern_decides_and_folders_only_means_folders() -> None:
    subject = made("a/", "b", "!b")
    assert subject.rule(subject.rank("a", "a", is_folder=False)) is None
    shipped = subject.rule(subject.rank("a", "a", is_folder=True))
    assert shipped is not None and shipped.text == b"a/"
    assert subject.rule(subject.rank("b", "b", is_folder=False)) is None
