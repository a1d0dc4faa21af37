"""JSON with comments, changed in its text.

Editors' files belong to people, who comment and order them. So nothing is parsed and dumped again: `put` and `put_item`
rewrite the one entry that they are about, or add it in the style of its neighbours, and every other byte stays. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from devloop.ide import jsonc

# The longest list that is written on one line, in characters.
_FLAT: Final = 80

Path: TypeAlias = "Sequence[str]"


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
    root = jsonc.parse(text, shown)
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


def _at(text: str, shown: str, path: Path) -> jsonc.Node | None:
    node = jsonc.parse(text, shown)
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


def _must_be(kind: type, node: jsonc.Node, text: str, shown: str, path: Path) -> None:
    if not isinstance(node.value, kind):
        wanted = "an object" if kind is dict else "a list"
        name = ".".join(path) or "the file"
        raise jsonc.error(text, shown, node.start, f"{name} is not {wanted}", "make it one, or move the file away")


def _nested(path: Path, value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


# ---- changing the text ----------------------------------------------------------------------------------------------


def _append(text: str, value: Any) -> str:
    newline = _newline(text)
    gap = "" if not text.strip(jsonc.BOM) or text.endswith("\n") else newline
    return f"{text}{gap}{_dump(value, '', '  ', newline, '')}{newline}"


def _replace(text: str, node: jsonc.Node, value: Any, note: str) -> str:
    indent = _indent_at(text, node.start)
    return text[: node.start] + _dump(value, indent, _unit(text), _newline(text), note) + text[node.end :]


def _add(text: str, node: jsonc.Node, key: str, value: Any, note: str) -> str:
    """Add an entry at the end of an object or list, behind the comments that stand there."""
    newline, outer = _newline(text), _indent_at(text, node.start)
    last = node.children[-1] if node.children else None
    own_line = last is not None and not text[jsonc.line_start(text, last.start) : last.start].strip(" \t" + jsonc.BOM)
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


def _indent_at(text: str, at: int) -> str:
    found = re.compile(r"[ \t]*").match(text, jsonc.line_start(text, at))
    assert found is not None
    return found[0]
