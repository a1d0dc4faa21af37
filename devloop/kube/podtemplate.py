"""A workload's pod template: read, and replaced under a test that it is still as it was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.kube import client, workloads
from devloop.podspec import names, outcome

CODE: Final = "DL0782"

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
    query = {"fieldManager": names.MANAGER, **({"dryRun": "All"} if dry else {})}
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
