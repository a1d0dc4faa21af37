from __future__ import annotations

from typing import Any

import pytest
import yaml

from devloop import errors
from devloop.manifests import component, workloads
from devloop.podspec import inject
from tests.unit.manifests import texts
from tests.unit.podspec import cases

KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}


def applied(value: Any, patch: Any, key: str = "") -> Any:
    """Apply a strategic merge patch as the API server does."""
    if isinstance(patch, dict):
        made = dict(value) if isinstance(value, dict) else {}
        for name, part in patch.items():
            if part is None:
                made.pop(name, None)
            else:
                made[name] = applied(made.get(name), part, name)
        return made
    if key not in KEYS:
        return patch
    items = {item[KEYS[key]]: item for item in value or []}
    for item in patch:
        items[item[KEYS[key]]] = applied(items.get(item[KEYS[key]]), item)
    return list(items.values())


@pytest.mark.parametrize("name", cases.NAMES)
def test_the_patch_does_what_the_injection_does(name: str) -> None:
    case = cases.Case(name)
    made = case.outcome()
    if not made.refusals:
        assert applied(case.pod, component.patch(case.pod, made.pod)) == made.pod


def workload(kind: str) -> tuple[workloads.Found, Any]:
    value = yaml.safe_load(texts.DEPLOYMENT.replace("2020-01-01", "x"))
    value |= {"kind": kind, "apiVersion": "argoproj.io/v1" if kind == "Rollout" else "apps/v1"}
    (found,) = workloads.find(value)
    return found, inject.inject(found.pod(), cases.service(), cases.platform()).pod


def test_a_component_patches_the_one_workload_by_name() -> None:
    found, new = workload("Deployment")
    made = yaml.safe_load(component.component(found, new))
    assert made["kind"] == "Component"
    (patch,) = made["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": "web"}
    told = yaml.safe_load(patch["patch"])
    assert applied(dict(found.value), told)["spec"]["template"] == new
    assert "image" not in told["spec"]["template"]["spec"]["containers"][0]


def test_custom_resources_are_refused() -> None:
    found, new = workload("Rollout")
    with pytest.raises(errors.UsageError) as raised:
        component.component(found, new)
    assert raised.value.error_code == "DL0811"
