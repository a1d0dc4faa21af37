"""What the verbs have in common that change something in a cluster: the connection, the services that are meant."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from devloop import errors
from devloop.cli import options
from devloop.kube import client, config

if TYPE_CHECKING:
    from devloop.config import load, model


def choice(settings: options.Settings, project: load.Project | None) -> config.Choice:
    """Return which cluster and namespace are meant."""
    said = project.config if project is not None else None
    context = (said.context if said else None) or ""
    return config.Choice(
        kubeconfig=settings.kubeconfig,
        context=settings.context or context,
        namespace=settings.namespace,
        project_context=context,
        project_namespace=(said.namespace if said else None) or "",
    )


@contextlib.asynccontextmanager
async def connection(settings: options.Settings, project: load.Project | None) -> AsyncIterator[client.Client]:
    """Connect to the cluster that is meant.

    Raises:
        KubeconfigError: There is none, or it is another context than the project's.
    """
    wanted = choice(settings, project)
    async with client.connect(config.load(wanted), lambda: config.load(wanted)) as api:
        yield api


def in_cluster(project: load.Project, names: Sequence[str]) -> dict[str, model.Service]:
    """Return the services that are meant and are in a cluster.

    Args:
        project: The project.
        names: As given on the command line; all where there are none.

    Raises:
        UsageError: A named one has its target on this machine, or none is in a cluster.
    """
    services = project.config.services
    for name in names:
        if services[name].target is not None:
            raise errors.UsageError(f"{name} has a target on this machine", hint="name a service with a workload")
    found = {name: spec for name, spec in services.items() if spec.target is None and (not names or name in names)}
    if not found:
        raise errors.UsageError(
            "no service of devloop.yaml has a workload", hint="add workload: deployment/NAME to the one that is meant"
        )
    return found
