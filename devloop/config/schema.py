"""The JSON schema of devloop.yaml, for editors: made from the model, kept in `config/devloop.schema.json`.

It describes what a person writes, before variables are replaced. What only devloop can check (overlaps, folders,
ports in use) is not in it: `devloop config validate` says that.
"""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import json_schema

from devloop.config import model

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

# `reload: supervise` is short for a mapping; the model's own schema knows the mapping only.
_RELOAD: Final = {"$ref": "#/$defs/Reload"}


class _Generator(json_schema.GenerateJsonSchema):
    """Leaves out the titles that only repeat a key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say that no field gets a title: its key is one."""
        return False


def generate() -> dict[str, Any]:
    """Return the schema, as JSON's own values."""
    made = model.Config.model_json_schema(by_alias=True, schema_generator=_Generator, mode="validation")
    service = made["$defs"]["Service"]["properties"]
    reload = service["reload"]
    service["reload"] = {
        "anyOf": [_RELOAD, {"$ref": "#/$defs/Mode"}],
        "description": reload["description"],
        "default": {"mode": "none"},
    }
    made["properties"]["services"]["additionalProperties"] = False
    _mend(made)
    del made["properties"]["watch"]["default"]
    made["title"] = "devloop.yaml"
    return {"$schema": DIALECT, **made}


def text() -> str:
    """Return the schema as the file that is committed."""
    return json.dumps(generate(), indent=2, ensure_ascii=False) + "\n"


def _mend(schema: dict[str, Any]) -> None:
    """Let an optional key be there with nothing behind it, as the loader does, and drop defaults that say nothing."""
    for part in [schema, *schema["$defs"].values()]:
        required = part.get("required", [])
        for key, field in part.get("properties", {}).items():
            if key not in required and isinstance(field.get("type"), str):
                field["type"] = [field["type"], "null"]
            if field.get("default") in (None, "", [], {}):
                field.pop("default", None)
