"""The matcher, compared with git itself."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import matcher, rules
from tests.unit.core import gitcases

SEED = int(os.environ.get("DEVLOOP_IGNORE_SEED", "1"))
CASES = int(os.environ.get("DEVLOOP_IGNORE_CASES", "52000"))


def test_every_verdict_and_deciding_rule_is_gits(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    bench = gitcases.Bench(tmp_path, 40)
    asked_before = 0
    wrong: list[str] = []
    while asked_before < CASES:
        ignorecase = rng.random() < 0.3
        groups, asked = bench.round(rng)
        subject = matcher.Matcher(rules.RuleSet(tuple(groups), ignorecase=ignorecase, globstar_after_prefix=True))
        for source, line, pattern, path in bench.ask(asked, ignorecase=ignorecase):
            name = os.fsdecode(path)
            rule = subject.verdict(name, path[4:] in gitcases.FOLDERS).rule
            ours = (os.fsencode(rule.source), b"%d" % rule.line, rule.text) if rule else (b"", b"", b"")
            if rule and rule.source == ".git/global":
                ours = (os.path.join(bench.root, b".git/global"), *ours[1:])
            if ours != (source, line, pattern):
                wrong.append(f"{path!r} ignorecase={ignorecase}: git {source, line, pattern}, devloop {ours}")
        asked_before += len(asked)
    assert wrong == [], f"{len(wrong)} of {asked_before}"


def made(*groups: tuple[rules.Layer, str, str], prefix: str = "", repos: tuple[str, ...] = ()) -> matcher.Matcher:
    found = [
        rules.Group(layer, base.encode(), rules.parse(text.encode(), base.encode(), "f"))
        for layer, base, text in groups
    ]
    return matcher.Matcher(
        rules.RuleSet(rules.ordered(found), prefix=prefix.encode(), repos=tuple(repo.encode() for repo in repos))
    )


GIT = rules.Layer.GITIGNORE


def test_nothing_below_an_ignored_folder_comes_back() -> None:
    subject = made((GIT, "", "out/\n!out/a\n"), (rules.Layer.DEVLOOPIGNORE, "", "!out/b\n"))
    assert subject.verdict("out/a", False).ignored
    assert subject.verdict("out/b", False).ignored
    assert not subject.entry("out/b", False).ignored
    assert not subject.may_descend("out")


def test_a_later_layer_brings_an_ignored_folder_back() -> None:
    subject = made((GIT, "", "out/\n"), (rules.Layer.DEVLOOPIGNORE, "", "!out/\n"))
    assert not subject.verdict("out/a", False).ignored
    assert subject.may_descend("out")


def test_a_tracked_path_in_an_ignored_folder_is_shipped_and_its_neighbours_are_not() -> None:
    subject = made((GIT, "", "out/\n"))
    subject.set_index("", matcher.Index(frozenset({"out/in/a"})))
    assert not subject.verdict("out/in/a", False).ignored
    assert subject.verdict("out/in/b", False).ignored
    assert [subject.may_descend(folder) for folder in ("out", "out/in", "out/other")] == [True, True, False]
    subject.set_index("", matcher.Index())
    assert subject.verdict("out/in/a", False).ignored


def test_a_tracked_submodule_in_an_ignored_folder_is_not_ignored() -> None:
    subject = made((GIT, "", "libs/\n"), repos=("libs/sub",))
    subject.set_index("", matcher.Index(submodules=frozenset({"libs/sub"})))
    assert not subject.verdict("libs/sub/a", False).ignored
    assert subject.verdict("libs/x", False).ignored


def test_what_an_index_says_holds_in_its_own_repository_only() -> None:
    subject = made((GIT, "sub", "*.x\n"), repos=("sub",))
    subject.set_index("", matcher.Index(frozenset({"sub/a.x"})))
    assert subject.verdict("sub/a.x", False).ignored
    subject.set_index("sub", matcher.Index(frozenset({"sub/a.x"})))
    assert not subject.verdict("sub/a.x", False).ignored
    subject.drop_repo("sub")
    subject.set_index("", matcher.Index())
    assert subject.verdict("sub/a.x", False).ignored


def test_an_include_decides_over_everything_but_the_reserved_names() -> None:
    subject = made(
        (rules.Layer.CONFIG, "", "dist\n"),
        (rules.Layer.INCLUDE, "", "dist/**\n!*.map\n/dist/keep/\n"),
        (GIT, "", "dist\n"),
    )
    assert subject.verdict("dist", True).ignored and subject.may_descend("dist")
    assert not subject.verdict("dist/a/b", False).ignored
    assert subject.verdict("dist/a/b.map", False).ignored
    assert not subject.verdict("dist/keep/b.map", False).ignored
    assert subject.verdict("dist/.git", True).ignored
    assert subject.verdict("dist/.devloop/a", False).ignored


def test_rules_may_be_replaced_after_answers_were_given() -> None:
    subject = made((GIT, "a", "x\n"))
    assert subject.verdict("a/b/x", False).ignored
    assert subject.verdict("a/b/c/d/x", False).ignored
    assert not subject.put(GIT, b"a", rules.parse(b"x\n", b"a", "f"))
    assert subject.put(GIT, b"a/b", rules.parse(b"!x\n", b"a/b", "f"))
    assert not subject.verdict("a/b/x", False).ignored
    assert not subject.verdict("a/b/c/d/x", False).ignored
    assert subject.put(GIT, b"a", ())
    assert subject.put(GIT, b"a/b", ())
    assert not subject.put(GIT, b"a/b", ())
    assert subject.rule_set() == rules.RuleSet()


_FOLDERS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
_CHANGES = st.tuples(_FOLDERS | st.just(""), st.sampled_from([b"a\n", b"!a\n", b"b/\n", b"*\n!c\n", b""]))


@given(st.lists(st.tuples(_CHANGES, st.lists(st.tuples(_FOLDERS, st.booleans()), max_size=6)), max_size=12))
def test_whatever_was_asked_before_answers_are_those_of_the_rules_as_they_are(
    steps: list[tuple[tuple[str, bytes], list[tuple[str, bool]]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Some of the answers are forgotten on the way.
        patch.setattr(matcher, "FOLDERS_KEPT", 12)
        subject = made()
        for (base, text), asked in steps:
            subject.put(GIT, base.encode(), rules.parse(text, base.encode(), "f"))
            fresh = matcher.Matcher(subject.rule_set())
            for path, is_folder in asked:
                assert subject.verdict(path, is_folder) == fresh.verdict(path, is_folder)
                assert subject.may_descend(path) == fresh.may_descend(path)


def test_a_prefix_puts_the_root_below_the_rules() -> None:
    subject = made(
        (GIT, "", "/a/web/x\n"), (GIT, "a", "*.log\n"), (GIT, "a/web", "/y\n"), (GIT, "b", "*\n"), prefix="a/web"
    )
    assert subject.verdict("x", False).ignored
    assert subject.verdict("c/d.log", False).ignored
    assert subject.verdict("y", False).ignored
    assert not subject.verdict("c/y", False).ignored


def test_many_folders_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher, "FOLDERS_KEPT", 10)
    subject = made((GIT, "", "*.log\nskipped/\n"), (GIT, "f1/a/b", "!x.log\n"))
    for number in range(50):
        assert subject.verdict(f"f{number}/a/b/x.log", False).ignored == (number != 1)
        assert subject.verdict(f"f{number}/skipped/x", False).ignored
    subject.put(GIT, b"f1/a/b", ())
    assert subject.verdict("f1/a/b/x.log", False).ignored
