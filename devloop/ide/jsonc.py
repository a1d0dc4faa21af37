"""JSON with comments, as editors keep their settings: read with places, and changed in the text.

Editors' files belong to people, who comment and order them. So nothing is parsed and dumped again: `put` and `put_item`
rewrite the one entry that they are about, or add it, and every other byte stays. Comments, trailing commas, a byte
order mark, both line endings and any indentation are understood, as VS Code does (its own parser, jsonc-parser, allows
the same). docs/decisions/0011 says why this is no library. Pure: it reads no files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from devloop import errors

CODE: Final = "DL0360"

# What the reader recurses into; no file for people comes near it.
MAX_DEPTH: Final = 100

# The longest list that is written on one line, in characters.
_FLAT: Final = 80

_BOM: Final = "\ufeff"
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_COMMENT: Final = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR: Final = re.compile(r"true\b|false\b|null\b|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")

Path: TypeAlias = "Sequence[str]"


class Child(msgspec.Struct, frozen=True):
    """A member of an object, or an item of a list.

    Attributes:
        start: Where it begins in the text: at its key, where it has one.
        node: Its value.
        key: Its key; empty in a list.
        comma: Behind the comma that follows it; -1 where none does.
    """

    start: int
    node: Node
    key: str = ""
    comma: int = -1


class Node(msgspec.Struct, frozen=True):
    """A value, and where it stands.

    Attributes:
        start: Where it begins in the text.
        end: Behind its last character.
        value: What it means, as JSON's own values; of keys that are given twice the last one counts.
        children: What is in it, if it is an object or a list.
        comments: The comments in it, with those of its children.
    """

    start: int
    end: int
    value: Any
    children: tuple[Child, ...] = ()
    comments: tuple[str, ...] = ()

    def child(self, key: str) -> Child | None:
        """Return the member of that key that counts."""
        return next((child for child in reversed(self.children) if child.key == key), None)


def parse(text: str, shown: str) -> Node | None:
    """Read a text.

    Args:
        text: The text.
        shown: The file's name, for errors.

    Returns:
        Its value; None where it holds nothing but comments and space, which editors take as an empty object.

    Raises:
        ConfigError: It is something else, with the place.
    """
    return _Reader(text, shown).document()


def put(text: str, shown: str, path: Path, value: Any) -> str:
    """Return the text with a member set.

    Args:
        text: The text.
        shown: The file's name, for errors.
        path: The keys that lead to it; objects on the way are made where they are missing.
        value: JSON's own values.

    Raises:
        ConfigError: The text is broken, or something on the way is no object.
    """
    root = parse(text, shown)
    if root is None:
        return _append(text, _nested(path, value))
    node = root
    for index, key in enumerate(path):
        _must_be(dict, node, text, shown, path[:index])
        child = node.child(key)
        if child is None:
            written = json.dumps(key, ensure_ascii=False) + ": "
            return _add(text, node, written, _nested(path[index + 1 :], value), "")
        node = child.node
    return text if _same(node.value, value) else _replace(text, node, value, "")


def put_item(text: str, shown: str, path: Path, value: Any, *, index: int | None = None, note: str = "") -> str:
    """Return the text with an item of a list replaced, or added at its end.

    Args:
        text: The text.
        shown: The file's name, for errors.
        path: The keys that lead to the list, which is made where it is missing.
        value: The item, as JSON's own values.
        index: Which item is replaced, comments in it included; None to add one.
        note: A comment of one line in the item, if that is an object.

    Raises:
        ConfigError: The text is broken, or there is no list at that place.
    """
    text = put(text, shown, path, []) if _at(text, shown, path) is None else text
    node = _at(text, shown, path)
    assert node is not None
    _must_be(list, node, text, shown, path)
    if index is None:
        return _add(text, node, "", value, note)
    return _replace(text, node.children[index].node, value, note)


def _at(text: str, shown: str, path: Path) -> Node | None:
    node = parse(text, shown)
    for index, key in enumerate(path):
        if node is None:
            return None
        _must_be(dict, node, text, shown, path[:index])
        child = node.child(key)
        node = child.node if child else None
    return node


def _same(one: Any, other: Any) -> bool:
    """Say whether two values are the same JSON; to Python 1, 1.0 and True would be."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _must_be(kind: type, node: Node, text: str, shown: str, path: Path) -> None:
    if not isinstance(node.value, kind):
        wanted = "an object" if kind is dict else "a list"
        name = ".".join(path) or "the file"
        raise _error(text, shown, node.start, f"{name} is not {wanted}", "make it one, or move the file away")


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


# ---- changing the text ----------------------------------------------------------------------------------------------


def _append(text: str, value: Any) -> str:
    newline = _newline(text)
    gap = "" if not text.strip(_BOM) or text.endswith("\n") else newline
    return f"{text}{gap}{_dump(value, '', '  ', newline, '')}{newline}"


def _replace(text: str, node: Node, value: Any, note: str) -> str:
    indent = _indent_at(text, node.start)
    return text[: node.start] + _dump(value, indent, _unit(text), _newline(text), note) + text[node.end :]


def _add(text: str, node: Node, key: str, value: Any, note: str) -> str:
    """Add an entry at the end of an object or list, behind the comments that stand there."""
    newline, outer = _newline(text), _indent_at(text, node.start)
    last = node.children[-1] if node.children else None
    own_line = last is not None and not text[_line_start(text, last.start) : last.start].strip(" \t" + _BOM)
    indent = _indent_at(text, last.start) if last is not None and own_line else outer + _unit(text)
    close = node.end - 1
    at = len(text[:close].rstrip(" \t\r\n"))
    rest = text[at:close]
    if "\n" not in rest:
        rest = newline + outer
    entry = newline + indent + key + _dump(value, indent, _unit(text), newline, note)
    if last is None:
        return text[:at] + entry + rest + text[close:]
    if last.comma >= 0:
        # Whoever ends the last entry with a comma wants one behind this too.
        return text[:at] + entry + "," + rest + text[close:]
    return text[: last.node.end] + "," + text[last.node.end : at] + entry + rest + text[close:]


