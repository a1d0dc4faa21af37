"""What the configuration says of a service, as the values that its parts take."""

from __future__ import annotations

import os

from devloop.config import model
from devloop.core import pathmap, patterns
from devloop.protocol import messages
from devloop.sync import ledger


def sources(spec: model.Service) -> list[ledger.Source]:
    """Return what the engine begins with: one source for each sync."""
    return [
        ledger.Source(delete_extra=sync.extra is model.Extra.DELETE, pulled=patterns.Patterns(sync.pull).match)
        for sync in spec.sync
    ]


def syncs(spec: model.Service) -> tuple[messages.SyncSpec, ...]:
    """Return what an agent is told of the syncs."""
    return tuple(messages.SyncSpec(sync.to, sync.pull) for sync in spec.sync)


def app(spec: model.Service) -> messages.AppSpec:
    """Return what an agent is told of the app."""
    reload = spec.reload
    return messages.AppSpec(
        mode=messages.ReloadMode(reload.mode.value),
        command=spec.command or (),
        cwd=spec.workdir or spec.sync[0].to,
        env=dict(spec.env),
        signal=reload.signal or "",
        run=reload.run or (),
        grace_s=reload.grace_s,
    )


def has_app(spec: model.Service) -> bool:
    """Say whether there is something to start once everything is in its place."""
    return bool(spec.command) or spec.reload.mode is not model.Mode.NONE


def path_map(spec: model.Service, project: str) -> pathmap.PathMap:
    """Return what turns paths that the app prints into paths that an editor opens.

    Args:
        spec: The service.
        project: The project's folder, which the laptop's paths are relative to.
    """
    pairs: list[pathmap.Pair] = []
    for sync in spec.sync:
        here = os.path.relpath(sync.source, project)
        pairs.append(pathmap.Pair(sync.to, here))
        if spec.target is not None:
            # The app on this machine knows itself by the real folder.
            pairs.append(pathmap.Pair(spec.target.local.rstrip("/") + sync.to, here))
    return pathmap.PathMap(pairs)


def label(sync: model.Sync, project: str) -> str:
    """Return what a sync is called in messages."""
    return f"{os.path.relpath(sync.source, project)} -> {sync.to}"
