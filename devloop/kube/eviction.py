"""Evicting pods: the polite deletion, which PodDisruptionBudgets may forbid for now.

A pod without a controller is never evicted, because nothing would make it again.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, paths, pods

# Eviction's own version went from policy/v1beta1 to policy/v1 in 1.22, and the old one was removed in 1.25.
_V1_SINCE: Final = (1, 22)
_TOO_MANY: Final = 429


class End(enum.StrEnum):
    """What an eviction came to."""

    EVICTED = "evicted"
    GONE = "gone"
    """It, or the pod of that uid, was not there any more."""
    FORBIDDEN_NOW = "forbidden now"
    """A PodDisruptionBudget does not allow it now; it may later."""
    LEFT = "left"
    """It is not for eviction: nobody would make it again, or it is ending anyway."""


class Evicted(msgspec.Struct, frozen=True):
    """One eviction.

    Attributes:
        pod: The pod's name.
        end: What it came to.
        message: Why, where it was not evicted; where a budget forbids it, in the API server's own words.
    """

    pod: str
    end: End
    message: str = ""


async def evict(api: client.Client, namespace: str, pod: pods.Pod, version: client.Version) -> Evicted:
    """Evict a pod, this very one and not another of its name.

    Args:
        api: The connection.
        namespace: The pod's.
        pod: The pod.
        version: The API server's.

    Raises:
        ClusterError: There is no right to it, or no API server.
    """
    if pod.owner is None:
        return Evicted(pod.name, End.LEFT, f"{pod.name} has no controller that would make it again")
    if pod.terminating:
        return Evicted(pod.name, End.LEFT, f"{pod.name} is ending already")
    path = paths.of("v1", "pods", namespace, pod.name, "eviction")
    try:
        await api.create(path, body(namespace, pod, version))
    except errors.NotThereError:
        return Evicted(pod.name, End.GONE)
    except errors.ConflictError:
        # The precondition: a pod of the same name has taken its place.
        return Evicted(pod.name, End.GONE)
    except errors.UnreachableError as error:
        if error.status != _TOO_MANY:
            raise
        return Evicted(pod.name, End.FORBIDDEN_NOW, error.words or error.message)
    return Evicted(pod.name, End.EVICTED)


def body(namespace: str, pod: pods.Pod, version: client.Version) -> dict[str, Any]:
    """Return the Eviction to create."""
    return {
        "apiVersion": "policy/v1" if version.at_least(*_V1_SINCE) else "policy/v1beta1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
