"""Leases whose time is over: this person's are put back, others' are told, with the command that does it.

Whoever runs devloop next does this; where nobody does, an expired lease waits. A lease has expired by the cluster's
clock, which also wrote down when it was renewed last. Before one is put back it is read once more: a renewal that came
meanwhile keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from devloop import errors
from devloop.argocd import backend, choice, lease, leasing, switch, switching
from devloop.kube import client

if TYPE_CHECKING:
    from devloop.config import model


def are(leases: leasing.Leases, found: list[lease.Lease]) -> list[lease.Lease]:
    """Return those that have expired."""
    now = leases.now()
    return [each for each in found if each.has_expired(now)]


async def settle(apps: backend.Backend, leases: leasing.Leases, say: Callable[[str], None]) -> None:
    """Put this person's expired leases back, and tell of others'.

    Without the right to see leases there are none of this person's, and nothing is done. Trouble is told and ends
    nothing: the verb that was asked for has its own.

    Args:
        apps: The way to Applications.
        leases: The developer's namespace.
        say: Takes a line for each.
    """
    try:
        found, _ = await leases.every()
        late = are(leases, found)
        if not late:
            return
        me = await leases.me()
    except (errors.ForbiddenError, errors.NotThereError):
        return
    for each in late:
        if not each.owner.is_same(me):
            say(
                f"the lease {each.name} of {each.owner} has expired: `devloop env restore --lease {each.name}` puts it "
                "back"
            )
            continue
        try:
            fresh = await leases.find(each.reference)
            if fresh is None or fresh.renewed != each.renewed:
                continue
            ended = await switch.put_back(apps, leases, fresh)
        except errors.ClusterError as error:
            say(f"your lease {each.name} has expired and could not be put back: {error.message}")
        else:
            say(f"your lease {each.name} had expired: {'; '.join(words(one) for one in ended)}")


async def at_start(
    api: client.Client, namespace: str, said: model.Argocd | None, user: str, say: Callable[[str], None]
) -> None:
    """Do what `settle` does, where there is a reason to; the way to Applications is opened only then.

    Args:
        api: The cluster.
        namespace: The developer's namespace.
        said: What devloop.yaml says of Argo CD.
        user: Who is said to have begun a sync.
        say: Takes a line for each lease.
    """
    leases = leasing.Leases(api, namespace)
    try:
        found, _ = await leases.every()
        if are(leases, found):
            async with choice.opened(api, said, user) as apps:
                await settle(apps, leases, say)
    except (errors.ForbiddenError, errors.NotThereError):
        # Whoever may not see leases has none.
        return
    except errors.ClusterError as error:
        say(f"whether a lease on Applications has expired cannot be seen: {error.message}")


def words(ended: switch.Ended) -> str:
    """Return in a few words what became of an Application."""
    match ended.standing:
        case switching.Standing.OURS:
            return f"{ended.reference} is put back"
        case switching.Standing.UNTOUCHED:
            return f"{ended.reference} was as before already"
        case switching.Standing.GONE:
            return f"{ended.reference} is not there any more"
        case switching.Standing.FOREIGN:
            return f"{ended.reference} stays as it is: {ended.words}"
