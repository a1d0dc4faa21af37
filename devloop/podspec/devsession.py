"""The custom resource DevSession: one developer's wish to have a workload's pods injected, and who wished it.

The laptop writes it, the webhook completes it with its author and reads it when pods are made. There is no field for an
image or for anything of security: those are the chart's. `config/helm/devloop/templates/crd.yaml` has the same in
OpenAPI, with the same bounds; the API server drops what is not in there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from devloop.podspec import names, outcome, places, request

GROUP: Final = "devloop.dev"
API: Final = "devloop.dev/v1alpha1"
KIND: Final = "DevSession"
PLURAL: Final = "devsessions"

LABEL: Final = names.SESSION
"""On injected pods: the session's uid, so that a session that was made anew does not own the pods of the last one."""
SEEN: Final = "devloop.dev/session-seen"
"""The annotation on every pod that the webhook decided about: `Session.mark`, so that a changed session is noticed."""
NOT_INJECTED: Final = "devloop.dev/not-injected"
"""The annotation on a pod that a session means and that cannot be injected: why."""
OPT_IN: Final = "devloop.dev/inject"
"""The label with which Ops open a namespace; its value is `ENABLED`."""
ENABLED: Final = "enabled"

CODE: Final = "DL0820"

KINDS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]
# As Kubernetes: IsValidUserID; root is nothing that a session may ask for.
_Id = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Workload(msgspec.Struct, frozen=True):
    """Whose pods are meant: an object of the session's own namespace."""

    kind: str
    name: _Name


class Author(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who made a session, as the API server knows them. Written by the webhook alone.

    Attributes:
        name: The user name.
        uid: The user's uid; often empty.
        groups: Their groups.
        extra: What else the authenticator told.
    """

    name: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Sync(msgspec.Struct, frozen=True):
    """A synced folder; see `request.Sync`."""

    to: Annotated[str, msgspec.Meta(min_length=2, max_length=1024)]
    seed: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=64)] = ("**",)


class Variable(msgspec.Struct, frozen=True):
    """A variable of the app's environment."""

    name: _Name
    value: Annotated[str, msgspec.Meta(max_length=32768)] = ""


class RunAs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who the app runs as, where its pod does not say; it changes nothing about who that is."""

    user: _Id
    group: _Id | None = None


class Spec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a session asks for; see `request.Service`.

    Attributes:
        workload: Whose pods.
        service: The service's name in devloop.yaml.
        syncs: The synced folders.
        owner: Who to ask about it, for people: `user@host`. Proves nothing.
        author: Who really made it.
        container: The container; empty for the only one.
        supervise: The command runs under the launcher.
        command: Instead of the container's own.
        workdir: Where it runs.
        env: Variables that are added or replaced.
        probes: What happens to the probes.
        persist: Folders that outlive the pod.
        run_as: The app's user where the pod does not tell.
        grace_seconds: How long the app may take to end.
        wait_first_sync: The app starts after the first sync.
    """

    workload: Workload
    service: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    syncs: Annotated[tuple[Sync, ...], msgspec.Meta(min_length=1, max_length=32)]
    owner: Annotated[str, msgspec.Meta(max_length=256)] = ""
    author: Author = Author()
    container: Annotated[str, msgspec.Meta(max_length=63)] = ""
    supervise: bool = False
    command: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=256)] = ()
    workdir: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    env: Annotated[tuple[Variable, ...], msgspec.Meta(max_length=256)] = ()
    probes: request.Probes = request.Probes.AUTO
    persist: Annotated[tuple[str, ...], msgspec.Meta(max_length=32)] = ()
    run_as: RunAs | None = None
    grace_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0
    wait_first_sync: bool = False

    def service_of(self) -> request.Service:
        """Return what `inject` takes."""
        return request.Service(
            name=self.service,
            syncs=tuple(request.Sync(each.to, each.seed) for each in self.syncs),
            container=self.container,
            supervise=self.supervise,
            command=self.command,
            workdir=self.workdir,
            env=tuple((each.name, each.value) for each in self.env),
            probes=self.probes,
            persist=self.persist,
            user=self.run_as.user if self.run_as else None,
            group=self.run_as.group if self.run_as else None,
            grace_s=self.grace_seconds,
            wait_first_sync=self.wait_first_sync,
        )


