"""A whole examination: facts gathered side by side, then the checks of them, in the order in which they depend.

The cluster is looked at only where a service is in one, and `devloop.kube` is imported only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from devloop import errors
from devloop.config import load, model
from devloop.doctor import argocd, checks, facts, look_machine, report, rungs, sessions, workload

if TYPE_CHECKING:
    from devloop.kube import config


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks.

    Attributes:
        services: The services to look at.
        kubeconfig: The kubeconfig's path; empty for the usual ones.
        context: The kube context; empty for the project's, or kubectl's own.
        namespace: The namespace; likewise.
    """

    services: tuple[str, ...]
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""


async def examine(project: load.Project, asked: Asked) -> report.Report:
    """Look at everything that a project needs, and say how it is.

    Args:
        project: The project.
        asked: Which services, and which cluster.
    """
    chosen = {name: project.config.services[name] for name in asked.services}
    away = {name: spec for name, spec in chosen.items() if spec.target is None}
    async with asyncio.TaskGroup() as group:
        machine = group.create_task(asyncio.to_thread(look_machine.look, project, asked.services))
        there = group.create_task(_cluster(project.config, asked, away)) if away else None
    seen = machine.result()
    lines = list(checks.machine(seen))
    found: Mapping[str, facts.Workload] = {}
    verdicts: dict[str, tuple[report.Verdict, ...]] = {}
    if there is not None:
        cluster, found = there.result()
        lines += [*checks.cluster(cluster), *sessions.webhook(cluster.webhook)]
        lines += argocd.check(cluster.argocd) if cluster.argocd is not None else ()
        verdicts = {name: rungs.verdicts(each, cluster) for name, each in found.items() if each.error is None}
    for name, spec in chosen.items():
        lines += [workload.folder(each) for each in seen.folders if each.service == name]
        if spec.target is not None:
            lines.append(workload.local(look_machine.local(name, spec.target.local)))
        elif name in found:
            lines += workload.check(found[name], verdicts.get(name, ()))
        else:
            reason = "not looked at, because the cluster cannot be reached"
            lines.append(report.unknown(workload.group_of(name), "workload", reason))
    return report.Report(tuple(lines), verdicts)


async def _cluster(
    project: model.Config, asked: Asked, services: Mapping[str, model.Service]
) -> tuple[facts.Cluster, Mapping[str, facts.Workload]]:
    """Return the facts of the cluster, and of the services in it as far as it answers."""
    from devloop.daemon import cluster
    from devloop.doctor import look_argocd, look_cluster, look_pods, look_webhook
    from devloop.kube import config

    choice = _choice(project, asked)
    try:
        loaded = await asyncio.to_thread(config.load, choice)
    except errors.DevloopError as error:
        return facts.Cluster(way=error), {}
    way = facts.Way(loaded.context, loaded.server, loaded.namespace)
    try:
        async with cluster.Shared(choice).client() as api:
            seen = await look_cluster.server(api)
            if not isinstance(seen, facts.Server):
                return facts.Cluster(way=way, server=seen), {}
            whole = await look_cluster.look(api, way, seen, [*services.values()])
            asks = rungs.may_ask_for_sessions(whole)
            async with asyncio.TaskGroup() as group:
                hook = group.create_task(look_webhook.look(api)) if asks else None
                argo = group.create_task(look_argocd.look(api, project.argocd))
                each = {
                    name: group.create_task(look_pods.look(api, name, spec, seen, sessions=asks))
                    for name, spec in services.items()
                }
            whole = msgspec.structs.replace(whole, argocd=argo.result())
            if hook is not None:
                whole = msgspec.structs.replace(whole, webhook=hook.result())
            return whole, {name: task.result() for name, task in each.items()}
    except errors.DevloopError as error:
        return facts.Cluster(way=way, server=error), {}


def _choice(project: model.Config, asked: Asked) -> config.Choice:
    from devloop.kube import config

    return config.Choice(
        kubeconfig=asked.kubeconfig,
        context=asked.context or project.context or "",
        namespace=asked.namespace,
        project_context=project.context or "",
        project_namespace=project.namespace or "",
    )
