"""An Application of Argo CD as a frozen value: what it renders, from where, and how it stands.

Pure. Made from the object as the API server, or Argo CD's own API, sends it: both send the same JSON. Fields that this
devloop does not know stay in `raw`; nothing is ever written from these values but JSON patches of single fields
(`devloop.argocd.switch` and its siblings). Field names and their meaning: `argoproj.io/v1alpha1`, the CRD of Argo CD 3.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

Raw = Mapping[str, Any]

SYNCED: Final = "Synced"
OUT_OF_SYNC: Final = "OutOfSync"
HEALTHY: Final = "Healthy"


class Reference(msgspec.Struct, frozen=True, order=True):
    """Which Application is meant: since Argo CD 2.5 they may be in any namespace.

    Attributes:
        namespace: Where it is.
        name: Its name.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Generator(enum.StrEnum):
    """What makes manifests of a source."""

    HELM = "helm"
    KUSTOMIZE = "kustomize"
    PLUGIN = "plugin"
    DIRECTORY = "directory"


class Source(msgspec.Struct, frozen=True):
    """One source.

    Attributes:
        repo: Its `repoURL`.
        revision: Its `targetRevision` as it is written; empty means HEAD.
        path: The folder in the repository; empty for a chart and for a source that only lends files.
        chart: The chart's name in a Helm repository.
        ref: The name by which other sources use its files.
        name: What people call it (2.14).
        generator: What makes its manifests, as it asks for or as Argo CD found out; None where neither is known.
        raw: The whole of it.
    """

    repo: str
    revision: str = ""
    path: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    generator: Generator | None = None
    raw: Raw = {}

    @property
    def is_git(self) -> bool:
        """Whether a branch can be chosen: charts of Helm repositories have versions instead."""
        return not self.chart


class Automated(msgspec.Struct, frozen=True):
    """Auto-sync.

    Attributes:
        prune: Objects that left git are deleted.
        self_heal: Objects that somebody changed are put back.
    """

    prune: bool = False
    self_heal: bool = False


class Condition(msgspec.Struct, frozen=True):
    """Something that Argo CD says of the whole Application, such as `ComparisonError`."""

    type: str
    message: str


class Resource(msgspec.Struct, frozen=True):
    """One object that the Application renders, as its status lists it.

    Attributes:
        group: Empty for the core group.
        kind: Its kind.
        namespace: Empty for objects of the whole cluster.
        name: Its name.
        sync: `Synced`, `OutOfSync` or empty.
        health: `Healthy`, `Progressing`, `Degraded`, …; empty where it is not told (the default since 3.0).
        message: What the health says.
        to_prune: It left git and is still there.
    """

    group: str
    kind: str
    namespace: str
    name: str
    sync: str = ""
    health: str = ""
    message: str = ""
    to_prune: bool = False

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


class Operation(msgspec.Struct, frozen=True):
    """A sync that runs or was the last one.

    Attributes:
        phase: `Running`, `Succeeded`, `Failed`, `Error` or `Terminating`.
        message: What it says.
        started: When, as Argo CD writes it.
        finished: When; empty while it runs.
        by: Who began it: a user, or `auto-sync`.
        revisions: What is synced, one for each source.
        resources: What it did with each object.
    """

    phase: str
    message: str = ""
    started: str = ""
    finished: str = ""
    by: str = ""
    revisions: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()


class Application(msgspec.Struct, frozen=True):
    """One Application.

    Attributes:
        reference: Which one.
        project: Its AppProject.
        sources: One or several.
        is_multi: `spec.sources` is used, so paths of patches differ.
        hydrated: A source hydrator renders into branches: the first source is the dry one.
        server: The cluster that it deploys to, by URL or name.
        destination: The namespace that it deploys to.
        automated: Auto-sync; None where it is off.
        options: Its sync options.
        sync: `Synced`, `OutOfSync` or `Unknown`.
        revisions: What was compared, one for each source.
        health: `Healthy`, `Progressing`, `Degraded`, `Missing`, `Suspended`, `Unknown`.
        health_message: What the health says.
        conditions: What else Argo CD says.
        resources: What it renders.
        operation: The sync that runs or was the last.
        is_asked: An operation is written down and not begun or not ended.
        reconciled: When it was compared last, as Argo CD writes it.
        images: The images of its pods.
        version: resourceVersion; empty where the object did not come from Kubernetes.
        uid: The object's identity.
        home: The namespace of the Argo CD that keeps it (2.5); empty where it does not say.
        raw: The whole object.
    """

    reference: Reference
    project: str
    sources: tuple[Source, ...]
    is_multi: bool = False
    hydrated: bool = False
    server: str = ""
    destination: str = ""
    automated: Automated | None = None
    options: frozenset[str] = frozenset()
    sync: str = "Unknown"
    revisions: tuple[str, ...] = ()
    health: str = "Unknown"
    health_message: str = ""
    conditions: tuple[Condition, ...] = ()
    resources: tuple[Resource, ...] = ()
    operation: Operation | None = None
    is_asked: bool = False
    reconciled: str = ""
    images: tuple[str, ...] = ()
    version: str = ""
    uid: str = ""
    home: str = ""
    raw: Raw = {}

    @property
    def name(self) -> str:
        """Its name."""
        return self.reference.name

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return mapping(self.raw, "metadata", "annotations")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return mapping(self.raw, "metadata", "labels")

    @property
    def is_compared(self) -> bool:
        """What the status says is about the sources as they are now; true where it does not say what it is about."""
        compared = mapping(self.raw, "status", "sync", "comparedTo")
        if not compared or self.hydrated:
            return True
        about = mappings(compared, "sources") if self.is_multi else [mapping(compared, "source")]
        return [(text(each, "repoURL"), text(each, "targetRevision")) for each in about] == [
            (source.repo, source.revision) for source in self.sources
        ]

    @property
    def is_running(self) -> bool:
        """A sync is under way, or asked for."""
        return self.is_asked or (self.operation is not None and not self.operation.finished)


