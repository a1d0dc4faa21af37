"""Is this a pod template at all? The types of everything that the rest of the package reads, checked once.

A template comes from files that people and templating wrote, so it may hold anything. Behind `check` the code relies on
lists being lists of mappings with names; whether the API server likes the rest is for the API server to say.
"""

from __future__ import annotations

from typing import Any, Final

from devloop.podspec import outcome

CODE: Final = "DL0801"

_HINT: Final = "check the manifest with `kubectl apply --dry-run=server`"
_LISTS: Final = ("volumes", "initContainers")
_TEXTS: Final = ("image", "workingDir", "imagePullPolicy")


def check(pod: outcome.Tree) -> None:
    """Refuse what is no pod template.

    Raises:
        Refused: With the place of what is wrong.
    """
    metadata = _mapping(pod, "metadata", ())
    _mapping(metadata, "annotations", ("metadata",))
    if not isinstance(pod.get("spec"), dict):
        raise _wrong("the pod has no spec", ("spec",) if "spec" in pod else ())
    spec = pod["spec"]
    _mapping(spec, "securityContext", ("spec",))
    for key in _LISTS:
        _named(spec, key, "name", ("spec",))
    containers = _named(spec, "containers", "name", ("spec",))
    if not containers:
        raise _wrong("the pod has no containers", ("spec",))
    for index, container in enumerate(containers):
        _check_container(container, ("spec", "containers", index))


def _check_container(container: outcome.Tree, at: outcome.Loc) -> None:
    _mapping(container, "securityContext", at)
    _named(container, "volumeMounts", "mountPath", at)
    _named(container, "volumeMounts", "name", at)
    _named(container, "env", "name", at)
    _named(container, "ports", None, at)
    for key in ("command", "args"):
        words = container.get(key)
        if words is not None and (not isinstance(words, list) or not all(isinstance(word, str) for word in words)):
            raise _wrong(f"{key} is not a list of words", (*at, key))
    for key in _TEXTS:
        if not isinstance(container.get(key, ""), str | None):
            raise _wrong(f"{key} is not text", (*at, key))


def _mapping(holder: outcome.Tree, key: str, at: outcome.Loc) -> outcome.Tree:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(f"{key} is not a mapping", (*at, key))
    return value


def _named(holder: outcome.Tree, key: str, name: str | None, at: outcome.Loc) -> list[Any]:
    """Return a list of mappings, each with text under `name`."""
    items = holder.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise _wrong(f"{key} is not a list", (*at, key))
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise _wrong(f"an item of {key} is not a mapping", (*at, key, index))
        if name is not None and not (isinstance(item.get(name), str) and item[name]):
            raise _wrong(f"an item of {key} has no {name}", (*at, key, index))
    return items


def _wrong(message: str, at: outcome.Loc) -> outcome.Refused:
    return outcome.Refused(CODE, f"this is not a pod that Kubernetes would take: {message}", _HINT, at)
