"""A service of devloop.yaml as the injection of a pod sees it."""

from __future__ import annotations

from devloop.config import model
from devloop.podspec import names, request


def request_of(name: str, service: model.Service) -> request.Service:
    """Return what a service asks of its pods.

    Args:
        name: Its name in devloop.yaml.
        service: The service.
    """
    user, _, group = (service.run_as or "").partition(":")
    return request.Service(
        name=name,
        syncs=tuple(request.Sync(sync.to, sync.seed) for sync in service.sync),
        container=service.container or "",
        supervise=service.reload.mode is model.Mode.SUPERVISE,
        command=service.command or (),
        workdir=service.workdir or "",
        env=tuple(service.env.items()),
        image=service.image or "",
        probes=request.Probes(service.probes.value),
        persist=service.persist,
        persist_size=service.persist_size or names.PERSIST_SIZE,
        user=int(user) if user else None,
        group=int(group) if group else None,
        grace_s=service.reload.grace_s,
        wait_first_sync=service.wait_first_sync,
    )
