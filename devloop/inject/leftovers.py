"""Sessions of a watch that is gone: put back when devloop starts the next time.

A watch that was killed could not give its leases back. They are this person's, of this very project, and only one
process watches a project at a time: so whoever has just become that process knows that they are left over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from devloop import errors
from devloop.inject import lease, leasing, patch
from devloop.kube import client

_ENDS: Final = {
    patch.End.RESTORED: "was left patched by a watch that is gone, and is put back",
    patch.End.KEPT: "was left patched by a watch that is gone; devloop's parts are out, others' changes stay",
    patch.End.UNTOUCHED: "had a lease of a watch that is gone, and nothing of devloop in it",
    patch.End.GONE: "was deleted; the lease that a watch left on it is given back",
}


def is_left_over(one: lease.Lease, me: lease.Owner, project: str, keep: Collection[str]) -> bool:
    """Say whether a lease was left by an earlier watch of this project.

    Args:
        one: The lease.
        me: Who asks.
        project: The project, which this process alone watches now.
        keep: Workloads that are patched again at once.
    """
    mine = one.owner.is_same(me) and one.project == project
    return mine and one.until is lease.Until.WATCH and one.workload not in keep


async def give_back(
    api: client.Client, namespace: str, project: str, keep: Collection[str], say: Callable[[str], None]
) -> None:
    """Undo what earlier watches of this project left patched.

    Without the right to see leases there are none of this user's, and nothing is done.

    Args:
        api: The cluster.
        namespace: Where.
        project: The project, which this process alone watches now.
        keep: Workloads that are patched again at once.
        say: Takes a line for each.
    """
    try:
        found, _ = await leasing.every(api, namespace)
        if not found:
            return
        me = await leasing.whoami(api)
    except (errors.ForbiddenError, errors.NotThereError):
        return
    for one in found:
        if not is_left_over(one, me, project, keep):
            continue
        try:
            ended = await patch.restore(api, namespace, one)
        except errors.ClusterError as error:
            say(f"{one.workload} is left patched by a watch that is gone: {error.message}")
        else:
            say(f"{one.workload} {_ENDS[ended]}")