def _dump(value: Any, indent: str, unit: str, newline: str, note: str) -> str:
    lines = _lines(value, unit)
    if note and isinstance(value, dict) and value:
        lines.insert(1, f"{unit}// {note}")
    return (newline + indent).join(lines)


def _lines(value: Any, unit: str) -> list[str]:
    """Return a value as lines; a short list without lists and objects in it is one."""
    flat = json.dumps(value, ensure_ascii=False)
    nested = isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(each, dict | list) for each in value)
    )
    if not value or not (nested or (isinstance(value, list) and len(flat) > _FLAT)):
        return [flat]
    opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
    keys = (
        [json.dumps(key, ensure_ascii=False) + ": " for key in value] if isinstance(value, dict) else [""] * len(value)
    )
    parts = [_lines(each, unit) for each in (value.values() if isinstance(value, dict) else value)]
    inner: list[str] = []
    for index, (key, part) in enumerate(zip(keys, parts, strict=True)):
        part[0] = key + part[0]
        part[-1] += "" if index == len(parts) - 1 else ","
        inner += [unit + line for line in part]
    return [opened, *inner, closed]


def _newline(text: str) -> str:
    found = text.find("\n")
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def _unit(text: str) -> str:
    """Return one step of the text's indentation: that of its first indented line."""
    found = re.search(r"\n([ \t]+)[\"\[{\]}]", text)
    return found[1] if found else "  "


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _indent_at(text: str, at: int) -> str:
    found = re.compile(r"[ \t]*").match(text, _line_start(text, at))
    assert found is not None
    return found[0]


# ---- reading --------------------------------------------------------------------------------------------------------


def _error(text: str, shown: str, at: int, message: str, hint: str) -> errors.ConfigError:
    line = text.count("\n", 0, at) + 1
    column = at - _line_start(text, at) + 1 - (1 if line == 1 and text.startswith(_BOM) else 0)
    return errors.ConfigError(message, hint=hint, code=CODE, file=shown, line=line, column=max(1, column))


class _Reader:
    """Reads one text from its start to its end."""

    def __init__(self, text: str, shown: str) -> None:
        self._text = text
        self._shown = shown
        self._at = 1 if text.startswith(_BOM) else 0
        self._comments: list[str] = []

    def document(self) -> Node | None:
        self._skip()
        if self._at == len(self._text):
            return None
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise self._bad("something stands behind the end of the value")
        return node

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._bad("it is nested too deep")
        start = self._at
        match self._text[start : start + 1]:
            case "{":
                return self._container(start, "}", depth)
            case "[":
                return self._container(start, "]", depth)
            case '"':
                value = self._string()
                return Node(start, self._at, value)
            case _:
                found = _SCALAR.match(self._text, start)
                if not found:
                    raise self._bad("a value is missing here" if self._closes() else "this is not JSON")
                self._at = found.end()
                return Node(start, self._at, self._decoded(found[0], start))

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if not found:
            raise self._bad("this text in quotes does not end on its line")
        start, self._at = self._at, found.end()
        value = self._decoded(found[0], start)
        assert isinstance(value, str)
        return value

    def _decoded(self, written: str, start: int) -> Any:
        try:
            return json.loads(written)
        except ValueError:
            self._at = start
            raise self._bad("this is not a value of JSON") from None

    def _container(self, start: int, close: str, depth: int) -> Node:
        children: list[Child] = []
        first_comment = len(self._comments)
        self._at += 1
        self._skip()
        while self._text[self._at : self._at + 1] != close:
            if children and children[-1].comma < 0:
                raise self._bad(f"a comma or {close} is missing here")
            children.append(self._child(depth, with_key=close == "}"))
        self._at += 1
        value: Any = (
            {child.key: child.node.value for child in children}
            if close == "}"
            else [child.node.value for child in children]
        )
        return Node(start, self._at, value, tuple(children), tuple(self._comments[first_comment:]))

    def _child(self, depth: int, *, with_key: bool) -> Child:
        start, key = self._at, ""
        if with_key:
            if self._text[start : start + 1] != '"':
                raise self._bad("a key in double quotes is missing here")
            key = self._string()
            self._skip()
            if self._text[self._at : self._at + 1] != ":":
                raise self._bad("a colon is missing here")
            self._at += 1
            self._skip()
        node = self._value(depth + 1)
        self._skip()
        comma = -1
        if self._text[self._at : self._at + 1] == ",":
            self._at += 1
            comma = self._at
            self._skip()
        return Child(start, node, key, comma)

    def _skip(self) -> None:
        """Go to the next character that is neither space nor comment."""
        while True:
            space = _SPACE.match(self._text, self._at)
            assert space is not None
            self._at = space.end()
            comment = _COMMENT.match(self._text, self._at)
            if comment is None:
                if self._text.startswith("/*", self._at):
                    raise self._bad("this comment does not end")
                return
            self._comments.append(comment[0])
            self._at = comment.end()

    def _closes(self) -> bool:
        return self._at == len(self._text) or self._text[self._at] in ",]}"

    def _bad(self, message: str) -> errors.ConfigError:
        hint = "mend it there, or move the file away; nothing was written"
        return _error(self._text, self._shown, self._at, message, hint)
