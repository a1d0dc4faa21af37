"""Which pods a service means: a workload by kind and name, or labels, as a query and a question about each pod.

Pure. A workload's selector alone is not enough: two workloads may select the same labels by mistake, and a pod that
somebody made by hand with these labels is nobody's. So the pod's controller is asked for as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import paths, pods


class Kind(msgspec.Struct, frozen=True):
    """A kind of workload that devloop knows.

    Attributes:
        name: Its name in manifests.
        version: Its API group and version.
        plural: Its name in paths.
        through: The kind of object between it and its pods; empty where it owns them itself.
    """

    name: str
    version: str
    plural: str
    through: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    "deployment": Kind("Deployment", "apps/v1", "deployments", "ReplicaSet"),
    "statefulset": Kind("StatefulSet", "apps/v1", "statefulsets"),
    "daemonset": Kind("DaemonSet", "apps/v1", "daemonsets"),
    "rollout": Kind("Rollout", "argoproj.io/v1alpha1", "rollouts", "ReplicaSet"),
    "pod": Kind("Pod", "v1", "pods"),
}

# What kubectl takes as well.
_SHORT: Final = {"deploy": "deployment", "sts": "statefulset", "ds": "daemonset", "ro": "rollout", "po": "pod"}


class Reference(msgspec.Struct, frozen=True):
    """A workload, as the configuration names it.

    Attributes:
        kind: Its kind.
        name: Its name.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.name.lower()}/{self.name}"

    def path(self, namespace: str) -> str:
        """Return the object's path; see `devloop.kube.paths`."""
        return paths.of(self.kind.version, self.kind.plural, namespace, self.name)


def parse(text: str) -> Reference:
    """Return the workload that `KIND/NAME` means; plurals and kubectl's short names are understood.

    Raises:
        UsageError: It is no such thing.
    """
    kind, _, name = text.partition("/")
    word = kind.lower().split(".")[0]
    word = _SHORT.get(word, word.removesuffix("s") if word.removesuffix("s") in KINDS else word)
    if word not in KINDS or not name:
        raise errors.UsageError(
            f"{text!r} is no workload that devloop knows",
            hint=f"write KIND/NAME, where KIND is one of {', '.join(KINDS)}",
            code="DL0103",
        )
    return Reference(KINDS[word], name)


class Wanted(msgspec.Struct, frozen=True):
    """The pods of a service.

    Attributes:
        label_selector: What the server is asked for; empty for no labels.
        field_selector: The same for fields.
        reference: The workload, where it is one.
    """

    label_selector: str = ""
    field_selector: str = ""
    reference: Reference | None = None

    def has(self, pod: pods.Pod) -> bool:
        """Say whether a pod that the query found is one of them."""
        if self.reference is None:
            return True
        kind, name = self.reference.kind, self.reference.name
        if kind.name == "Pod":
            return pod.name == name
        if pod.owner is None:
            return False
        if kind.through:
            # A ReplicaSet is called after its Deployment or Rollout and the hash that its pods carry as a label.
            return pod.owner.kind == kind.through and pod.owner.name == f"{name}-{pod.revision}"
        return (pod.owner.kind, pod.owner.name) == (kind.name, name)


def of_labels(labels: Mapping[str, str]) -> Wanted:
    """Return the pods that have these labels, whoever owns them."""
    return Wanted(",".join(f"{key}={value}" for key, value in sorted(labels.items())))


def of_workload(reference: Reference, raw: Mapping[str, Any]) -> Wanted:
    """Return the pods of a workload.

    Args:
        reference: Which.
        raw: The object as the API server sends it.

    Raises:
        ClusterError: It selects nothing, so that every pod would be its own.
    """
    if reference.kind.name == "Pod":
        return Wanted(field_selector=f"metadata.name={reference.name}", reference=reference)
    spec = raw.get("spec")
    selector = selector_text(spec.get("selector") if isinstance(spec, Mapping) else None)
    if not selector:
        raise errors.ClusterError(
            f"{reference} has no selector, so its pods cannot be found",
            hint="name its pods with `selector: {LABEL: VALUE}` in devloop.yaml",
            code="DL0763",
        )
    return Wanted(label_selector=selector, reference=reference)


def selector_text(selector: object) -> str:
    """Return a label selector in the form that a query takes.

    Args:
        selector: `matchLabels` and `matchExpressions`, as in a manifest.
    """
    if not isinstance(selector, Mapping):
        return ""
    labels, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    parts = [f"{key}={value}" for key, value in sorted(labels.items())]
    return ",".join([*parts, *(_expression(each) for each in expressions)])


def _expression(raw: Mapping[str, Any]) -> str:
    key, operator = str(raw.get("key", "")), str(raw.get("operator", ""))
    values: Sequence[object] = raw.get("values") or []
    inside = ",".join(str(value) for value in values)
    match operator:
        case "In":
            return f"{key} in ({inside})"
        case "NotIn":
            return f"{key} notin ({inside})"
        case "Exists":
            return key
        case _:
            return f"!{key}"
