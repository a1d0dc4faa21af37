"""What an injection changes in one workload, as a kustomize component and as pieces for a Helm chart.

Neither kustomize nor Helm can call devloop, so both get the outcome written out: a strategic merge patch, which finds
containers, volumes, mounts and variables by name and leaves the rest to the base. It is right for the manifest that it
was made from; when that changes in what the patch says (the command, the user, the mounts), it is to be made again.
"""

from __future__ import annotations

from typing import Any, Final

from devloop import errors
from devloop.manifests import dump, workloads

CODE: Final = "DL0811"

# The keys by which Kubernetes merges these lists (patchMergeKey in k8s.io/api/core/v1). All others are replaced.
_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}


def patch(old: Any, new: Any, key: str = "") -> Any:
    """Return the strategic merge patch that turns one value into another.

    Args:
        old: What is there.
        new: What is to be there.
        key: The key that holds it.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        changed = {name: patch(old.get(name), value, name) for name, value in new.items() if old.get(name) != value}
        return {**changed, **{name: None for name in old if name not in new}}
    merge_key = _MERGE_KEYS.get(key)
    if merge_key is None or not isinstance(new, list):
        return new
    before = {item[merge_key]: item for item in old or []}
    return [
        {merge_key: item[merge_key], **patch(before.get(item[merge_key], {}), item)}
        for item in new
        if before.get(item[merge_key]) != item
    ]


def component(found: workloads.Found, new: Any) -> str:
    """Return the `kustomization.yaml` of a component that injects one workload.

    Args:
        found: The workload, as it is.
        new: Its pod template with the agent in it.

    Raises:
        UsageError: kustomize cannot merge lists of this kind.
    """
    if found.kind == "rollout":
        raise errors.UsageError(
            f"{found} cannot be patched by kustomize: it replaces the lists of custom resources",
            hint="use `devloop inject -f -` as a filter behind kustomize",
            code=CODE,
        )
    changes = patch(found.pod(), new)
    for step in reversed(found.at[len(found.loc) :]):
        changes = {step: changes}
    kind = str(found.value["kind"])
    target = {"apiVersion": found.value["apiVersion"], "kind": kind, "metadata": {"name": found.name}}
    made = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"target": {"kind": kind, "name": found.name}, "patch": dump.block(_merged(target, changes))}],
    }
    head = f"# Made by `devloop inject --print-component` for {found}. Make it again when that changes.\n"
    return head + dump.block(made)


def _merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    made = dict(one)
    for key, value in two.items():
        held = made.get(key)
        made[key] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return made
