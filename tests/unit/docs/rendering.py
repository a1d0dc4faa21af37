"""Renders the chart: the few forms of Helm's templates that it keeps to, so that nobody needs Helm to check it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[3] / "config" / "helm" / "devloop"
NAMESPACE: Final = "devloop-system"
VALUES: Final[dict[str, Any]] = yaml.safe_load((CHART / "values.yaml").read_text())

_ACTION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}")


def chart(**changed: Any) -> list[dict[str, Any]]:
    """Return all objects of the chart, with some values changed."""
    names = sorted(path.name for path in (CHART / "templates").iterdir())
    return [each for name in names for each in template(name, **changed)]


def template(file: str, /, release: str = NAMESPACE, **changed: Any) -> list[dict[str, Any]]:
    """Return the objects of one template, as a release in a namespace."""
    lines = (CHART / "templates" / file).read_text().splitlines()
    found = _Rendering(release, {**VALUES, **changed}).block(lines, None)
    return [each for each in yaml.safe_load_all("\n".join(found)) if each]


class _Rendering:
    """One template's rendering."""

    def __init__(self, release: str, values: Mapping[str, Any]) -> None:
        self._release = release
        self._values = values

    def block(self, lines: list[str], item: Any) -> list[str]:
        """Render lines, in a loop with its item."""
        found: list[str] = []
        while lines:
            line = lines.pop(0)
            action = _ACTION.fullmatch(line.strip())
            word, _, rest = action[1].partition(" ") if action else ("", "", "")
            if word not in ("if", "range"):
                found.append(_ACTION.sub(lambda each: self._text(each[1], item), line))
                continue
            body, otherwise = _taken(lines)
            told = self._value(rest, item)
            if word == "if":
                found += self.block(body if told else otherwise, item)
            else:
                found += [line for each in told for line in self.block(list(body), each)]
        return found

    def _text(self, expression: str, item: Any) -> str:
        if expression.startswith("join "):
            _, separator, reference = expression.split()
            return str(json.loads(separator).join(self._value(reference, item)))
        reference, _, function = (part.strip() for part in expression.partition("|"))
        assert function in ("", "toJson"), expression
        found = self._value(reference, item)
        return json.dumps(found) if function else str(found)

    def _value(self, reference: str, item: Any) -> Any:
        if reference == ".":
            assert item is not None
            return item
        # Within a loop the root has to be named.
        assert reference.startswith(".") if item is None else reference.startswith("$."), reference
        _, root, key = reference.split(".")
        if (root, key) == ("Release", "Namespace"):
            return self._release
        assert root == "Values"
        return self._values[key]


def _taken(lines: list[str]) -> tuple[list[str], list[str]]:
    """Take a block from lines up to its end; return it, and what follows its `else`."""
    parts: list[list[str]] = [[]]
    depth = 0
    while lines:
        line = lines.pop(0)
        action = _ACTION.fullmatch(line.strip())
        word = action[1].partition(" ")[0] if action else ""
        if depth == 0 and word == "end":
            return parts[0], [*parts, []][1]
        if depth == 0 and word == "else":
            parts.append([])
            continue
        depth += (word in ("if", "range")) - (word == "end")
        parts[-1].append(line)
    raise AssertionError("a block without its end")
