"""pydantic's complaints in the words of someone who writes YAML: what was expected, found, and probably meant."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Final

import pydantic
from pydantic_core import ErrorDetails

from devloop.config import checks, model, nodes, values

CODE: Final = "DL0204"
UNKNOWN_CODE: Final = "DL0203"

kind_of = values.kind_of


def spell(loc: checks.Loc) -> str:
    """Return `services.web.sync[0].from` for the keys and indexes that lead there."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def of(error: pydantic.ValidationError, root: nodes.Node) -> Iterator[tuple[checks.Finding, str]]:
    """Yield what pydantic found wrong with a document, each with its code.

    Args:
        error: What pydantic raised.
        root: The document, which tells written keys from pydantic's own steps.
    """
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            continue  # Its items are wrong, not their number, and that is told by itself.
        loc = _written(detail["loc"], root, keep_last=detail["type"] in {"missing", "extra_forbidden"})
        yield _finding(detail, loc)


def _written(loc: tuple[str | int, ...], root: nodes.Node, *, keep_last: bool) -> checks.Loc:
    """Drop the steps that are not in the document: `[key]` of a mapping's key, for example."""
    steps = [step for step in loc if step != "[key]"]
    node, kept = root, 0
    for step in steps:
        if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
            node = node.value[step].node
        elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            break
        kept += 1
    return tuple(steps if keep_last and kept >= len(steps) - 1 else steps[:kept])


def _finding(detail: ErrorDetails, loc: checks.Loc) -> tuple[checks.Finding, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = _keys_at(loc[:-1])
        hint = values.did_you_mean(str(loc[-1]), known) or f"known here: {', '.join(sorted(known))}"
        return checks.Finding(loc, "unknown key", hint, True), UNKNOWN_CODE
    is_key = "[key]" in detail["loc"]
    if kind == "value_error":
        cause = detail["ctx"]["error"]
        return checks.Finding(loc, str(cause), getattr(cause, "hint", ""), is_key), CODE
    tell = _MESSAGES.get(kind, _fallback)
    message, hint = tell(detail)
    return checks.Finding(loc, message, hint, kind == "missing"), CODE


def _fallback(detail: ErrorDetails) -> tuple[str, str]:
    return detail["msg"], ""


def _expected(what: str, hint: str = "") -> Callable[[ErrorDetails], tuple[str, str]]:
    return lambda detail: (f"expected {what}, found {kind_of(detail['input'])}", hint)


def _one_of(detail: ErrorDetails) -> tuple[str, str]:
    expected = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
    found = detail["input"]
    hint = values.did_you_mean(found, expected) if isinstance(found, str) else ""
    return f"expected one of {', '.join(expected)}, found {kind_of(found)}", hint


def _too_short(detail: ErrorDetails) -> tuple[str, str]:
    return "at least one is needed", ""


_MESSAGES: Final[dict[str, Callable[[ErrorDetails], tuple[str, str]]]] = {
    "missing": lambda detail: ("the key is missing", ""),
    "string_type": _expected("text"),
    "tuple_type": _expected("a list", "write [ITEM, …], or one '- ITEM' a line"),
    "dict_type": _expected("a mapping", "write KEY: VALUE below it"),
    "model_type": _expected("a mapping", "write KEY: VALUE below it"),
    "bool_type": _expected("true or false"),
    "bool_parsing": _expected("true or false"),
    "enum": _one_of,
    "literal_error": _one_of,
    "too_short": _too_short,
    "string_too_short": lambda detail: ("the text is empty", ""),
}


def _keys_at(loc: checks.Loc) -> frozenset[str]:
    """Return the keys that the model knows in the mapping that `loc` leads to."""
    part: Any = model.Config
    for step in loc:
        part = _step(part, step)
    return part.yaml_keys() if isinstance(part, type) and issubclass(part, model.Part) else frozenset()


def _step(part: Any, step: str | int) -> Any:
    if isinstance(part, type) and issubclass(part, model.Part):
        field = next((field for name, field in part.model_fields.items() if (field.alias or name) == step), None)
        return _bare(field.annotation) if field else None
    inner = typing.get_args(part)
    if typing.get_origin(part) is dict:
        return _bare(inner[1])
    return _bare(inner[0]) if typing.get_origin(part) is tuple else None


def _bare(annotation: Any) -> Any:
    """Return an annotation without `| None`."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation
