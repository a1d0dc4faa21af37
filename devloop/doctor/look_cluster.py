"""Looks at the cluster: whether it answers, its clock, the namespace, what the user may do there. Changes nothing.

Each question has a deadline; one that is not answered becomes an `Unknown`, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final, TypeVar

from devloop import errors
from devloop.config import model
from devloop.daemon import podwatch
from devloop.doctor import facts
from devloop.doctor.report import Rung
from devloop.kube import access, client, paths, workloads

# How long one question may take. The API server answers in milliseconds, or is in trouble.
ASK_S: Final = 10.0

T = TypeVar("T")

_GROUP: Final = "devloop.dev"


async def server(api: client.Client) -> facts.Server | errors.DevloopError | facts.Unknown:
    """Return what answers."""
    found = await asked(api.version(timeout_s=ASK_S))
    if isinstance(found, client.Version):
        return facts.Server(found.major, found.minor, found.text, api.skew_s)
    return found


async def asked(question: Awaitable[T]) -> T | errors.DevloopError | facts.Unknown:
    """Return a question's answer, or why there is none."""
    try:
        async with asyncio.timeout(ASK_S):
            return await question
    except TimeoutError:
        return facts.Unknown(f"no answer within {ASK_S:.0f} s")
    except errors.DevloopError as error:
        return error


async def look(
    api: client.Client, way: facts.Way, seen: facts.Server, services: Iterable[model.Service]
) -> facts.Cluster:
    """Return the facts of a cluster that answers.

    Args:
        api: The connection.
        way: What the kubeconfig says.
        seen: From `server`.
        services: Decide for which kinds of workload rights are asked.
    """
    namespace = api.namespace
    questions_of = needed(services, seen, namespace)
    async with asyncio.TaskGroup() as group:
        labels = group.create_task(_labels(api, namespace))
        chart = group.create_task(_chart(api))
        rights = {
            name: [group.create_task(right(api, each)) for each in questions]
            for name, questions in questions_of.items()
        }
    answers = {name: tuple(task.result() for task in tasks) for name, tasks in rights.items()}
    return facts.Cluster(
        way=way,
        server=seen,
        namespace_labels=labels.result(),
        chart=chart.result(),
        base=answers.pop(""),
        rungs=answers,
    )


def needed(services: Iterable[model.Service], seen: facts.Server, namespace: str) -> dict[str, list[paths.Asked]]:
    """Return the rights to ask for: those of every rung under an empty name, then what a rung needs besides.

    Args:
        services: Decide for which kinds of workload.
        seen: The server's version decides as well.
        namespace: Where.
    """
    kinds = {workloads.parse(str(each.workload)).kind for each in services if each.workload is not None}
    owners = sorted((kind for kind in kinds if kind.name != "Pod"), key=lambda kind: kind.plural)
    pods = [
        paths.Asked(verb, "pods", namespace=namespace, subresource=sub)
        for verb, sub, since in podwatch.RIGHTS
        if (seen.major, seen.minor) >= (1, since)
    ]
    one = [paths.Asked("get", "pods", namespace=namespace)]
    get = [paths.Asked("get", kind.plural, _group(kind), namespace) for kind in owners]
    attach = [
        paths.Asked(verb, "pods", namespace=namespace, subresource="ephemeralcontainers")
        for verb in ("get", "patch", "update")
    ]
    return {
        "": [*get, *pods],
        Rung.ADMISSION: [
            paths.Asked("create", "devsessions", _GROUP, namespace),
            paths.Asked("create", "pods", namespace=namespace, subresource="eviction"),
        ],
        Rung.EPHEMERAL: [*one, *attach],
        Rung.PATCH: [paths.Asked("patch", kind.plural, _group(kind), namespace) for kind in owners],
    }


def _group(kind: workloads.Kind) -> str:
    return kind.version.rpartition("/")[0]


async def right(api: client.Client, asked_for: paths.Asked) -> facts.Right:
    """Return whether the user may do something."""
    found = await asked(access.can(api, asked_for))
    if isinstance(found, access.Verdict):
        allowed: facts.Maybe[bool] = found.allowed
    else:
        allowed = reason(found)
    kind = asked_for.kind() + (f".{asked_for.group}" if asked_for.group else "")
    return facts.Right(asked_for.verb, kind, asked_for.can_i(), allowed)


def reason(found: errors.DevloopError | facts.Unknown) -> facts.Unknown:
    """Return why there is no answer."""
    return found if isinstance(found, facts.Unknown) else facts.Unknown(found.message)


async def _labels(api: client.Client, namespace: str) -> facts.Maybe[dict[str, str]] | errors.DevloopError:
    found = await asked(api.find(paths.of("v1", "namespaces", name=namespace), timeout_s=ASK_S))
    if isinstance(found, errors.DevloopError | facts.Unknown):
        return found
    meta = found.get("metadata")
    labels = meta.get("labels") if isinstance(meta, dict) else None
    return {str(key): str(text) for key, text in labels.items()} if isinstance(labels, dict) else {}


async def _chart(api: client.Client) -> facts.Maybe[bool]:
    """Say whether the API server knows DevSessions; everybody may read which groups there are."""
    found = await asked(api.get(f"/apis/{_GROUP}", timeout_s=ASK_S))
    if isinstance(found, errors.NotThereError):
        return False
    if isinstance(found, errors.DevloopError | facts.Unknown):
        return reason(found)
    return True
