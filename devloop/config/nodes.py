"""YAML text to a tree of nodes that know where they stand.

The parser's events become `Node` values: every scalar is kept as the text that was written, and the field that
receives it decides what it means, so none of YAML's guesses (`on` is a boolean, `22:22` a number, `1.10` is 1.1)
can reach anybody. Only an unquoted `null`, `~` or nothing at all is `None`. Tags are refused, aliases are counted
with everything that they stand for, depth and size are bounded. Reads no files and knows no keys of devloop.yaml.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import msgspec
import yaml

from devloop import errors

# Far above any devloop.yaml written by hand, far below what would hurt.
MAX_TEXT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 40
MAX_WEIGHT: Final = 20_000
_CHARACTERS_PER_WEIGHT: Final = 100

SYNTAX_CODE: Final = "DL0202"

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_CORE_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge")
)
# YAML 1.1, section 5.1: what a document may hold.
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Place(NamedTuple):
    """Where something is written.

    Attributes:
        file: The file, as the user named it.
        line: 1-based.
        column: 1-based, in characters.
    """

    file: str
    line: int
    column: int

    def error(self, message: str, *, hint: str = "", code: str = SYNTAX_CODE) -> errors.ConfigError:
        """Return the error that says `message` about this place."""
        return errors.ConfigError(message, hint=hint, code=code, file=self.file, line=self.line, column=self.column)


class Node(msgspec.Struct, frozen=True):
    """One value of the document.

    Attributes:
        place: Where it begins.
        value: Text, nothing, a list, or a mapping by key.
        weight: How much it holds, aliases spelled out.
    """

    place: Place
    value: Value
    weight: int = 1


class Item(NamedTuple):
    """One entry of a mapping: where its key is written, and its value."""

    place: Place
    node: Node


Mapping: TypeAlias = dict[str, Item]
Value: TypeAlias = "str | list[Node] | Mapping | None"


def plain(node: Node) -> object:
    """Return the node as text, None, lists and dicts."""
    if isinstance(node.value, dict):
        return {key: plain(item.node) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def find(root: Node, loc: tuple[str | int, ...], *, key: bool = False) -> Place:
    """Return the place of what `loc` leads to, or of the nearest thing above it that is written.

    Args:
        root: The document.
        loc: Keys and list indexes.
        key: The place of the last key itself is wanted, not of its value.
    """
    node, place = root, root.place
    for step in loc:
        if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
            place, node = node.value[step]
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            place = node.place
        else:
            return place
    return place if key else node.place


def decode(raw: bytes, file: str) -> str:
    """Return the text of a file's bytes.

    Raises:
        ConfigError: It is too large, not UTF-8, or holds characters that YAML does not allow.
    """
    if len(raw) > MAX_TEXT_BYTES:
        raise Place(file, 1, 1).error(f"the file is larger than {MAX_TEXT_BYTES >> 20} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        raise _place_after(before, file).error("the file is not UTF-8 text", hint="save it as UTF-8") from None
    if found := _UNPRINTABLE.search(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed here"
        raise _place_after(text[: found.start()], file).error(message, hint="remove it, or quote and escape it")
    return text


def parse(text: str, file: str) -> Node:
    """Return the one document that `text` holds.

    Args:
        text: What `decode` let through.
        file: Its name in messages.

    Raises:
        ConfigError: The text is not YAML, or uses what devloop.yaml has no use for.
    """
    return _Builder(text, file).document()


def _place_after(text: str, file: str) -> Place:
    starts = [0, *(found.end() for found in _LINE_BREAK.finditer(text))]
    line = bisect.bisect_right(starts, len(text))
    return Place(file, line, len(text) - starts[line - 1] + 1)


class _Builder:
    """Builds the tree from the parser's events, one document's worth."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, Node] = {}
        self._weight = 0

    def document(self) -> Node:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Node(Place(self._file, 1, 1), None)
        root = self._node(self._next(), 0)
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._place(event).error(
                "a second document begins here", hint="one file holds one document: remove the '---'"
            )
        return root

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            raise _syntax_error(error, self._text, self._file) from None
        except yaml.YAMLError as error:
            raise Place(self._file, 1, 1).error(f"not valid YAML: {error}") from None

    def _place(self, event: yaml.Event) -> Place:
        assert event.start_mark is not None
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        if depth > MAX_DEPTH:
            raise place.error(f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            node = self._anchors.get(event.anchor or "")
            if node is None:
                raise place.error(f"the alias *{event.anchor} has no anchor &{event.anchor} that ends before it")
            self._weigh(node.weight, place)
            return node
        before = self._weight
        value = self._value(event, place, depth)
        node = Node(place, value, self._weight - before)
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node
        return node

    def _value(self, event: yaml.Event, place: Place, depth: int) -> Value:
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _CORE_TAGS:
            raise place.error(f"the tag {tag!r} means nothing here", hint="remove it: the key decides the type")
        self._weigh(1, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        assert isinstance(event, yaml.ScalarEvent)
        self._weigh(len(event.value) // _CHARACTERS_PER_WEIGHT, place)
        is_null = event.implicit[0] and event.value in _NULLS
        return None if is_null else event.value

    def _weigh(self, weight: int, place: Place) -> None:
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            raise place.error(
                f"the document holds more than {MAX_WEIGHT} values, aliases spelled out",
                hint="do not nest aliases of large parts in one another",
            )

    def _sequence(self, depth: int) -> list[Node]:
        children = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            children.append(self._node(event, depth + 1))
        return children

    def _mapping(self, depth: int) -> Mapping:
        own: Mapping = {}
        merged: list[Mapping] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            place = self._place(event)
            key, is_merge = self._key(event, place)
            node = self._node(self._next(), depth + 1)
            if is_merge:
                merged.extend(_merge_sources(node))
            elif key in own:
                raise place.error(
                    f"the key {key!r} is given twice", hint=f"the first is in line {own[key].place.line}; keep one"
                )
            else:
                own[key] = Item(place, node)
        for source in merged:
            own = {**own, **{key: item for key, item in source.items() if key not in own}}
        return own

    def _key(self, event: yaml.Event, place: Place) -> tuple[str, bool]:
        if isinstance(event, yaml.ScalarEvent):
            self._weigh(1, place)
            return event.value, event.value == "<<" and event.implicit[0]
        raise place.error("a key must be plain text")


def _merge_sources(node: Node) -> list[Mapping]:
    """Return the mappings that a merge key (`<<`) names, the strongest first."""
    sources = node.value if isinstance(node.value, list) else [node]
    found = [source.value for source in sources if isinstance(source.value, dict)]
    if len(found) != len(sources):
        raise node.place.error("'<<' merges mappings only", hint="write '<<: *name', where &name marks a mapping")
    return found


# libyaml's words for the mistakes that people make most, in words that say what to do.
_FRIENDLY: Final = {
    "mapping values are not allowed in this context": "a ': ' where no new key can begin",
    "did not find expected key": "the indentation or the quotes do not fit what comes before",
    "did not find expected '-' indicator": "a list item or the end of the list was expected here",
    "did not find expected ',' or ']'": "a ',' or a ']' is missing",
    "did not find expected ',' or '}'": "a ',' or a '}' is missing",
    "did not find expected node content": "a value is missing, or a bracket is not closed",
    "found unexpected end of stream": "the file ends inside quotes",
    "could not find expected ':'": "a ':' is missing after this key",
    "did not find expected <document start>": "the indentation does not fit the first line",
}
_HINTS: Final = {
    "mapping values are not allowed in this context": "quote a value that holds ': ', and mind the indentation",
}


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> errors.ConfigError:
    problem = error.problem or "not valid YAML"
    mark = error.problem_mark
    if error.context_mark is not None and (mark is None or _is_at_end(text, mark)):
        # What was opened and never closed says more than the end of the file.
        mark = error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)
    if problem == "found character that cannot start any token":
        message, hint = _bad_character(text, place)
    else:
        message, hint = f"not valid YAML: {_FRIENDLY.get(problem, problem)}", _HINTS.get(problem, "")
    return place.error(message, hint=hint)


def _is_at_end(text: str, mark: yaml.Mark) -> bool:
    rest = text.splitlines()[mark.line :]
    return not any(line.strip() for line in rest) or not "\n".join(rest)[mark.column :].strip()


def _bad_character(text: str, place: Place) -> tuple[str, str]:
    line = text.splitlines()[place.line - 1]
    character = line[place.column - 1 : place.column]
    if character == "\t":
        return "a tab where YAML wants spaces", "indent with spaces"
    return f"not valid YAML: {character!r} cannot begin a value", "quote the value"
