"""JSON patches as the API server carries them out (evanphx/json-patch): enough for the tests of this package."""

from __future__ import annotations

import copy
from typing import Any


class TestFailed(Exception):
    """A `test` does not hold, or a place is not there."""

    __test__ = False


def apply(raw: dict[str, Any], changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the object after a patch. A `test` for null holds for a key that is not there, with its parent."""
    found = copy.deepcopy(raw)
    for change in changes:
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in change["path"].split("/")[1:])
        parent: Any = found
        for part in way:
            parent = _step(parent, part)
        match change["op"]:
            case "test":
                now = parent.get(last) if isinstance(parent, dict) else _step(parent, last)
                if now != change["value"]:
                    raise TestFailed(change["path"])
            case "add":
                parent[last] = copy.deepcopy(change["value"])
            case "replace":
                _step(parent, last)
                parent[last] = copy.deepcopy(change["value"])
            case "remove":
                _step(parent, last)
                del parent[last]
            case other:
                raise AssertionError(other)
    return found


def _step(parent: Any, part: str) -> Any:
    try:
        return parent[int(part)] if isinstance(parent, list) else parent[part]
    except (KeyError, IndexError, TypeError, ValueError):
        raise TestFailed(part) from None
