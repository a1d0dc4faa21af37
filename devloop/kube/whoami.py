"""Who the user is for the cluster: SelfSubjectReview, by the group's versions since Kubernetes 1.27."""

from __future__ import annotations

import contextlib
from typing import Final

from devloop import errors
from devloop.kube import client, paths

_GROUP: Final = "authentication.k8s.io"


async def username(api: client.Client) -> str:
    """Return the name that the cluster has for the user; empty where it does not tell.

    Raises:
        ClusterError: The API server does not answer.
    """
    for version in ("v1", "v1beta1"):
        body = {"apiVersion": f"{_GROUP}/{version}", "kind": "SelfSubjectReview"}
        with contextlib.suppress(errors.NotThereError, errors.ForbiddenError, errors.RefusedError):
            told = await api.create(paths.of(f"{_GROUP}/{version}", "selfsubjectreviews"), body)
            info = (told.get("status") or {}).get("userInfo") or {}
            return str(info.get("username") or "")
    return ""
