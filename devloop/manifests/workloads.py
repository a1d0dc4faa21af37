"""Finds the workloads in a document, and the pod template in each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

TEMPLATE: Final = ("spec", "template")

# Kind to the word of devloop.yaml, and the API group that it belongs to.
_KINDS: Final[dict[str, tuple[str, str]]] = {
    "Deployment": ("deployment", "apps"),
    "StatefulSet": ("statefulset", "apps"),
    "DaemonSet": ("daemonset", "apps"),
    "Rollout": ("rollout", "argoproj.io"),
    "Pod": ("pod", ""),
}


class Found(msgspec.Struct, frozen=True):
    """A workload in a document.

    Attributes:
        kind: As devloop.yaml says it: deployment, statefulset, daemonset, rollout, pod.
        name: Its name.
        namespace: Its namespace; empty where the manifest leaves that open.
        loc: Where it is in the document: the root, or an item of a list.
        at: Where its pod template is in the document.
        value: The workload.
    """

    kind: str
    name: str
    namespace: str
    loc: tuple[str | int, ...]
    at: tuple[str | int, ...]
    value: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    def pod(self) -> Any:
        """Return its pod template, or whatever stands in that place."""
        return take(self.value, self.at[len(self.loc) :])

    def labels(self) -> Mapping[str, Any]:
        """Return the labels of its pods."""
        labels = take(self.pod(), ("metadata", "labels"))
        return labels if isinstance(labels, dict) else {}

    def claim_templates(self) -> frozenset[str]:
        """Return the volumes that a StatefulSet makes for each pod."""
        listed = take(self.value, ("spec", "volumeClaimTemplates"))
        named = [take(each, ("metadata", "name")) for each in listed] if isinstance(listed, list) else []
        return frozenset(name for name in named if isinstance(name, str))


def find(value: Any, loc: tuple[str | int, ...] = ()) -> Iterator[Found]:
    """Yield the workloads of a document, those in a `List` included.

    Args:
        value: What the document means.
        loc: Where it is, for the lists in lists.
    """
    if not isinstance(value, dict):
        return
    items = value.get("items")
    if isinstance(items, list) and str(value.get("kind", "")).endswith("List"):
        for index, item in enumerate(items):
            yield from find(item, (*loc, "items", index))
        return
    kind, group = _KINDS.get(str(value.get("kind")), ("", ""))
    name = take(value, ("metadata", "name"))
    if kind and isinstance(name, str) and _group(value) == group:
        namespace = take(value, ("metadata", "namespace"))
        at = loc if kind == "pod" else (*loc, *TEMPLATE)
        yield Found(kind, name, namespace if isinstance(namespace, str) else "", loc, at, value)


def _group(value: Mapping[str, Any]) -> str:
    group, slash, _ = str(value.get("apiVersion")).partition("/")
    # Deployments and DaemonSets were in `extensions` before Kubernetes 1.16, and the manifests still go around.
    return ("apps" if group == "extensions" else group) if slash else ""


def take(value: Any, loc: tuple[str | int, ...]) -> Any:
    """Return what `loc` leads to, or None."""
    for step in loc:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def replaced(value: Any, loc: tuple[str | int, ...], new: Any) -> Any:
    """Return a value with `new` in the place that `loc` leads to; the value itself is not changed."""
    if not loc:
        return new
    step, rest = loc[0], loc[1:]
    if isinstance(value, list) and isinstance(step, int):
        return [replaced(each, rest, new) if index == step else each for index, each in enumerate(value)]
    assert isinstance(value, dict)
    return {**value, step: replaced(value.get(step), rest, new)}
