"""Values as YAML that every tool around Kubernetes reads alike.

PyYAML writes what PyYAML reads back; Kubernetes' own reader takes a few more plain words for numbers or booleans
(`1e3`, `0o17`, `y`), so these are quoted. Text of several lines becomes a block, for people.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml

_NUMBER_LIKE: Final = re.compile(r"[-+]?[.0-9][-+.0-9a-fA-FxXoO_]*|[yYnN]|=")
_NEVER_WRAP: Final = 1 << 20


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, data: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    if "\n" in data and not re.search(r"[ \t]\n|\r|\A[ \t\n]", data):
        return dumper.represent_scalar(tag, data, style="|")
    return dumper.represent_scalar(tag, data, style="'" if _NUMBER_LIKE.fullmatch(data) else None)


_Dumper.add_representer(str, _text)


def block(value: Any) -> str:
    """Return a value as block YAML, with a line break at its end."""
    return _dump(value, flow=False)


def flow(value: Any) -> str:
    """Return a value in one line, with brackets."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return inline(value)


def inline(value: Any) -> str:
    """Return a scalar, or an empty collection, in one line."""
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value, ensure_ascii=False)
    return _dump(value, flow=True).removesuffix("...\n").strip("\n")


def _dump(value: Any, *, flow: bool) -> str:
    made = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER_WRAP, default_flow_style=flow
    )
    assert isinstance(made, str)
    return made
