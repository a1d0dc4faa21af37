"""Why there is nobody to sync to, in the cluster's own words.

They are in the events of a pod that does not start, or of a workload whose pods are not even made.

Asked for only where something is wrong, and never waited for long: without an answer, the pod's state is all there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from devloop import errors
from devloop.kube import client, paths

ASK_S: Final = 5.0

# What the kubelet and the controllers say of a pod or an image that they could not make; a mere "Error: ErrImagePull"
# and "Back-off" follow from it, and tell less.
_FAILED: Final = frozenset({"Failed", "FailedCreate", "FailedMount", "FailedScheduling", "InspectFailed"})
_EMPTY: Final = ("Error: ", "Back-off ")
_MOST: Final = 400


async def of_pod(api: client.Client, namespace: str, pod: str) -> str:
    """Return why a pod does not start, as the newest event that tells a reason does; empty where none does."""
    selector = f"involvedObject.kind=Pod,involvedObject.name={pod},type=Warning"
    return newest(await _events(api, namespace, selector))


async def of_workload(api: client.Client, namespace: str, name: str) -> str:
    """Return why a workload has no pods, by its own events or those of the ReplicaSets that are called after it."""
    found = await _events(api, namespace, "reason=FailedCreate")
    return newest(each for each in found if _is_of(str(_map(each, "involvedObject").get("name", "")), name))


def newest(events: Iterable[Mapping[str, Any]]) -> str:
    """Return the message of the newest event that tells a reason, cut to a sensible length; else an empty text."""
    telling = [
        (str(each.get("lastTimestamp") or _map(each, "metadata").get("creationTimestamp") or ""), message)
        for each in events
        if str(each.get("reason")) in _FAILED and (message := " ".join(str(each.get("message") or "").split()))
        if not message.startswith(_EMPTY)
    ]
    message = max(telling, default=("", ""))[1]
    return message if len(message) <= _MOST else f"{message[:_MOST]}…"


def _is_of(involved: str, name: str) -> bool:
    rest = involved.removeprefix(name)
    # A ReplicaSet adds a hash without a hyphen in it: `web-5d8f` is of `web`, and `web-api-5d8f` is not.
    return involved.startswith(name) and (not rest or (rest.startswith("-") and "-" not in rest[1:]))


async def _events(api: client.Client, namespace: str, selector: str) -> tuple[client.Object, ...]:
    try:
        async with asyncio.timeout(ASK_S):
            return (await api.list(paths.of("v1", "events", namespace), {"fieldSelector": selector})).items
    except (errors.ClusterError, TimeoutError):
        # Without the right to read events, or while the server is busy, the pod's state tells what there is to tell.
        return ()


def _map(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = raw.get(key)
    return found if isinstance(found, Mapping) else {}
