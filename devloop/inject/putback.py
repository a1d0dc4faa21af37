"""A patched workload is put back, and its lease given back: the end of rung 4, from the lease alone."""

from __future__ import annotations

import enum

from devloop import errors
from devloop.inject import lease, leasing, template
from devloop.kube import client, podtemplate, workloads
from devloop.podspec import undo


class End(enum.StrEnum):
    """How a workload was left when its lease was given back."""

    RESTORED = "restored"
    """Exactly as it was."""
    KEPT = "kept"
    """Without devloop's parts, and with what others changed meanwhile."""
    UNTOUCHED = "untouched"
    """Nothing of devloop was in it any more."""
    GONE = "gone"
    """It was deleted."""


async def restore(api: client.Client, namespace: str, one: lease.Lease) -> End:
    """Put a workload's template back, and give its lease back.

    What others changed in the template since is not overwritten: only devloop's own parts are taken out.

    Args:
        api: The cluster.
        namespace: The workload's namespace.
        one: Its lease.

    Raises:
        ConflictError: Somebody took the lease over, or changes the workload again and again.
        ClusterError: The cluster cannot be asked or does not allow it, or parts of devloop are in the template that
            cannot be told from others'.
    """
    reference = workloads.parse(one.workload)
    for _ in range(podtemplate.ROUNDS):
        try:
            raw = await api.get(reference.path(namespace))
        except errors.NotThereError:
            await leasing.give_back(api, namespace, one)
            return End.GONE
        before = podtemplate.of(raw, reference)
        wanted = template.without(before, one.restore.record)
        found = undo.digest(before)
        if before == wanted:
            await leasing.give_back(api, namespace, one)
            return End.RESTORED if found == one.restore.original else End.UNTOUCHED
        after = await podtemplate.replace(api, namespace, reference, before, wanted)
        if after is not None:
            await leasing.give_back(api, namespace, one)
            return End.RESTORED if undo.digest(after) == one.restore.original else End.KEPT
    raise errors.ConflictError(
        f"{reference} is changed by something else again and again",
        hint="run `devloop down` again when it is quiet",
        code=template.CHANGED_CODE,
    )
