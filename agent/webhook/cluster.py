"""What the webhook asks the API server: the sessions of a namespace, a workload, what an author may do."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from agent.webhook import mutation
from devloop import errors
from devloop.kube import client, paths
from devloop.podspec import devsession

_log = logging.getLogger("devloop.webhook")


async def sessions(api: client.Client, namespace: str = "") -> list[devsession.Session]:
    """Return the sessions of a namespace, or of all; what cannot be read is left out, and said.

    Raises:
        ClusterError: They cannot be had.
    """
    listing = await api.list(paths.of(devsession.API, devsession.PLURAL, namespace))
    found = []
    for raw in listing.items:
        try:
            session = devsession.read(raw)
        except ValueError as error:
            name = (raw.get("metadata") or {}).get("name")
            _log.warning("the session %s/%s cannot be read: %s", namespace, name, error)
            continue
        if "deletionTimestamp" not in raw["metadata"]:
            found.append(session)
    return found


async def workload(api: client.Client, session: devsession.Session) -> dict[str, Any]:
    """Return a session's workload.

    Raises:
        ClusterError: It is not there, or cannot be had.
    """
    return await api.get(mutation.reference(session.spec).path(session.namespace))


async def missing_claim(api: client.Client, session: devsession.Session) -> str:
    """Return the claim that a session's `persist` needs and that is not there: a pod with it would never start.

    Raises:
        ClusterError: That cannot be found out.
    """
    if not session.spec.persist:
        return ""
    claim = session.spec.service_of().claim
    try:
        await api.get(paths.of("v1", "persistentvolumeclaims", session.namespace, claim))
    except errors.NotThereError:
        return claim
    return ""


async def may_exec(api: client.Client, namespace: str, author: devsession.Author) -> bool:
    """Ask whether somebody may run commands in all pods of a namespace: then injecting gives them nothing new.

    Raises:
        ClusterError: The question was not answered.
    """
    version = "authorization.k8s.io/v1"
    attributes = {"verb": "create", "resource": "pods", "subresource": "exec", "namespace": namespace}
    spec = {
        "user": author.name,
        "uid": author.uid,
        "groups": list(author.groups),
        "extra": msgspec.to_builtins(author.extra),
        "resourceAttributes": attributes,
    }
    body = {"apiVersion": version, "kind": "SubjectAccessReview", "spec": spec}
    answer = await api.create(paths.of(version, "subjectaccessreviews"), body)
    status = answer.get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True
