"""The difference of two objects as a JSON patch (RFC 6902): how a mutating webhook says what it wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def diff(old: Any, new: Any, at: str = "") -> Iterator[dict[str, Any]]:
    """Yield the operations that make `new` of `old`, to be applied in this order.

    Lists are compared by place, with additions at the end: devloop adds its own last, and what it changes before that
    stays where it is.

    Args:
        old: What is there, as JSON is decoded.
        new: What is wanted.
        at: The JSON pointer of the two.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mappings(old, new, at)
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        for index, one in enumerate(old):
            yield from diff(one, new[index], f"{at}/{index}")
        for item in new[len(old) :]:
            yield {"op": "add", "path": f"{at}/-", "value": item}
    # 1, 1.0 and True are equal in Python, and different in JSON.
    elif old != new or type(old) is not type(new):
        yield {"op": "replace", "path": at, "value": new}


def _of_mappings(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[dict[str, Any]]:
    for key in old.keys() - new.keys():
        yield {"op": "remove", "path": f"{at}/{_step(key)}"}
    for key, value in new.items():
        path = f"{at}/{_step(key)}"
        if key in old:
            yield from diff(old[key], value, path)
        else:
            yield {"op": "add", "path": path, "value": value}


def _step(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
