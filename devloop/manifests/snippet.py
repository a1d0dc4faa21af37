"""What an injection changes in one workload, as named templates for a Helm chart.

Helm cannot call devloop, and a chart cannot be patched by name, so the chart's own template includes the pieces where
they belong. They come from the same patch as the kustomize component.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from devloop.manifests import component, dump, workloads

_HEAD = """\
{{{{/*
Made by `devloop inject --print-helm` for {found}. Make it again when that changes.
Include each piece where its comment says; without devloop.enabled they are empty.
*/}}}}
"""


def snippet(found: workloads.Found, new: Any) -> str:
    """Return the named templates that inject one workload.

    Args:
        found: The workload, as it is.
        new: Its pod template with the agent in it.
    """
    changes = component.patch(found.pod(), new)
    return _HEAD.format(found=found) + "".join(_define(*piece) for piece in _pieces(changes))


def _pieces(changes: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield name, place and value of each piece."""
    spec = changes["spec"]
    yield "annotations", "in the pod's metadata.annotations", changes["metadata"]["annotations"]
    for key in ("initContainers", "volumes"):
        yield key, f"at the end of the pod's {key}", spec[key]
    added = [each for each in spec.get("containers", []) if "image" in each and "securityContext" in each]
    if added:
        yield "containers", "at the end of the pod's containers", added
    for app in spec.get("containers", []):
        if app not in added:
            yield from _app(app)


def _app(app: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    name = app["name"]
    for key in ("volumeMounts", "env"):
        if key in app:
            yield key, f"at the end of the {key} of the container {name}", app[key]
    rest = {key: value for key, value in app.items() if key not in {"name", "volumeMounts", "env"}}
    dropped = ", ".join(key for key, value in rest.items() if value is None)
    kept = {key: value for key, value in rest.items() if value is not None}
    without = f", in place of its own and without {dropped}" if dropped else ", in place of its own"
    if kept or dropped:
        yield "container", f"in the container {name}{without}", kept


def _define(name: str, place: str, value: Any) -> str:
    body = dump.block(value).replace("{{", '{{ "{{" }}')
    lines = [
        "",
        f"{{{{/* {place} */}}}}",
        f'{{{{- define "devloop.{name}" -}}}}',
        "{{- if (.Values.devloop).enabled }}",
        f"{body}{{{{- end }}}}",
        "{{- end }}",
        "",
    ]
    return "\n".join(lines)
