"""Which fields of an Application others are told to leave alone, and the YAML that tells them.

Pure. Two lists have nearly the same form: `ignoreApplicationDifferences` of an ApplicationSet, and `ignoreDifferences`
of the Application that renders another one. jq expressions are understood as far as they are plain paths; whether
another one covers a field is not known, and said so.
https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Controlling-Resource-Modification/
https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/
"""

from __future__ import annotations

import enum
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import yaml

from devloop.argocd import application, index, kubeapps

# The field manager of devloop's changes by the Kubernetes API.
MANAGER: Final = "devloop"
RESPECT: Final = "RespectIgnoreDifferences=true"

_ANY: Final = "*"
_JQ: Final = re.compile(
    r'\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\.?\["(?P<text>[^"\\]*)"\]|\[(?P<index>[0-9]*)\]|(?P<rest>.)'
)


class Covered(enum.Enum):
    """Whether a field is left alone."""

    NO = enum.auto()
    PERHAPS = enum.auto()
    YES = enum.auto()


def of_set(rules: Iterable[application.Raw], one: application.Application, field: str) -> Covered:
    """Say whether an ApplicationSet leaves a field of an Application alone.

    Args:
        rules: Its `ignoreApplicationDifferences`.
        one: The Application.
        field: A JSON pointer.
    """
    meant = [rule for rule in rules if application.text(rule, "name") in {"", one.name}]
    return _best(_rule(rule, field) for rule in meant)


def of_parent(rules: Iterable[application.Raw], one: application.Application, field: str) -> Covered:
    """Say whether an app-of-apps leaves a field of an Application that it renders alone.

    Args:
        rules: Its `ignoreDifferences`.
        one: The rendered Application.
        field: A JSON pointer.
    """
    meant = [rule for rule in rules if _is_about(rule, one)]
    found = [_rule(rule, field) for rule in meant]
    found += [Covered.YES for rule in meant if MANAGER in application.items(rule, "managedFieldsManagers")]
    return _best(found)


def set_rules(found: application.Raw, one: application.Application, fields: Sequence[str], kept: Sequence[str]) -> str:
    """Return the YAML for an ApplicationSet that is to leave fields of one Application alone.

    Lists are whole, with what is in them now, so that it can be merged into the object as it is.

    Args:
        found: The ApplicationSet.
        one: The Application.
        fields: JSON pointers.
        kept: Annotations that must stay; others than the template's are removed.
    """
    metadata, now = application.mapping(found, "metadata"), application.mapping(found, "spec")
    spec: dict[str, Any] = {}
    if fields:
        rule = {"name": one.name, "jsonPointers": list(fields)}
        spec["ignoreApplicationDifferences"] = [*application.items(now, "ignoreApplicationDifferences"), rule]
    if kept:
        before = application.items(application.mapping(now, "preservedFields"), "annotations")
        spec["preservedFields"] = {"annotations": [*before, *kept]}
    return _dumped("ApplicationSet", application.text(metadata, "name"), application.text(metadata, "namespace"), spec)


def parent_rules(parent: application.Application, one: application.Application, fields: Sequence[str]) -> str:
    """Return the YAML for an app-of-apps that is to leave fields of one Application alone; lists are whole.

    Args:
        parent: The app-of-apps.
        one: The Application that it renders.
        fields: JSON pointers; empty where only the sync option is missing.
    """
    rule = {
        "group": index.GROUP,
        "kind": index.KIND,
        "name": one.name,
        "namespace": one.reference.namespace,
        "jsonPointers": list(fields),
    }
    before = application.items(application.mapping(parent.raw, "spec"), "ignoreDifferences")
    spec: dict[str, Any] = {"ignoreDifferences": [*before, rule]} if fields else {}
    if RESPECT not in parent.options:
        spec["syncPolicy"] = {"syncOptions": [*sorted(parent.options), RESPECT]}
    return _dumped(index.KIND, parent.name, parent.reference.namespace, spec)


def _dumped(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> str:
    whole = {
        "apiVersion": kubeapps.VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    return str(yaml.safe_dump(whole, sort_keys=False, width=120))


def _is_about(rule: application.Raw, one: application.Application) -> bool:
    # Argo CD matches group and kind as globs, name and namespace as they are (util/argo/normalizers).
    return (
        fnmatch.fnmatchcase(index.GROUP, application.text(rule, "group"))
        and fnmatch.fnmatchcase(index.KIND, application.text(rule, "kind"))
        and application.text(rule, "name") in {"", one.name}
        and application.text(rule, "namespace") in {"", one.reference.namespace}
    )


def _best(found: Iterable[Covered]) -> Covered:
    return max(found, key=lambda each: each.value, default=Covered.NO)


def _rule(rule: application.Raw, field: str) -> Covered:
    wanted = _pointer(field)
    for pointer in application.items(rule, "jsonPointers"):
        if _leads_to(_pointer(str(pointer)), wanted):
            return Covered.YES
    answers = []
    for expression in application.items(rule, "jqPathExpressions"):
        path = _jq(str(expression))
        if path is None:
            answers.append(Covered.PERHAPS)
        elif _leads_to(path, wanted):
            return Covered.YES
    return _best(answers)


def _pointer(text: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _leads_to(path: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Say whether a path is to a field or to what it is in."""
    if not path or len(path) > len(wanted):
        return False
    return all(mine in {_ANY, theirs} for mine, theirs in zip(path, wanted, strict=False))


def _jq(expression: str) -> tuple[str, ...] | None:
    """Return the path that a jq expression is, or None where it is more than a path."""
    parts = []
    for found in _JQ.finditer(expression.strip().removesuffix("?")):
        if found["rest"] is not None:
            return None
        if found["index"] is not None:
            parts.append(found["index"] or _ANY)
        else:
            parts.append(found["name"] if found["name"] is not None else found["text"])
    return tuple(parts)
