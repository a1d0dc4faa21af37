"""How the lines of an ignore file are read, and the rule set as a value."""

import hashlib

import msgspec
import pytest

from devloop.core import rules


def texts(content: bytes) -> list[bytes]:
    return [rule.text for rule in rules.parse(content, b"", "f")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a", [b"a"]),
        (b"", []),
        (b"   ", []),
        (b"#a", []),
        (b" #a", [b" #a"]),
        (b"\\#a", [b"\\#a"]),
        (b"\\!a", [b"\\!a"]),
        (b"a  ", [b"a"]),
        (b"a\\ ", [b"a\\ "]),
        (b"a\\  ", [b"a\\ "]),
        (b"a\\\\ ", [b"a\\\\"]),
        (b"a \\", [b"a \\"]),
        (b"a\t", [b"a\t"]),
        (b"a\r", [b"a"]),
        (b"a\r\r", [b"a\r"]),
        (b"\r", []),
        (b"a\0b", [b"a"]),
        (b"\0b", []),
        (b"!", []),
        (b"/", []),
        (b"!/", []),
        (b"\xef\xbb\xbfa", [b"a"]),
        (b"\xef\xbb\xbf#a", []),
        (b"\xff\xe9", [b"\xff\xe9"]),
    ],
)
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_is_read_as_git_reads_it(line: bytes, end: bytes, expected: list[bytes]) -> None:
    assert texts(line + end) == expected


def test_lines_are_counted_whether_or_not_they_say_something() -> None:
    found = rules.parse(b"# one\r\n\r\na\r\n!b/\r\n", b"web", "web/.gitignore")
    assert [(rule.location(), rule.text, rule.negated, rule.folders_only) for rule in found] == [
        ("web/.gitignore:3", b"a", False, False),
        ("web/.gitignore:4", b"!b/", True, True),
    ]
    assert {rule.base for rule in found} == {b"web"}


def test_the_pattern_is_the_line_without_its_marks() -> None:
    marked, plain = rules.parse(b"!/a/\n!!b\n", b"", "f")
    assert marked.pattern == "/a"
    assert (plain.negated, plain.pattern) == (True, "!b")


def test_a_list_of_patterns_is_numbered_by_position() -> None:
    found = rules.parse_lines(["a", "", "caf\udce9"], b"", "devloop.yaml: ignore")
    assert [(rule.text, rule.line) for rule in found] == [(b"a", 1), (b"caf\xe9", 3)]
    assert found[1].shown() == "caf\\xe9"


def test_groups_are_ordered_by_layer_then_depth_whatever_their_order() -> None:
    def group(layer: rules.Layer, base: bytes) -> rules.Group:
        return rules.Group(layer, base, rules.parse(b"x", base, "f"))

    expected = (
        group(rules.Layer.BUILT_IN, b""),
        group(rules.Layer.GITIGNORE, b""),
        group(rules.Layer.GITIGNORE, b"z"),
        group(rules.Layer.GITIGNORE, b"a/b"),
        group(rules.Layer.DEVLOOPIGNORE, b""),
    )
    assert rules.ordered(expected[::-1]) == expected


def test_a_rule_set_survives_the_wire_and_its_digest_follows_every_part() -> None:
    group = rules.Group(rules.Layer.GITIGNORE, b"d\xe9", rules.parse(b"x\xff\n!y/\n", b"d\xe9", "d/.gitignore"))
    variants = [
        rules.RuleSet(),
        rules.RuleSet((group,)),
        rules.RuleSet((group,), prefix=b"web\xe9"),
        rules.RuleSet((group,), repos=(b"sub",)),
        rules.RuleSet((group,), ignorecase=True),
        rules.RuleSet((group,), globstar_after_prefix=True),
    ]
    for one in variants:
        raw = msgspec.msgpack.encode(one)
        assert msgspec.msgpack.decode(raw, type=rules.RuleSet) == one
        assert one.digest == hashlib.sha256(raw).digest()
    assert len({one.digest for one in variants}) == len(variants)


def test_the_index_overrules_gits_layers_and_the_built_in_one_only() -> None:
    yielding = {layer.name for layer in rules.Layer if layer.yields_to_index}
    assert yielding == {"BUILT_IN", "GLOBAL", "EXCLUDE", "GITIGNORE"}
    assert {layer.name for layer in rules.Layer if layer.is_git} == yielding - {"BUILT_IN"}