class Session(msgspec.Struct, frozen=True):
    """A DevSession as the API server has it.

    Attributes:
        name: Its name.
        namespace: Where it is, and where the workload is.
        uid: Its identity.
        version: Its resourceVersion.
        generation: Goes up whenever what it asks for changes, and not with heartbeats.
        created: When it was made, by the API server's clock: RFC 3339, UTC, to the second.
        renewed: `status.renewTime`: when its watch was last heard of; empty for never. Only whether it changes counts:
            the laptop's clock may be wrong.
        spec: What it asks for.
    """

    name: str
    namespace: str
    uid: str
    version: str
    generation: int
    created: str
    renewed: str
    spec: Spec

    @property
    def mark(self) -> str:
        """What tells this state of this session from every other one."""
        return f"{self.uid}/{self.generation}"


def read(raw: Mapping[str, Any]) -> Session:
    """Return the session that an object is.

    Args:
        raw: The object, as the API server sends it or as somebody wants to make it.

    Raises:
        ValueError: It is none; the message says what is wrong, and where.
    """
    meta, status = raw.get("metadata") or {}, raw.get("status") or {}
    if not isinstance(meta, Mapping) or not isinstance(status, Mapping):
        raise ValueError("it has no metadata")
    try:
        spec = msgspec.convert(raw.get("spec"), Spec)
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("`$.", "`spec.").replace("`$`", "`spec`")) from None
    generation = meta.get("generation")
    return Session(
        name=str(meta.get("name") or ""),
        namespace=str(meta.get("namespace") or ""),
        uid=str(meta.get("uid") or ""),
        version=str(meta.get("resourceVersion") or ""),
        generation=generation if isinstance(generation, int) else 0,
        created=str(meta.get("creationTimestamp") or ""),
        renewed=str(status.get("renewTime") or ""),
        spec=spec,
    )


def problems(spec: Spec) -> tuple[outcome.Refusal, ...]:
    """Return what is wrong with a session, whatever the pods are like."""
    found = list(places.check_folders(spec.service_of()))
    if spec.workload.kind not in KINDS:
        message = f"devloop does not know the kind of workload {spec.workload.kind}"
        found.append(outcome.Refusal(CODE, message, f"one of {', '.join(KINDS)}"))
    return tuple(found)


def spec_of(service: request.Service, workload: Workload, owner: str) -> Spec:
    """Return the session that a service asks for.

    Args:
        service: The service; its `image` has no place in a session.
        workload: Whose pods.
        owner: `user@host`.

    Raises:
        ValueError: The service asks for what only manifests can have.
    """
    if service.image:
        raise ValueError("image: is not for sessions: Ops alone decide what runs in injected pods")
    run_as = None if service.user is None else RunAs(service.user, service.group)
    return Spec(
        workload=workload,
        service=service.name,
        syncs=tuple(Sync(each.to, each.seed) for each in service.syncs),
        owner=owner,
        container=service.container,
        supervise=service.supervise,
        command=service.command,
        workdir=service.workdir,
        env=tuple(Variable(name, value) for name, value in service.env),
        probes=service.probes,
        persist=service.persist,
        run_as=run_as,
        grace_seconds=service.grace_s,
        wait_first_sync=service.wait_first_sync,
    )


def made(name: str, namespace: str, spec: Spec) -> dict[str, Any]:
    """Return the object to create."""
    return {
        "apiVersion": API,
        "kind": KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "devsession"}},
        "spec": msgspec.to_builtins(spec),
    }


def name_of(workload: Workload) -> str:
    """Return a session's name: one for each workload, so that the API server lets two people have it only in turn."""
    return re.sub("[^a-z0-9.-]+", "-", f"{workload.kind}-{workload.name}".lower())[:253]


def selects(selector: object, labels: Mapping[str, str]) -> bool:
    """Say whether a workload's label selector selects a pod; one that says nothing selects nothing here.

    Args:
        selector: `matchLabels` and `matchExpressions`, as in a manifest.
        labels: The pod's labels.
    """
    if not isinstance(selector, Mapping):
        return False
    exact, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    if not exact and not expressions:
        return False
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _holds(str(each.get("key")), str(each.get("operator")), each.get("values") or [], labels)
        for each in expressions
    )


def _holds(key: str, operator: str, values: Sequence[str], labels: Mapping[str, str]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
