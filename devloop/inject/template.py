"""A workload's pod template without devloop's parts; `devloop.kube.podtemplate` reads and replaces it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.kube import podtemplate
from devloop.podspec import inject, names, outcome

CODE: Final = podtemplate.CODE
CHANGED_CODE: Final = "DL0783"


def without(template: outcome.Tree, record: str) -> outcome.Tree:
    """Return a template without devloop's parts.

    Args:
        template: A template of the cluster.
        record: What was done to it, as its lease has it: somebody may have removed the annotation that says so.

    Raises:
        RefusedError: Parts of devloop are in it that nobody tells how to undo.
    """
    told = inject.uninject(template)
    if (told.refusals and record) or (record and not inject.is_injected(template) and inject.has_parts(template)):
        marked = copy.deepcopy(template)
        metadata = marked.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), names.ANNOTATION: record}
        told = inject.uninject(marked)
    if told.refusals:
        first = told.refusals[0]
        raise errors.RefusedError(first.message, hint=first.hint, code=first.code)
    return told.pod


def record_of(template: Mapping[str, Any]) -> str:
    """Return the record of an injected template, as its annotation has it."""
    return str(template["metadata"]["annotations"][names.ANNOTATION])
