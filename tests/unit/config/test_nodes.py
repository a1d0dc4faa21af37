from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.config import nodes


def read(text: str) -> object:
    return nodes.plain(nodes.parse(text, "f"))


def failure(text: str) -> tuple[str, str]:
    with pytest.raises(errors.ConfigError) as caught:
        nodes.parse(text, "f")
    return caught.value.location(), caught.value.message


def test_scalars_stay_the_text_that_was_written() -> None:
    text = "{a: on, b: 0123, c: 22:22, d: 1.10, e: 'no', f: 0x1F, g: 2026-01-01, h: .5}"
    assert read(text) == {
        "a": "on",
        "b": "0123",
        "c": "22:22",
        "d": "1.10",
        "e": "no",
        "f": "0x1F",
        "g": "2026-01-01",
        "h": ".5",
    }


@pytest.mark.parametrize("written", ["", "~", "null", "Null", "NULL"])
def test_only_an_unquoted_null_is_nothing(written: str) -> None:
    assert read(f"a: {written}") == {"a": None}
    assert read(f"a: '{written}'") == {"a": written}


def test_aliases_and_merge_keys_are_spelled_out_and_own_keys_win() -> None:
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 4, c: 5}\nz: {<<: [*x, *y], d: 3}\nw: {a: 9, <<: *x}\nv: *x\n"
    assert read(text) == {
        "x": {"a": "1", "b": "2"},
        "y": {"b": "4", "c": "5"},
        "z": {"d": "3", "a": "1", "b": "2", "c": "5"},
        "w": {"a": "9", "b": "2"},
        "v": {"a": "1", "b": "2"},
    }


def test_a_quoted_merge_key_is_a_key() -> None:
    assert read("{'<<': 1}") == {"<<": "1"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- ~\n"])
def test_a_document_without_content_is_nothing(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("text", "location", "message"),
    [
        ("a:\n\tb: 1", "f:2:1", "a tab where YAML wants spaces"),
        ("a: [1", "f:1:4", "not valid YAML: a ',' or a ']' is missing"),
        ("a: [1, b}", "f:1:9", "not valid YAML: a ',' or a ']' is missing"),
        ("a: {b: 1", "f:1:4", "not valid YAML: a ',' or a '}' is missing"),
        ("a: 'x\nb: 1\n", "f:1:4", "not valid YAML: the file ends inside quotes"),
        ("a: b: c", "f:1:5", "not valid YAML: a ': ' where no new key can begin"),
        (" a: 1\nb: 2", "f:2:1", "not valid YAML: the indentation does not fit the first line"),
        ("a:\n  - b\n c: d", "f:3:2", "not valid YAML: the indentation or the quotes do not fit what comes before"),
        ("a: @x", "f:1:4", "not valid YAML: '@' cannot begin a value"),
        ("- a\nb: c", "f:2:1", "not valid YAML: a list item or the end of the list was expected here"),
        ("a: |\nb", "f:2:1", "not valid YAML: a ':' is missing after this key"),
        ("a: *x", "f:1:4", "the alias *x has no anchor &x that ends before it"),
        ("&a [*a]", "f:1:5", "the alias *a has no anchor &a that ends before it"),
        ("? [a]\n: b", "f:1:3", "a key must be plain text"),
        ("a: 1\nb: 2\na: 3", "f:3:1", "the key 'a' is given twice"),
        ("a: 1\n'a': 3", "f:2:1", "the key 'a' is given twice"),
        (
            "a: !!python/name:os.system x",
            "f:1:4",
            "the tag 'tag:yaml.org,2002:python/name:os.system' means nothing here",
        ),
        ("a: !x 1", "f:1:4", "the tag '!x' means nothing here"),
        ("a: 1\n---\nb: 1", "f:2:1", "a second document begins here"),
        ("a: {<<: 5}", "f:1:9", "'<<' merges mappings only"),
        ("[" * 200 + "]" * 200, "f:1:42", "nested more than 40 levels deep"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(text: str, location: str, message: str) -> None:
    assert failure(text) == (location, message)


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    location, message = failure("\n".join(lines))
    assert location == "f:5:10"
    assert message == "the document holds more than 20000 values, aliases spelled out"


def test_a_long_text_that_is_repeated_counts_by_its_length() -> None:
    _, message = failure(f"a: &a {'x' * 50_000}\nb: [{', '.join(['*a'] * 100)}]")
    assert "20000" in message


@pytest.mark.parametrize(
    ("raw", "location", "message"),
    [
        (b"a: 1\nb: \xff", "f:2:4", "the file is not UTF-8 text"),
        ("a: ä".encode("utf-16"), "f:1:1", "the file is not UTF-8 text"),
        (b"a: \0", "f:1:4", "the character U+0000 is not allowed here"),
        ("ä\r\nä: \x1b".encode(), "f:2:4", "the character U+001B is not allowed here"),
        (b"a" * (nodes.MAX_TEXT_BYTES + 1), "f:1:1", "the file is larger than 1 MiB"),
    ],
)
def test_bytes_that_are_no_text_are_refused(raw: bytes, location: str, message: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        nodes.decode(raw, "f")
    assert (caught.value.location(), caught.value.message) == (location, message)


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert nodes.decode(b"\xef\xbb\xbfa: 1", "f") == "a: 1"


def test_places_lead_to_keys_values_and_items() -> None:
    root = nodes.parse("a:\n  - b: 1\n    c: [x, y]\n", "f")
    assert nodes.find(root, ("a", 0, "c", 1)) == ("f", 2 + 1, 12)
    assert nodes.find(root, ("a", 0, "c"), key=True) == ("f", 3, 5)
    assert nodes.find(root, ("a", 0, "nothing")) == ("f", 2, 5)
    assert nodes.find(root, ("nothing",)) == ("f", 1, 1)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        nodes.plain(nodes.parse(nodes.decode(raw, "f"), "f"))
    except errors.ConfigError as error:
        assert error.line >= 1
        assert error.column >= 1


@given(st.text(st.sampled_from("ab:-[]{},&*!|>'\"#%@ \n\t?~<1"), max_size=60))
def test_any_text_of_yaml_characters_is_read_or_refused(text: str) -> None:
    try:
        nodes.plain(nodes.parse(text, "f"))
    except errors.ConfigError as error:
        assert 1 <= error.line <= text.count("\n") + 2
