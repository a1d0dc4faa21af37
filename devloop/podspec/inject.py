"""Puts the agent into a pod template, and takes it out again: the package's two functions.

Both are pure: a template in, a new one out. `inject` first takes out what an earlier one put in, so doing it twice
is doing it once, and a template that changed since is injected as if it were new.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from devloop.podspec import app, containers, edit, fitness, identity, names, outcome, places, record, request, shape


def inject(pod: outcome.Tree, service: request.Service, platform: request.Platform) -> outcome.Outcome:
    """Return a pod template with the agent in it.

    Args:
        pod: A workload's `spec.template`, or a pod; not changed.
        service: What to sync, and how the app is run.
        platform: The agent's image and the server's version.
    """
    try:
        return _inject(pod, service, platform)
    except outcome.Refused as refused:
        return outcome.Outcome(pod, refusals=(refused.refusal,))


def uninject(pod: outcome.Tree) -> outcome.Outcome:
    """Return a pod template as it was before `inject`; one that was not injected, as it is.

    Args:
        pod: A pod template; not changed.
    """
    try:
        shape.check(pod)
        return outcome.Outcome(_original(pod))
    except outcome.Refused as refused:
        return outcome.Outcome(pod, refusals=(refused.refusal,))


def is_injected(pod: outcome.Tree) -> bool:
    """Say whether a pod template carries devloop's annotation, readable or not.

    Args:
        pod: Anything that may be one.
    """
    try:
        return record.read(pod) is not None
    except outcome.Refused:
        return True
    except AttributeError:
        return False


def has_parts(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod template has a container or a volume of devloop's, whatever its annotations tell.

    Args:
        pod: A pod template.
    """
    spec = pod.get("spec") or {}
    return any(
        names.is_ours(each.get("name"))
        for key in ("containers", "initContainers", "volumes")
        for each in spec.get(key) or []
    )


def _original(pod: outcome.Tree) -> outcome.Tree:
    told = record.read(pod)
    made = copy.deepcopy(pod)
    if told is not None:
        edit.undo(made, told)
    return made


def _inject(pod: outcome.Tree, service: request.Service, platform: request.Platform) -> outcome.Outcome:
    shape.check(pod)
    made = _original(pod)
    identity.is_clear(made)
    index = identity.container(made, service.container)
    found, unusable = places.find(made, index, service, platform)
    refused = [
        *fitness.check(made, platform),
        *places.check_folders(service),
        *unusable,
        *app.refusals(made, index, service),
    ]
    try:
        user = identity.user(made, index, service.user, service.group)
    except outcome.Refused as error:
        refused.append(error.refusal)
    else:
        if not refused:
            return _change(made, index, user, tuple(found), service, platform)
    return outcome.Outcome(pod, refusals=tuple(refused))


def _change(
    pod: outcome.Tree,
    index: int,
    user: identity.User,
    found: tuple[places.Place, ...],
    service: request.Service,
    platform: request.Platform,
) -> outcome.Outcome:
    edits = edit.Edits(pod, index)
    notes = [*app.change(edits, service, found), *_notes(user, service, platform)]
    crew = containers.Crew(edits.app, user, service, platform, found)
    _add(edits, crew)
    edits.annotate(
        record.Record(
            service=service.name,
            container=edits.app["name"],
            tos=tuple(sync.to for sync in service.syncs),
            supervise=service.supervise,
            notes=tuple(notes),
            protected=tuple(path for place in found for path in place.protected),
        )
    )
    claim = service.claim if service.persist else ""
    roots = tuple(place.root for place in found)
    return outcome.Outcome(pod, tuple(notes), (), roots, edits.app["name"], claim)


def _add(edits: edit.Edits, crew: containers.Crew) -> None:
    """Add containers and volumes.

    Ours come last: the pod's own init containers may have to fill a volume that is synced to, and `kubectl logs` and
    `exec` take the first container where none is named.
    """
    seed = containers.seed(crew)
    agent = containers.agent(crew, launcher=crew.service.supervise)
    native = crew.platform.version.has_native_sidecars
    inits = [containers.tools(crew), *([seed] if seed else []), *([agent] if native else [])]
    edits.extend("initContainers", inits)
    if not native:
        edits.extend("containers", [agent])
    edits.extend("volumes", containers.volumes(crew))


def _notes(user: identity.User, service: request.Service, platform: request.Platform) -> Iterator[str]:
    kind = "a native sidecar" if platform.version.has_native_sidecars else "a container beside the app"
    yield f"the agent is {kind} and runs as the app's user {user.uid}"
    if user.uid == 0:
        yield "the app runs as root, so devloop's containers do too, without capabilities"
    if service.user is not None and service.user != user.uid:
        yield f"run_as says {service.user}, but the pod says {user.uid}, which holds"
