"""A container's variables by the way that is open: its spec, or its process where Secrets may not be read."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from devloop import errors
from devloop.kube import client
from devloop.shell import expansion, find, podenv, procenv, sources


class Origin(enum.StrEnum):
    """Where variables come from."""

    SPEC = "spec"
    PROCESS = "process"


async def gather(
    api: client.Client, found: find.Found, origin: Origin | None, say: Callable[[str], None]
) -> podenv.Made:
    """Return a container's variables.

    Args:
        api: The cluster.
        found: The container.
        origin: The way; None for the spec, and the process where that is not enough.
        say: Is told which way was taken, and what could not be known.

    Raises:
        ClusterError: The cluster does not answer, or the way that was asked for is closed.
    """
    if origin is Origin.PROCESS:
        return of_process(await procenv.read(api, found), found.spec)
    made = await sources.read(api, found)
    if origin is None and made.forbidden:
        why = "; ".join(made.unknown)
        try:
            read = await procenv.read(api, found)
        except errors.ClusterError as error:
            say(f"the running process cannot be read in place of what may not be read: {error.message}")
        else:
            say(f"read from the running process, because the spec is not enough: {why}")
            return of_process(read, found.spec)
    for each in made.unknown:
        say(f"not known, and left out: {each}")
    return made


def of_process(env: Mapping[str, str], container: Mapping[str, Any]) -> podenv.Made:
    """Return a process's variables, those marked as secret that may be.

    The spec says which are from a Secret by their own name. Where a whole Secret was taken in, its keys are not known
    here, so everything counts as secret that the spec does not give in so many words.
    """
    listed = container.get("env") or []
    secret = {str(each["name"]) for each in listed if "secretKeyRef" in (each.get("valueFrom") or {})}
    literal = {str(each["name"]) for each in listed} - secret
    if any(each.get("secretRef") for each in container.get("envFrom") or []):
        secret |= set(env) - literal
    for each in listed:
        if expansion.references(str(each.get("value") or "")) & secret:
            secret.add(str(each["name"]))
    return podenv.Made(dict(env), frozenset(secret & set(env)))