def read(raw: Raw) -> Application:
    """Return the value of an object.

    Args:
        raw: The object. What is missing in it, or of another type than the CRD has, counts as not said.
    """
    metadata, spec, status = mapping(raw, "metadata"), mapping(raw, "spec"), mapping(raw, "status")
    sources, is_multi, hydrated = _sources(spec)
    sources = _generated(sources, status)
    destination, policy, sync = mapping(spec, "destination"), mapping(spec, "syncPolicy"), mapping(status, "sync")
    health = mapping(status, "health")
    return Application(
        reference=Reference(text(metadata, "namespace"), text(metadata, "name")),
        project=text(spec, "project") or "default",
        sources=sources,
        is_multi=is_multi,
        hydrated=hydrated,
        server=text(destination, "server") or text(destination, "name"),
        destination=text(destination, "namespace"),
        automated=_automated(policy),
        options=frozenset(str(each) for each in items(policy, "syncOptions")),
        sync=text(sync, "status") or "Unknown",
        revisions=_revisions(sync),
        health=text(health, "status") or "Unknown",
        health_message=text(health, "message"),
        conditions=tuple(
            Condition(text(each, "type"), text(each, "message")) for each in mappings(status, "conditions")
        ),
        resources=tuple(_resource(each) for each in mappings(status, "resources")),
        operation=_operation(mapping(status, "operationState")),
        is_asked=bool(mapping(raw, "operation")),
        reconciled=text(status, "reconciledAt"),
        images=tuple(str(each) for each in items(mapping(status, "summary"), "images")),
        version=text(metadata, "resourceVersion"),
        uid=text(metadata, "uid"),
        home=text(status, "controllerNamespace"),
        raw=raw,
    )


def _sources(spec: Raw) -> tuple[tuple[Source, ...], bool, bool]:
    """Return the sources, whether there is a list of them, and whether a hydrator is between."""
    dry = mapping(spec, "sourceHydrator", "drySource")
    if dry:
        return (_source(dry),), False, True
    several = mappings(spec, "sources")
    if several:
        return tuple(_source(each) for each in several), True, False
    one = mapping(spec, "source")
    return ((_source(one),) if one else ()), False, False


def _source(raw: Raw) -> Source:
    asked = next((each for each in Generator if mapping(raw, each.value)), None)
    return Source(
        repo=text(raw, "repoURL"),
        revision=text(raw, "targetRevision"),
        path=text(raw, "path"),
        chart=text(raw, "chart"),
        ref=text(raw, "ref"),
        name=text(raw, "name"),
        generator=Generator.HELM if text(raw, "chart") else asked,
        raw=raw,
    )


def _generated(sources: tuple[Source, ...], status: Raw) -> tuple[Source, ...]:
    """Return the sources with what Argo CD found out that makes their manifests."""
    one, several = text(status, "sourceType"), items(status, "sourceTypes")
    words = [str(each).lower() for each in several] or [one.lower()]
    known = {each.value: each for each in Generator}
    return tuple(
        msgspec.structs.replace(source, generator=source.generator or known.get(words[at]))
        if at < len(words) and not source.ref
        else source
        for at, source in enumerate(sources)
    )


def _automated(policy: Raw) -> Automated | None:
    said = policy.get("automated")
    # Before 3.1 there was no `enabled`: that `automated` is there, even empty, turned it on.
    if not isinstance(said, Mapping) or said.get("enabled") is False:
        return None
    return Automated(bool(said.get("prune")), bool(said.get("selfHeal")))


def _revisions(said: Raw) -> tuple[str, ...]:
    several = tuple(str(each) for each in items(said, "revisions"))
    one = text(said, "revision")
    return several or ((one,) if one else ())


def _resource(raw: Raw) -> Resource:
    health = mapping(raw, "health")
    return Resource(
        group=text(raw, "group"),
        kind=text(raw, "kind"),
        namespace=text(raw, "namespace"),
        name=text(raw, "name"),
        # what is listed of an operation says so with other words, in the same field
        sync=text(raw, "status"),
        health=text(health, "status"),
        message=text(health, "message") or text(raw, "message"),
        to_prune=bool(raw.get("requiresPruning")),
    )


def _operation(state: Raw) -> Operation | None:
    if not state:
        return None
    asked, result = mapping(state, "operation"), mapping(state, "syncResult")
    begun = mapping(asked, "initiatedBy")
    return Operation(
        phase=text(state, "phase"),
        message=text(state, "message"),
        started=text(state, "startedAt"),
        finished=text(state, "finishedAt"),
        by="auto-sync" if begun.get("automated") else text(begun, "username"),
        revisions=_revisions(result) or _revisions(mapping(asked, "sync")),
        resources=tuple(_resource(each) for each in mappings(result, "resources")),
    )


# ---- what was sent, without trusting its types ----------------------------------------------------------------------


def mapping(raw: Raw, *keys: str) -> Mapping[str, Any]:
    """Return the mapping at the end of keys, or an empty one."""
    found: Any = raw
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def items(raw: Raw, key: str) -> Sequence[Any]:
    """Return a list, or an empty one."""
    found = raw.get(key)
    return found if isinstance(found, list) else ()


def mappings(raw: Raw, key: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list."""
    return [each for each in items(raw, key) if isinstance(each, Mapping)]


def text(raw: Raw, key: str) -> str:
    """Return a text, or an empty one."""
    found = raw.get(key)
    return found if isinstance(found, str) else ""
