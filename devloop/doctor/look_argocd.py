"""Looks at Argo CD: whether the cluster knows Applications, and what the user may do to them. Changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from devloop import errors
from devloop.argocd import choice, kubeapps
from devloop.doctor import facts, look_cluster
from devloop.kube import client, paths

if TYPE_CHECKING:
    from devloop.config import model

_GROUP: Final = kubeapps.VERSION.partition("/")[0]
# Besides patching: what the verbs of `devloop env` that only read ask for.
READS: Final = ("get", "list", "watch")


async def look(api: client.Client, said: model.Argocd | None) -> facts.Argocd:
    """Return the facts.

    Args:
        api: The connection.
        said: `argocd:` of devloop.yaml.
    """
    server = (said.server if said is not None else None) or ""
    there = await _there(api)
    if there is not True:
        return facts.Argocd(there=there, asked=said is not None, server=server)
    own = choice.home(None)
    named = (said.namespace if said is not None else None) or ""
    name = (said.application if said is not None else None) or ""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_home(api, namespace, name, is_argocds=namespace == own))
            for namespace in dict.fromkeys([own, named, api.namespace])
            if namespace
        ]
    return facts.Argocd(there=True, asked=said is not None, server=server, homes=tuple(task.result() for task in tasks))


async def _there(api: client.Client) -> facts.Maybe[bool]:
    """Say whether the API server knows Applications; everybody may read which kinds there are."""
    found = await look_cluster.asked(api.get(f"/apis/{kubeapps.VERSION}", timeout_s=look_cluster.ASK_S))
    if isinstance(found, errors.NotThereError):
        return False
    if isinstance(found, errors.DevloopError | facts.Unknown):
        return look_cluster.reason(found)
    kinds = found.get("resources")
    return isinstance(kinds, list) and any(
        isinstance(each, dict) and each.get("name") == kubeapps.APPLICATIONS for each in kinds
    )


async def _home(api: client.Client, namespace: str, name: str, *, is_argocds: bool) -> facts.Home:
    def question(verb: str, of: str = "") -> paths.Asked:
        return paths.Asked(verb, kubeapps.APPLICATIONS, _GROUP, namespace, of)

    reads = [await look_cluster.right(api, question(verb)) for verb in READS]
    patch = await look_cluster.right(api, question("patch"))
    if patch.allowed is False and name:
        patch = await look_cluster.right(api, question("patch", name))
    return facts.Home(namespace, is_argocds, tuple(reads), patch)
