"""Changes a document's text so that it means something else, and touches nothing but what differs.

Old and new value are compared from the root down. Where both are block mappings or lists, only the entries that differ
are rewritten, as whole lines; so comments, quotes, order and indentation of everything else stay. What is written
in brackets, or between whose lines no cut can be made, is rewritten as a whole. The caller checks the outcome by
reading it again, so a text that this module misjudges costs its layout and never its meaning.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import yaml

from devloop.manifests import dump

_TRAILING: Final = re.compile(r"(\s*\n[ \t]*#[^\n]*)*\s*\Z")


class Cut(NamedTuple):
    """A piece of text and what takes its place; offsets in characters."""

    start: int
    end: int
    text: str


class _Whole(Exception):
    """The node cannot be changed in part; the one above it has to write it anew."""


def changed(text: str, node: yaml.Node, old: Any, new: Any) -> str:
    """Return the text in which a document has its new value.

    Args:
        text: The text that holds the document.
        node: The document's root in that text.
        old: What it means.
        new: What it is to mean.
    """
    splicer = _Splicer(text)
    try:
        splicer.node(node, old, new)
    except _Whole:
        return whole(text, node, new)
    return _apply(text, splicer.cuts)


def whole(text: str, node: yaml.Node, new: Any) -> str:
    """Return the text with the document written anew: JSON where it was JSON.

    Args:
        text: The text that holds the document.
        node: The document's root in that text.
        new: What it is to mean.
    """
    assert node.end_mark is not None
    # The mark is behind blank lines and comments that belong to nobody; an alias has no place of its own to go by.
    start = _start(node)
    written = _TRAILING.sub("", text[start : node.end_mark.index])
    return text[:start] + _like(written, new) + text[start + len(written) :]


def lines_of(text: str, node: yaml.Node) -> tuple[int, int]:
    """Return where the lines of a document begin and end, comments around it left out."""
    splicer = _Splicer(text)
    return splicer.line_start(_start(node)), splicer.line_end(splicer.end(node))


def _like(written: str, new: Any) -> str:
    try:
        json.loads(written)
    except ValueError:
        return dump.block(new).rstrip("\n")
    found = re.match(r"\{\s*\n( +|\t)", written)
    return json.dumps(new, ensure_ascii=False, indent=found[1] if found else None)


def _apply(text: str, cuts: Sequence[Cut]) -> str:
    # At one place what was found first comes first: inner lists are looked through before what follows them.
    parts, at = [], 0
    for cut in sorted(cuts, key=lambda cut: (cut.start, cut.end > cut.start)):
        parts += [text[at : cut.start], cut.text]
        at = max(at, cut.end)
    return "".join([*parts, text[at:]])


def _start(node: yaml.Node) -> int:
    assert node.start_mark is not None
    return node.start_mark.index


def _column(node: yaml.Node) -> int:
    assert node.start_mark is not None
    return node.start_mark.column


class _Splicer:
    """Collects the cuts for one document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._break = "\r\n" if "\r\n" in text else "\n"
        self.cuts: list[Cut] = []

    def node(self, node: yaml.Node, old: Any, new: Any) -> None:
        """Collect what turns a node's old value into the new one.

        Raises:
            _Whole: The node has to be written anew.
        """
        if old == new:
            return
        if isinstance(node, yaml.MappingNode) and isinstance(new, dict) and new and not node.flow_style:
            self._mapping(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list) and new and not node.flow_style:
            self._sequence(node, old, new)
        else:
            raise _Whole

    def _mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        kept = len(self.cuts)
        try:
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise _Whole
                if key.value not in new:
                    self._delete(_start(key), self.line_end(self.end(value)))
                else:
                    self._entry(key, value, old[key.value], new[key.value], _column(node))
        except _Whole:
            del self.cuts[kept:]
            raise
        added = {key: value for key, value in new.items() if key not in old}
        if added:
            self._insert(self.line_end(self.end(node)), self._block(added, _column(node)))

    def _entry(self, key: yaml.Node, value: yaml.Node, old: Any, new: Any, indent: int) -> None:
        kept = len(self.cuts)
        try:
            self.node(value, old, new)
        except _Whole:
            del self.cuts[kept:]
            assert key.end_mark is not None
            written = self._value(new, indent, flow=_is_flow(value))
            self.cuts.append(Cut(key.end_mark.index, self.end(value), written))

    def _value(self, new: Any, indent: int, *, flow: bool) -> str:
        if flow and isinstance(new, list | dict):
            return f": {dump.flow(new)}"
        lines = self._block({"k": new}, indent).rstrip("\r\n")
        return lines[lines.index("k") + 1 :]

    def _sequence(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> None:
        column = _column(node)
        dashes = [self._dash(item, column) for item in node.value]
        ends = [self.line_end(self.end(item)) for item in node.value]
        matcher = difflib.SequenceMatcher(None, _names(old), _names(new), autojunk=False)
        for what, from_old, to_old, from_new, to_new in matcher.get_opcodes():
            if what == "equal":
                for at, new_at in zip(range(from_old, to_old), range(from_new, to_new), strict=True):
                    self._item(node.value[at], old[at], new[new_at], (dashes[at], ends[at]), column)
                continue
            if to_old > from_old:
                self._delete(dashes[from_old], ends[to_old - 1])
            if to_new > from_new:
                at = self.line_start(dashes[from_old]) if from_old < len(old) else ends[-1]
                self._insert(at, self._block(new[from_new:to_new], column))

    def _item(self, node: yaml.Node, old: Any, new: Any, span: tuple[int, int], column: int) -> None:
        kept = len(self.cuts)
        try:
            self.node(node, old, new)
        except _Whole:
            del self.cuts[kept:]
            self._delete(*span)
            self._insert(self.line_start(span[0]), self._block([new], column))

    def _dash(self, item: yaml.Node, column: int) -> int:
        """Return where an item's dash is: on its first line, or on one above."""
        at = self.line_start(_start(item))
        while self._text[at + column : at + column + 1] != "-":
            if at == 0:
                raise _Whole
            at = self.line_start(at - 1)
        return at + column

    def _delete(self, start: int, end: int) -> None:
        line = self.line_start(start)
        if self._text[line:start].strip():
            # Something else begins on the same line: the dash of the list's item.
            raise _Whole
        self.cuts.append(Cut(line, end, ""))

    def _insert(self, at: int, lines: str) -> None:
        if at and self._text[at - 1] not in "\r\n":
            # The text ends without a line break, and is to end so again.
            lines = self._break + lines.removesuffix(self._break)
        self.cuts.append(Cut(at, at, lines))

    def _block(self, value: Any, indent: int) -> str:
        lines = dump.block(value).splitlines()
        return "".join(f"{' ' * indent if line else ''}{line}{self._break}" for line in lines)

    def end(self, node: yaml.Node) -> int:
        """Return where a node's text ends; its own mark may lie behind blank lines and comments."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self.end(last[1] if isinstance(last, tuple) else last)
        assert node.end_mark is not None
        end = node.end_mark.index
        if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
            end = len(self._text[:end].rstrip())
        return end

    def line_start(self, at: int) -> int:
        """Return where the line begins that holds an offset."""
        return self._text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Return where the line after it begins."""
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found + 1


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style) and bool(node.value)


def _names(items: Sequence[Any]) -> list[str]:
    """Return what tells items apart although they changed: their name, or themselves."""
    return [str(item["name"]) if isinstance(item, dict) and "name" in item else repr(item) for item in items]
