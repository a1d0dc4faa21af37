"""`${VAR}`, `${VAR:-default}` and `$$` in the values of devloop.yaml.

Works on parsed nodes, so a variable's content is always one value and cannot add or break YAML; keys are left
alone. Any other `$` stays as it is: `$HOME` in a shell line is the shell's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from devloop import errors
from devloop.config import nodes

UNSET_CODE: Final = "DL0205"

_REFERENCE: Final = re.compile(r"\$\$|\$\{(?P<body>[^}]*)(?P<end>\}?)")
_BODY: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<sign>:-)?(?P<default>.*)", re.DOTALL)


def expand(root: nodes.Node, environ: Mapping[str, str]) -> tuple[nodes.Node, list[errors.ConfigError]]:
    """Return the document with every variable replaced, and what was wrong with some.

    Args:
        root: The merged document.
        environ: The variables.

    Returns:
        The new document, and the errors; a value with an error keeps its text.
    """
    found: list[errors.ConfigError] = []
    return _node(root, environ, found), found


def _node(node: nodes.Node, environ: Mapping[str, str], found: list[errors.ConfigError]) -> nodes.Node:
    value: nodes.Value
    if isinstance(node.value, dict):
        value = {key: nodes.Item(item.place, _node(item.node, environ, found)) for key, item in node.value.items()}
    elif isinstance(node.value, list):
        value = [_node(child, environ, found) for child in node.value]
    elif node.value is not None and "$" in node.value:
        value = _text(node.value, node.place, environ, found)
    else:
        return node
    return msgspec.structs.replace(node, value=value)


def _text(text: str, place: nodes.Place, environ: Mapping[str, str], found: list[errors.ConfigError]) -> str:
    parts, position = [], 0
    for reference in _REFERENCE.finditer(text):
        parts.append(text[position : reference.start()])
        position = reference.end()
        if reference[0] == "$$":
            parts.append("$")
            continue
        try:
            parts.append(_variable(reference, place, environ))
        except errors.ConfigError as error:
            found.append(error)
            return text
    return "".join([*parts, text[position:]])


def _variable(reference: re.Match[str], place: nodes.Place, environ: Mapping[str, str]) -> str:
    body = _BODY.fullmatch(reference["body"])
    if not reference["end"]:
        raise place.error("'${' without '}'", hint="write $${ for the two characters", code=UNSET_CODE)
    if not body or "${" in reference["body"] or (body["default"] and not body["sign"]):
        raise place.error(
            f"{reference[0]!r} is not a variable",
            hint="write ${NAME} or ${NAME:-default}; $${ stands for ${ itself",
            code=UNSET_CODE,
        )
    name = body["name"]
    if body["sign"]:
        return environ.get(name) or body["default"]
    if name not in environ:
        raise place.error(
            f"the variable {name} is not set", hint=f"set it, or write ${{{name}:-default}}", code=UNSET_CODE
        )
    return environ[name]
