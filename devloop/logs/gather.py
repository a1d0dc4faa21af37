"""What the containers of some services have printed until now, read once and in the order of time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from devloop import errors
from devloop.kube import client, podlogs, pods
from devloop.logs import merge, reader, targets, tracker, values


async def gather(
    api: client.Client,
    there: Sequence[tuple[targets.Target, Mapping[str, Any]]],
    put: values.Put,
    start: values.Start,
    *,
    containers: Sequence[str] = (),
    previous: bool = False,
) -> None:
    """Read the logs.

    Args:
        api: The connection.
        there: The pods, each with its service.
        put: Takes what is read.
        start: How much of each log.
        containers: Only these; all but devloop's own where there are none.
        previous: The run before the current one, of those containers that have one.

    Raises:
        ClusterError: None of them can be read, or a right is missing.
    """
    origins = [
        (values.Origin(target.service.name, pods.view(raw).name, pods.view(raw).uid, name), raw)
        for target, raw in there
        for name in targets.shown(raw, containers)
    ]
    sources = [merge.Source() for _ in origins]
    failed: list[tuple[values.Origin, errors.ClusterError]] = []
    forbidden: errors.DevloopError | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for (origin, raw), source in zip(origins, sources, strict=True):
                made = _reader(api, origin, raw, source, put, start)
                group.create_task(_read(made, origin, source, failed, previous=previous))
            await merge.merge(sources, put)
    except* errors.DevloopError as several:
        forbidden = errors.first(several)
    if forbidden is not None:
        raise forbidden
    if failed and len(failed) == len(origins):
        raise failed[0][1]
    for origin, error in failed:
        if error.error_code != podlogs.NO_PREVIOUS_CODE:
            await put(values.Note(origin, error.message, error.hint))


def _reader(
    api: client.Client,
    origin: values.Origin,
    raw: Mapping[str, Any],
    source: merge.Source,
    put: values.Put,
    start: values.Start,
) -> reader.Reader:
    async def take(item: values.Item) -> None:
        await (source.put(item) if isinstance(item, values.Batch) else put(item))

    return reader.Reader(api, api.namespace, origin, tracker.Tracker(raw), take, start)


async def _read(
    made: reader.Reader,
    origin: values.Origin,
    source: merge.Source,
    failed: list[tuple[values.Origin, errors.ClusterError]],
    *,
    previous: bool,
) -> None:
    try:
        await made.once(previous=previous)
    except (errors.ForbiddenError, errors.CredentialsError):
        raise
    except errors.ClusterError as error:
        failed.append((origin, error))
    await source.end()
