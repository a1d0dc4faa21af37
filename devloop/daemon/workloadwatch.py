"""Follows a workload itself: one that is deleted and made anew, or that is changed, may mean other pods than before.

Which pods it means is asked of whoever follows the pods; nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from devloop import errors
from devloop.kube import client, paths, watch, workloads

Mean = Callable[[client.Object], workloads.Wanted]


async def until_another(
    api: client.Client,
    namespace: str,
    reference: workloads.Reference | None,
    known: workloads.Wanted,
    mean: Mean,
    say: Callable[[errors.ClusterError], None],
) -> workloads.Wanted:
    """Return the pods that a workload means, once those are others than the known ones.

    Where the workload may not be watched, or is not one, that is never: the pods are then followed as they were found.

    Args:
        api: The cluster.
        namespace: Where.
        reference: The workload; None where labels mean the pods.
        known: The pods as they are followed now.
        mean: Returns the pods that an object of the cluster means; raises ClusterError where it cannot be followed.
        say: Takes why one of now cannot be followed; what comes after it may be.
    """
    # A pod is followed by its name, whichever pod has it.
    if reference is not None and reference.kind.name != "Pod":
        path = paths.of(reference.kind.version, reference.kind.plural, namespace)
        seen = watch.Watch(api, path, {"fieldSelector": f"metadata.name={reference.name}"})
        with contextlib.suppress(errors.ForbiddenError, errors.NotThereError):
            async with contextlib.aclosing(seen.events()) as stream:
                async for event in stream:
                    found = _meant(event, mean, say)
                    if found is not None and found != known:
                        return found
    never: asyncio.Future[workloads.Wanted] = asyncio.get_running_loop().create_future()
    return await never


def _meant(event: watch.Event, mean: Mean, say: Callable[[errors.ClusterError], None]) -> workloads.Wanted | None:
    match event:
        case watch.Listed(items):
            raw = items[0] if items else None
        case watch.Changed(found):
            raw = found
        case _:
            # It is gone, or nothing is known of it now: its pods tell that as well.
            raw = None
    if raw is None:
        return None
    try:
        return mean(raw)
    except errors.ClusterError as error:
        say(error)
        return None
