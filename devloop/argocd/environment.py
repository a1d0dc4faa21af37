"""Which Applications are this project's environment.

Pure, but for `survey`. What belongs to the environment is acted on by default, so nothing gets in by resemblance:

1. the Application that `argocd.application` names, and those that own the services' workloads;
2. with each of them the Applications that it renders (app-of-apps), and theirs;
3. the Applications that deploy to the same namespace of the same cluster as one of these, unless all that they deploy
   there are Applications: many app-of-apps deploy to Argo CD's own namespace, and have nothing in common;
4. an app-of-apps all of whose Applications are in by now.

What merely has the same parent, or the same ApplicationSet and AppProject, is `related`: shown, and left alone unless
it is named. A template that makes one Application per developer puts all of theirs into one set.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from devloop import errors
from devloop.argocd import application, backend, chain, choice, index, names, tracking

if TYPE_CHECKING:
    from devloop.config import model
    from devloop.kube import client


class Why(enum.StrEnum):
    """What makes an Application part of the environment, or related to it."""

    NAMED = "named"
    WORKLOAD = "workload"
    CHILD = "child"
    NAMESPACE = "namespace"
    PARENT = "parent"
    SIBLING = "sibling"
    OTHER = "other"


class Member(msgspec.Struct, frozen=True):
    """One Application of the environment.

    Attributes:
        app: It.
        why: What makes it one.
        of: The service, Application or namespace that `why` is about; empty for one that is named.
        services: The services whose workloads it owns.
    """

    app: application.Application
    why: Why
    of: str = ""
    services: tuple[str, ...] = ()

    @property
    def reference(self) -> application.Reference:
        """Which Application it is."""
        return self.app.reference


class Environment(msgspec.Struct, frozen=True):
    """The Applications of a project.

    Attributes:
        members: What belongs to it, in the order of the rules.
        related: What is only near it.
        chains: The services in the cluster.
        owners: Service to the Application that owns its workload.
        foreign: Service to the name that its workload gives for an Application which is not there or may not be read.
        every: All Applications that may be read.
        home: The namespace of Argo CD itself.
    """

    members: tuple[Member, ...] = ()
    related: tuple[Member, ...] = ()
    chains: tuple[chain.Chain, ...] = ()
    owners: Mapping[str, application.Reference] = {}
    foreign: Mapping[str, str] = {}
    every: tuple[application.Application, ...] = ()
    home: str = ""

    @property
    def applications(self) -> tuple[application.Application, ...]:
        """The Applications that belong to it."""
        return tuple(each.app for each in self.members)


async def survey(
    api: client.Client,
    apps: backend.Backend,
    said: model.Argocd | None,
    services: Mapping[str, model.Service],
) -> Environment:
    """Find the environment.

    Args:
        api: The cluster of the services.
        apps: The way to Applications.
        said: `argocd:` of devloop.yaml.
        services: The project's services; without any, and without a named Application, the environment is what deploys
            to the namespace in use.

    Raises:
        NotThereError: The named Application is not there, or there is no Argo CD.
        ClusterError: Something may not be read.
    """
    try:
        with errors.single():
            async with asyncio.TaskGroup() as group:
                listing = group.create_task(apps.applications())
                looking = group.create_task(chain.every(api, services))
    except errors.DevloopError as error:
        raise _explained(error, apps.way) from None
    every = tuple(listing.result())
    home = choice.home(said, every)
    named: tuple[application.Reference, ...] = ()
    if said is not None and said.application is not None:
        text = f"{said.namespace}/{said.application}" if said.namespace and "/" not in said.application else ""
        named = (names.pick(every, text or said.application).reference,)
    return select(index.Index(every, home), looking.result(), named, api.namespace)


def select(
    known: index.Index, chains: Sequence[chain.Chain], named: Sequence[application.Reference] = (), namespace: str = ""
) -> Environment:
    """Return the environment; see the module.

    Args:
        known: All Applications that may be read.
        chains: The services in the cluster.
        named: Applications that the project names.
        namespace: The namespace in use, which says what is meant where nothing else does.
    """
    owners, foreign = _owned(known, chains)
    found = _Found(known, owners)
    for one in known.applications:
        if one.reference in named:
            found.add(one, Why.NAMED)
    for service, owner in owners.items():
        found.add(owner, Why.WORKLOAD, service)
    if not chains and not named:
        for one in known.applications:
            if one.destination == namespace and not _only_applications(one):
                found.add(one, Why.NAMESPACE, namespace)
    found.descend()
    found.neighbours()
    found.descend()
    found.ascend()
    return Environment(
        members=tuple(found.members.values()),
        related=tuple(found.related()),
        chains=tuple(chains),
        owners={service: one.reference for service, one in owners.items()},
        foreign=foreign,
        every=tuple(known.applications),
        home=known.home,
    )


def _explained(error: errors.DevloopError, way: str) -> errors.DevloopError:
    """Return a refusal to list Applications by the Kubernetes API with what would allow it."""
    if not isinstance(error, errors.ForbiddenError) or way != "kubernetes":
        return error
    hint = (
        "ask for the Role of config/rbac/argocd in the namespace of the Applications, and name that as "
        "argocd.namespace; docs/install-ops.md has it"
    )
    return errors.ForbiddenError(error.message, hint=hint, status=error.status, reason=error.reason)


class _Found:
    """The environment while it is put together."""

    def __init__(self, known: index.Index, owners: Mapping[str, application.Application]) -> None:
        self.members: dict[application.Reference, Member] = {}
        self._known = known
        self._services: dict[application.Reference, tuple[str, ...]] = {}
        for service, one in owners.items():
            self._services[one.reference] = (*self._services.get(one.reference, ()), service)

    def member(self, one: application.Application, why: Why, of: str = "") -> Member:
        return Member(one, why, of, self._services.get(one.reference, ()))

    def add(self, one: application.Application, why: Why, of: str = "") -> None:
        self.members.setdefault(one.reference, self.member(one, why, of))

    def descend(self) -> None:
        """Add the Applications that the members render, and theirs."""
        waiting = [each.app for each in self.members.values()]
        while waiting:
            above = waiting.pop(0)
            for one in self._known.children(above):
                if one.reference not in self.members:
                    self.add(one, Why.CHILD, above.name)
                    waiting.append(one)

    def neighbours(self) -> None:
        """Add what deploys to the same namespaces."""
        places = {_place(each.app) for each in self.members.values() if not _only_applications(each.app)}
        for one in self._known.applications:
            if one.destination and _place(one) in places and not _only_applications(one):
                self.add(one, Why.NAMESPACE, one.destination)

    def ascend(self) -> None:
        """Add the app-of-apps that have no Application but members, upward."""
        waiting = [each.app for each in self.members.values()]
        while waiting:
            above = self._known.parent(waiting.pop(0))
            if above is None or above.reference in self.members:
                continue
            if all(one.reference in self.members for one in self._known.children(above)):
                self.add(above, Why.PARENT)
                waiting.append(above)

    def related(self) -> Iterable[Member]:
        """Yield what is only near."""
        seen = set(self.members)
        for each in list(self.members.values()):
            above = self._known.parent(each.app)
            near = [(above, Why.PARENT, each.app.name)] if above is not None else []
            near += [(one, Why.SIBLING, above.name) for one in self._known.children(above)] if above is not None else []
            near += [(one, Why.SIBLING, maker_of(one)) for one in self._siblings(each.app)]
            for one, why, of in near:
                if one.reference not in seen:
                    seen.add(one.reference)
                    yield self.member(one, why, of)

    def _siblings(self, one: application.Application) -> list[application.Application]:
        maker = maker_of(one)
        if not maker:
            return []
        return [
            each
            for each in self._known.applications
            if maker_of(each) == maker
            and each.project == one.project
            and each.reference.namespace == one.reference.namespace
        ]


def maker_of(one: application.Application) -> str:
    """Return the ApplicationSet that generates an Application, or an empty text."""
    metadata = application.mapping(one.raw, "metadata")
    for each in application.mappings(metadata, "ownerReferences"):
        if application.text(each, "kind") == "ApplicationSet":
            return application.text(each, "name")
    return ""


def _owned(
    known: index.Index, chains: Iterable[chain.Chain]
) -> tuple[dict[str, application.Application], dict[str, str]]:
    owners: dict[str, application.Application] = {}
    foreign: dict[str, str] = {}
    for each in chains:
        owner = known.owner(each.workload) if each.workload else None
        marks = tracking.marks(each.workload)
        if owner is not None:
            owners[each.service] = owner
        elif marks and marks[0].method is tracking.Method.ANNOTATION:
            foreign[each.service] = f"{marks[0].namespace}/{marks[0].name}".lstrip("/")
    return owners, foreign


def _place(one: application.Application) -> tuple[str, str]:
    return one.server, one.destination


def _only_applications(one: application.Application) -> bool:
    """Say whether all that an Application renders into its namespace are Applications."""
    return bool(one.resources) and all(index.is_application(each) for each in one.resources)
