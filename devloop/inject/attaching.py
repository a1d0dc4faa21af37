"""Adds agents to pods that run, as `attach` decides, and says why where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.inject import attach, marks, running
from devloop.kube import access, client, paths
from devloop.podspec import names, outcome, request

_USER_CODE: Final = "DL0803"


async def against(
    api: client.Client, namespace: str, pod: Mapping[str, Any], service: request.Service
) -> list[outcome.Refusal]:
    """Return everything that is known to be in the way of attaching to a pod; nothing is changed.

    Args:
        api: The cluster.
        namespace: The pod's.
        pod: The pod; it need not run yet.
        service: The service that it belongs to.

    Raises:
        ClusterError: The cluster does not tell.
    """
    found = _refusals(await _subject(api, pod, service))
    asked = paths.Asked("patch", "pods", namespace=namespace, subresource="ephemeralcontainers")
    if not (await access.can(api, asked)).allowed:
        message = f"you may not {asked.verb} {asked.kind()} in namespace {namespace}"
        hint = f"see it with `{asked.can_i()}`; config/rbac/attach has the Role"
        found.append(outcome.Refusal(attach.CODE, message, hint))
    return found


async def _subject(
    api: client.Client, pod: Mapping[str, Any], service: request.Service
) -> attach.Subject | outcome.Refusal:
    container = attach.container_of(pod, service.container)
    if not isinstance(container, str):
        return container
    version = await api.version()
    return attach.Subject(pod, container, service, request.KubeVersion(version.major, version.minor))


def _refusals(subject: attach.Subject | outcome.Refusal) -> list[outcome.Refusal]:
    return list(attach.refusals(subject)) if isinstance(subject, attach.Subject) else [subject]


def is_declared(workload: Mapping[str, Any]) -> bool:
    """Say whether a workload's pods come with an agent, though those that run now may be older than that.

    Args:
        workload: The workload, as the cluster sends it; a pod is its own.
    """
    spec = workload.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or spec
    listed = [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]
    return any(each.get("name") == names.AGENT for each in listed)


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
    name = str((pod.get("metadata") or {}).get("name", ""))
    subject = await _subject(api, pod, service)
    refused = _refusals(subject)
    if refused or isinstance(subject, outcome.Refusal):
        message = "; ".join(each.message for each in refused)
        raise errors.RefusedError(f"pod {name}: {message}", hint=refused[0].hint, code=refused[0].code)
    user = await running.user_of(api, namespace, pod, subject.container)
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
