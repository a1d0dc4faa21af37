"""A workload's pod template: read, replaced under a test, and without devloop's parts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.inject import marks
from devloop.kube import client, workloads
from devloop.podspec import inject, names, outcome

CODE: Final = "DL0782"
CHANGED_CODE: Final = "DL0783"

# Somebody who changes a template does it once; more rounds than this are a fight with another program.
ROUNDS: Final = 4


def of(raw: Mapping[str, Any], reference: workloads.Reference) -> outcome.Tree:
    """Return a workload's pod template.

    Raises:
        ClusterError: It has none.
    """
    template = (raw.get("spec") or {}).get("template")
    if not isinstance(template, dict):
        raise errors.ClusterError(f"{reference} has no pod template", code=CODE)
    return template


async def replace(
    api: client.Client,
    namespace: str,
    reference: workloads.Reference,
    before: outcome.Tree,
    after: outcome.Tree,
    *,
    dry: bool = False,
) -> outcome.Tree | None:
    """Replace a workload's template if it is still as it was seen.

    Args:
        api: The cluster.
        namespace: The workload's namespace.
        reference: The workload.
        before: The template as it was seen.
        after: What it is to be.
        dry: Only try it.

    Returns:
        The template as the cluster has it then; None where it was not as it was seen any more.

    Raises:
        ClusterError: The API server does not allow or not take it.
    """
    operations = [
        {"op": "test", "path": "/spec/template", "value": before},
        {"op": "replace", "path": "/spec/template", "value": after},
    ]
    query = {"fieldManager": marks.MANAGER, **({"dryRun": "All"} if dry else {})}
    path = reference.path(namespace)
    try:
        raw = await api.patch(path, operations, client.Patch.JSON, query)
    except errors.ConflictError:
        return None
    except errors.RefusedError:
        # A test that fails and an object that is not valid are both 422 (RFC 5789, section 2.2).
        if of(await api.find(path), reference) != before:
            return None
        raise
    return of(raw, reference)


def without(template: outcome.Tree, record: str) -> outcome.Tree:
    """Return a template without devloop's parts.

    Args:
        template: A template of the cluster.
        record: What was done to it, as its lease has it: somebody may have removed the annotation that says so.

    Raises:
        RefusedError: Parts of devloop are in it that nobody tells how to undo.
    """
    told = inject.uninject(template)
    if (told.refusals and record) or (record and not inject.is_injected(template) and _has_parts(template)):
        marked = copy.deepcopy(template)
        metadata = marked.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), names.ANNOTATION: record}
        told = inject.uninject(marked)
    if told.refusals:
        first = told.refusals[0]
        raise errors.RefusedError(first.message, hint=first.hint, code=first.code)
    return told.pod


def _has_parts(template: Mapping[str, Any]) -> bool:
    spec = template.get("spec") or {}
    return any(
        names.is_ours(each.get("name"))
        for key in ("containers", "initContainers", "volumes")
        for each in spec.get(key) or []
    )


def record_of(template: Mapping[str, Any]) -> str:
    """Return the record of an injected template, as its annotation has it."""
    return str(template["metadata"]["annotations"][names.ANNOTATION])
