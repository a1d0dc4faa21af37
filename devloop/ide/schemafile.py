"""The JSON schema of devloop.yaml as a file of the editor's: there without a network, and for everybody who clones.

Pure. Its mark is in `$comment`, which JSON Schema leaves to people (draft 7, section 9).
"""

from __future__ import annotations

import json
from typing import Any

from devloop.ide import jsonc, marks, plan


def file(path: str, texts: plan.Texts, schema: dict[str, Any], *, force: bool) -> plan.File:
    """Return the file as it is to be.

    Args:
        path: Where it is kept in the workspace.
        texts: The files as they are.
        schema: The schema.
        force: Replace it also where it is not devloop's.

    Raises:
        ConfigError: The file that is there is broken.
    """
    before = texts(path)
    after = json.dumps({"$comment": marks.of_value(schema), **schema}, indent=2, ensure_ascii=False) + "\n"
    if before is None or force or _is_ours(before, path):
        return plan.File(path, before, after)
    return plan.File(path, before, before, (plan.kept(path, "it"),))


def _is_ours(text: str, path: str) -> bool:
    node = jsonc.parse(text, path)
    if node is None:
        return True
    held = dict(node.value) if isinstance(node.value, dict) else {}
    comment = held.pop("$comment", "")
    return isinstance(comment, str) and marks.fits(marks.of_value(held), comment)
