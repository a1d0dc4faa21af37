"""As which user a running app runs: what its pod says, else what its container's status says, else `id` in it.

The agent must be the same user, or neither could change the other's files. A pod that names no user runs as its
image's, which only a running container can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, execute

_TIMEOUT_S: Final = 10.0
_MAX_BYTES: Final = 4096
_MAX_ID: Final = 2**31 - 1


class User(msgspec.Struct, frozen=True):
    """Who an app runs as.

    Attributes:
        uid: The UID.
        gid: The GID; None where nobody tells.
        told_by: Who says so, for people.
    """

    uid: int
    gid: int | None
    told_by: str


def of_spec(pod: Mapping[str, Any], container: str) -> User | None:
    """Return who a container runs as, by the pod's spec; None where it does not say."""
    spec = pod.get("spec") or {}
    whole = spec.get("securityContext") or {}
    own = (_named(spec.get("containers"), container)).get("securityContext") or {}
    uid = _id(own.get("runAsUser", whole.get("runAsUser")))
    return None if uid is None else User(uid, _id(own.get("runAsGroup", whole.get("runAsGroup"))), "its pod")


def of_status(pod: Mapping[str, Any], container: str) -> User | None:
    """Return who a container runs as, by its status (`user.linux`, from 1.31 on); None where it does not say."""
    status = _named((pod.get("status") or {}).get("containerStatuses"), container)
    linux = (status.get("user") or {}).get("linux") or {}
    uid = _id(linux.get("uid"))
    return None if uid is None else User(uid, _id(linux.get("gid")), "its container's status")


async def of_exec(api: client.Client, where: execute.Where) -> User | None:
    """Return who a container's commands run as, by `id` in it; None where it has no such program or does not run.

    Raises:
        ForbiddenError: There is no right to exec.
    """
    found: list[int | None] = []
    for flag in ("-u", "-g"):
        try:
            result = await execute.run(api, where, ("id", flag), timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES)
        except (errors.ExecError, errors.RefusedError, errors.NotThereError):
            return None
        text = result.stdout.decode("ascii", "replace").strip()
        found.append(_id(int(text)) if not result.status and text.isdecimal() else None)
    return None if found[0] is None else User(found[0], found[1], "`id` in its container")


async def user_of(api: client.Client, namespace: str, pod: Mapping[str, Any], container: str) -> User | None:
    """Return who a container of a running pod runs as; None where nobody says.

    Raises:
        ForbiddenError: There is no right to exec, and the pod does not say.
    """
    known = of_spec(pod, container) or of_status(pod, container)
    if known is not None:
        return known
    name = str((pod.get("metadata") or {}).get("name", ""))
    return await of_exec(api, execute.Where(namespace, name, container))


def _named(listed: Sequence[Mapping[str, Any]] | None, name: str) -> Mapping[str, Any]:
    return next((each for each in listed or [] if each.get("name") == name), {})


def _id(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_ID else None
