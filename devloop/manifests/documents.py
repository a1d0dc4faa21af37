"""A stream of YAML or JSON documents to values that know where in the text they stand.

Read as the tools around Kubernetes read it: YAML 1.1's booleans and octal numbers count, its dates and its numbers to
base 60 do not. PyYAML's own nodes carry the places; `plain` is the value that they mean. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
import yaml

from devloop import errors

CODE: Final = "DL0810"

_STR: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"
_LITERAL: Final = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary", _MERGE})
# Aliases are spelled out, so a small text may hold a great deal (the "billion laughs").
_MAX_NODES: Final = 500_000


class Place(NamedTuple):
    """Where something is written: 1-based, as editors count."""

    line: int
    column: int


class Document(msgspec.Struct, frozen=True):
    """One document of a stream.

    Attributes:
        node: Its root.
        value: What it means.
        has_aliases: Parts of it stand for several places, so it cannot be changed in place.
    """

    node: yaml.Node
    value: Any
    has_aliases: bool


def parse(text: str, shown: str) -> list[Document]:
    """Return the documents of a text that are not empty.

    Args:
        text: The stream.
        shown: Its name in messages.

    Raises:
        ConfigError: It is not YAML.
    """
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        hint = "render the templates first: devloop reads what `helm template` prints" if "{{" in text else ""
        raise errors.ConfigError(
            f"not valid YAML: {error.problem or error.context}",
            hint=hint,
            code=CODE,
            file=shown,
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
        ) from None
    except yaml.YAMLError as error:
        raise errors.ConfigError(f"not valid YAML: {error}", code=CODE, file=shown) from None
    return [_document(node, shown) for node in nodes]


def _document(node: yaml.Node, shown: str) -> Document:
    seen: set[int] = set()
    aliases = False
    for count, each in enumerate(walk(node)):
        if count > _MAX_NODES:
            place = place_of(node)
            raise errors.ConfigError(
                "the document holds too much, aliases spelled out", code=CODE, file=shown, line=place.line
            )
        aliases = aliases or id(each) in seen or each.tag == _MERGE
        seen.add(id(each))
    return Document(node, plain(node), aliases)


def walk(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield a node and all below it, once for each place that it stands for."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, yaml.MappingNode):
            waiting += [part for pair in each.value for part in pair]
        elif isinstance(each, yaml.SequenceNode):
            waiting += each.value


def plain(node: yaml.Node) -> Any:
    """Return what a node means, as mappings, lists, text, numbers, booleans and None."""
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [plain(child) for child in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                merged = plain(source)
                if isinstance(merged, dict):
                    made = {**merged, **made}
    own = {_key(key): plain(value) for key, value in node.value if key.tag != _MERGE}
    return {**made, **own}


def _key(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else str(plain(node))


_READER: Final = yaml.constructor.SafeConstructor()


def _scalar(node: yaml.ScalarNode) -> Any:
    text = node.value
    # `22:22` and `1:30.5` are numbers to YAML 1.1 only.
    if node.tag in _LITERAL or (not node.style and ":" in text):
        return text
    try:
        return _READER.construct_object(yaml.ScalarNode(node.tag, text))
    except (yaml.YAMLError, ValueError):
        return text


def place_of(node: yaml.Node) -> Place:
    """Return where a node begins."""
    assert node.start_mark is not None
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def find(node: yaml.Node, loc: tuple[str | int, ...]) -> yaml.Node:
    """Return the node that `loc` leads to, or the nearest above it that is written."""
    for step in loc:
        below = _child(node, step)
        if below is None:
            return node
        node = below
    return node


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        assert isinstance(child, yaml.Node)
        return child
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        return next((value for key, value in node.value if _key(key) == step), None)
    return None
