"""Which Application an object belongs to: by tracking annotation, or by instance label.

Pure. Argo CD marks what it applies with an annotation `APPLICATION:GROUP/KIND:NAMESPACE/NAME` (the default since 3.0),
with a label, or both; the label's name can be configured (`application.instanceLabelKey` in `argocd-cm`). An annotation
that names another object than the one it is on was copied, and Argo CD ignores it; so is it here. An Application in a
namespace of its own is written `NAMESPACE_NAME`.
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from devloop.argocd import application

TRACKING_ID: Final = "argocd.argoproj.io/tracking-id"
INSTANCE: Final = "app.kubernetes.io/instance"


class Method(enum.StrEnum):
    """How an object is marked."""

    ANNOTATION = "annotation"
    LABEL = "label"


class Mark(msgspec.Struct, frozen=True):
    """What an object says of its Application.

    Attributes:
        name: The Application's name.
        namespace: Its namespace; empty where it is the one of Argo CD itself.
        method: How it says so. A label alone proves nothing: half of all charts set it.
    """

    name: str
    namespace: str
    method: Method


def marks(raw: application.Raw, instance_label: str = INSTANCE) -> tuple[Mark, ...]:
    """Return what an object says of its Application, the surest first.

    Args:
        raw: The object, with `apiVersion` and `kind`.
        instance_label: The label's name.
    """
    found = []
    metadata = application.mapping(raw, "metadata")
    owner, _, rest = application.text(application.mapping(metadata, "annotations"), TRACKING_ID).partition(":")
    if owner and rest == identity(raw):
        found.append(_mark(owner, Method.ANNOTATION))
    label = application.text(application.mapping(metadata, "labels"), instance_label)
    if label:
        found.append(_mark(label, Method.LABEL))
    return tuple(found)


def identity(raw: application.Raw) -> str:
    """Return how a tracking annotation names this object: `GROUP/KIND:NAMESPACE/NAME`."""
    version, metadata = application.text(raw, "apiVersion"), application.mapping(raw, "metadata")
    group = version.rpartition("/")[0]
    kind, namespace, name = (
        application.text(raw, "kind"),
        application.text(metadata, "namespace"),
        application.text(metadata, "name"),
    )
    return f"{group}/{kind}:{namespace}/{name}"


def lists(one: application.Application, raw: application.Raw) -> bool:
    """Say whether an Application's status lists an object: the proof for one that has only a label."""
    metadata = application.mapping(raw, "metadata")
    group = application.text(raw, "apiVersion").rpartition("/")[0]
    wanted = (
        group,
        application.text(raw, "kind"),
        application.text(metadata, "namespace"),
        application.text(metadata, "name"),
    )
    return any((each.group, each.kind, each.namespace, each.name) == wanted for each in one.resources)


def _mark(owner: str, method: Method) -> Mark:
    # names of namespaces have no underscore, so the first one ends it
    namespace, separator, name = owner.partition("_")
    return Mark(name, namespace, method) if separator else Mark(owner, "", method)
