"""Which way in each service of a watch takes: what the command line asks, made into rungs.

Imported late, with `devloop.kube`: a project whose targets are on this machine never pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from devloop import errors
from devloop.argocd import overdue
from devloop.config import injection, model
from devloop.daemon import admitted, app, attached, patched, rungs, unasked
from devloop.inject import lease, patch, template
from devloop.kube import client, workloads
from devloop.podspec import request
from devloop.state import identity
from devloop.sync import events


class Entrance:
    """Makes the rungs of one watch.

    Args:
        config: The project.
        project: What the laptop calls its folder.
        asked: What the command line asks.
        publish: Where events go that are of no service.
    """

    def __init__(
        self, config: model.Config, project: str, asked: app.Options, publish: Callable[[events.Event], None]
    ) -> None:
        self._config = config
        self._project = project
        self._asked = asked
        self._publish = publish
        self._left = rungs.Leftovers(project, frozenset(), publish, self._overdue)

    def begin(self, specs: Iterable[model.Service]) -> None:
        """Take up which services there are, before any rung is made.

        Raises:
            UsageError: One has no workload that could be patched.
        """
        if self._asked.rung is not app.Way.PATCH:
            return
        listed = list(specs)
        if any(spec.workload is None for spec in listed):
            raise errors.UsageError(
                "a service with a selector has no template that could be patched",
                hint="give it workload: deployment/NAME, or name the services that you mean",
                code=template.CODE,
            )
        keep = frozenset(str(workloads.parse(str(spec.workload))) for spec in listed)
        self._left = rungs.Leftovers(self._project, keep, self._publish, self._overdue)

    async def _overdue(self, api: client.Client, namespace: str, say: Callable[[str], None]) -> None:
        """Put back Applications whose lease of this person's has expired."""
        await overdue.at_start(api, namespace, self._config.argocd, f"devloop/{identity.owner()}", say)

    def rung(self, name: str, spec: model.Service, publish: Callable[[events.Event], None]) -> rungs.Rung:
        """Return the way in of one service.

        Args:
            name: Its name.
            spec: The service.
            publish: Where its events go.
        """
        service = injection.request_of(name, spec)
        workload = str(spec.workload or "")
        match self._asked.rung:
            case app.Way.FIRST:
                sessions = self._sessions(service, workload, publish)
                return unasked.Unasked(service, workload, sessions, self._ephemeral(service, publish), publish)
            case app.Way.DECLARED:
                return self._sessions(service, workload, publish)
            case app.Way.ATTACH:
                return self._ephemeral(service, publish)
            case app.Way.PATCH:
                argocd = self._config.argocd
                asked = patch.Asked(
                    reference=workloads.parse(str(spec.workload)),
                    service=service,
                    agent_image=self._asked.agent_image,
                    project=self._project,
                    until=lease.Until.WATCH,
                    takeover=self._asked.takeover,
                    applications=(argocd.namespace or "") if argocd else "",
                )
                return patched.Patched(asked, self._left, publish)

    def _sessions(
        self, service: request.Service, workload: str, publish: Callable[[events.Event], None]
    ) -> admitted.Admitted:
        """Return the rung that does nothing more where the manifests bring the agent."""
        return admitted.Admitted(
            service, workload, identity.owner(), self._left, takeover=self._asked.takeover, publish=publish
        )

    def _ephemeral(self, service: request.Service, publish: Callable[[events.Event], None]) -> attached.Attached:
        return attached.Attached(service, self._asked.agent_image, self._left, publish)
