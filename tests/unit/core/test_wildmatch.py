"""Patterns as regular expressions, compared with git where it matters byte by byte."""

import os
from pathlib import Path

import pytest

from devloop.core import matcher, rules, wildmatch
from tests.unit.core import gitcases

CLASSES = [
    *(f"[[:{name}:]]" for name in wildmatch.CLASSES),
    *(f"[![:{name}:]]" for name in wildmatch.CLASSES),
    "?", "*", "[a-z]", "[A-Z]", "[!A-Z]", "[Z-a]", "[A]", "[a]", "[!A]", "\\A", "\\a", "[\\A]", "[[:alpha:]-z]",
    "[]-a]", "[--0]", "[+--]", "[\\]]", "[!]]", "[^^]", "[a^]", "[[:digit:][:upper:]x]", "[[:upper:]-a]", "[[:]",
    "[[:a]", "[\\[-\\]]", "[ -~]",
]  # fmt: skip


@pytest.mark.parametrize("ignorecase", [False, True])
def test_every_byte_is_in_the_classes_that_git_puts_it_in(ignorecase: bool, tmp_path: Path) -> None:
    patterns = [raw.encode("latin-1") for raw in CLASSES] + [b"[\xe0-\xef]", b"[!\xe9]", b"\xc3?", b"[\xc3\xa9]"]
    bench = gitcases.Bench(tmp_path, 0)
    groups: list[rules.Group] = []
    asked: list[bytes] = []
    for number, pattern in enumerate(patterns):
        folder = b"f%d" % number
        os.makedirs(os.path.join(bench.root, folder))
        groups += bench.write(rules.Layer.GITIGNORE, folder, folder + b"/.gitignore", pattern + b"\n")
        asked += [folder + b"/" + bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
        asked += [folder + b"/" + name for name in ("é".encode(), "ê".encode(), b"aa")]
    subject = matcher.Matcher(rules.RuleSet(tuple(groups), ignorecase=ignorecase))
    wrong = [
        (path, pattern)
        for source, _, pattern, path in bench.ask(asked, ignorecase=ignorecase)
        if subject.verdict(os.fsdecode(path), False).ignored != bool(source)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[!", "[]", "[a\\", "a\\", "[[:nope:]]", "[[:alpha:]", "*[", "a[/", "[[::]]"]
)
def test_a_pattern_without_its_end_matches_nothing(pattern: str) -> None:
    assert wildmatch.compile_name(pattern, fold=False) is None
    assert wildmatch.compile_path("x/" + pattern, "", fold=False, globstar_after_prefix=False) is None


def test_two_stars_behind_a_name_are_read_as_the_installed_git_reads_them() -> None:
    old = wildmatch.compile_path("foo**/bar", "", fold=False, globstar_after_prefix=True)
    new = wildmatch.compile_path("foo**/bar", "", fold=False, globstar_after_prefix=False)
    assert old is not None and new is not None
    assert old.fullmatch("foobar") and old.fullmatch("foo/x/bar")
    assert not new.fullmatch("foobar") and not new.fullmatch("foo/x/bar")
    assert old.fullmatch("foox/bar") and new.fullmatch("foox/bar") and new.fullmatch("foo/bar")


def test_a_text_has_one_character_for_each_byte() -> None:
    assert wildmatch.text("aB", fold=False) == "aB"
    assert wildmatch.text("aB", fold=True) == "ab"
    assert wildmatch.text("Ä\udce9", fold=True) == "\xc3\x84\xe9"


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 40 + "b", "a" * 250),
        ("**/*a" * 30 + "b", "/".join(["aa"] * 120)),
        ("**/a" * 60 + "/b", "/".join(["a"] * 120)),
        ("*/" * 60 + "b", "/".join(["a"] * 120)),
        ("[ab]*" * 40 + "c", "ab" * 120),
        ("a*/**/" * 40 + "b", "/".join(["a"] * 120)),
    ],
)
def test_a_hostile_pattern_costs_no_more_than_its_length_deserves(pattern: str, path: str) -> None:
    expression = wildmatch.compile_path(pattern, "", fold=False, globstar_after_prefix=False)
    assert expression is not None
    # with plain backtracking each of these outlives the test's time limit by far
    assert not expression.fullmatch(path)
