"""JSON with comments, as editors keep their settings: read into values that know where they stand.

Comments, trailing commas, a byte order mark and both line endings are understood, as VS Code does (its own parser,
jsonc-parser, allows the same). `jsoncedit` changes such texts. docs/decisions/0011 says why this is no library. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from devloop import errors

CODE: Final = "DL0360"

# What the reader recurses into; no file for people comes near it.
MAX_DEPTH: Final = 100

BOM: Final = "\ufeff"
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_COMMENT: Final = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR: Final = re.compile(r"true\b|false\b|null\b|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")


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


def error(text: str, shown: str, at: int, message: str, hint: str) -> errors.ConfigError:
    """Return the error that says something about a place in a text."""
    line = text.count("\n", 0, at) + 1
    column = at - line_start(text, at) + 1 - (1 if line == 1 and text.startswith(BOM) else 0)
    return errors.ConfigError(message, hint=hint, code=CODE, file=shown, line=line, column=max(1, column))


def line_start(text: str, at: int) -> int:
    """Return where the line begins that holds an offset."""
    return text.rfind("\n", 0, at) + 1


class _Reader:
    """Reads one text from its start to its end."""

    def __init__(self, text: str, shown: str) -> None:
        self._text = text
        self._shown = shown
        self._at = 1 if text.startswith(BOM) else 0
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
        return error(self._text, self._shown, self._at, message, hint)
