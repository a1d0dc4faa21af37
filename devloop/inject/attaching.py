"""Adds agents to pods that run, as `attach` decides, and says why where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.inject import attach, marks, running
from devloop.kube import client, paths
from devloop.podspec import request

_USER_CODE: Final = "DL0803"


async def add(
    api: client.Client,
    namespace: str,
    pod: Mapping[str, Any],
    service: request.Service,
    agent_image: str,
    number: int,
) -> str:
    """Add an agent to a pod.

    Args:
        api: The cluster.
        namespace: The pod's.
        pod: The pod.
        service: The service that it belongs to.
        agent_image: The agent's image.
        number: Counts the agents of this pod, from 1.

    Returns:
        Who the app runs as and who says so, for people.

    Raises:
        RefusedError: It cannot have one, with every reason; or the cluster does not take it.
        ForbiddenError: There is no right to.
        ClusterError: The cluster does not do it now.
    """
    found = attach.container_of(pod, service.container)
    name = str((pod.get("metadata") or {}).get("name", ""))
    if not isinstance(found, str):
        raise errors.RefusedError(f"pod {name}: {found.message}", hint=found.hint, code=found.code)
    version = await api.version()
    subject = attach.Subject(pod, found, service, request.KubeVersion(version.major, version.minor))
    refused = list(attach.refusals(subject))
    if refused:
        message = "; ".join(each.message for each in refused)
        raise errors.RefusedError(f"pod {name}: {message}", hint=refused[0].hint, code=refused[0].code)
    user = await running.user_of(api, namespace, pod, found)
    if user is None and service.user is not None:
        user = running.User(service.user, service.group, "run_as: of devloop.yaml")
    if user is None:
        raise errors.RefusedError(
            f"pod {name}: nobody says which user the app runs as, and the agent must be the same",
            hint="add run_as: UID or UID:GID to the service",
            code=_USER_CODE,
        )
    made = attach.container(subject, user, agent_image, number)
    path = paths.of("v1", "pods", namespace, name, "ephemeralcontainers")
    body = {"spec": {"ephemeralContainers": [made]}}
    await api.patch(path, body, client.Patch.STRATEGIC, {"fieldManager": marks.MANAGER})
    return f"user {user.uid}, as {user.told_by} says"
