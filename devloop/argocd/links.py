"""Web pages that belong to an Application or a service: Argo CD's own, the repository's, and those of `argocd.links`.

Pure. A link that lacks something that it names, such as a pod where none runs, is left out rather than made half.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

from devloop.argocd import application, chain, forges
from devloop.config import addresses

ARGOCD: Final = "argocd"
REPO: Final = "repo"

_NAMED: Final = re.compile(r"\{(\w+)\}")
_WEB: Final = ("http://", "https://")


def of_application(one: application.Application, base: str, templates: Mapping[str, str]) -> dict[str, str]:
    """Return the links of an Application, by name.

    Args:
        one: The Application.
        base: Argo CD's address; empty where nobody says.
        templates: `argocd.links`; those that name a service, a workload or a pod are for services.
    """
    found: dict[str, str] = {}
    if base:
        found[ARGOCD] = f"{base}/applications/{_quoted(one.reference.namespace)}/{_quoted(one.name)}"
    for position, source in enumerate(one.sources):
        name = REPO if REPO not in found else f"{REPO}-{source.name or source.ref or position + 1}"
        page = _page(one, position)
        if page and page not in found.values():
            found[name] = page
    return found | _filled(templates, {"application": one.name, "namespace": one.destination})


def of_service(one: chain.Chain, owner: application.Reference | None, templates: Mapping[str, str]) -> dict[str, str]:
    """Return the links of a service, by name.

    Args:
        one: The service in the cluster.
        owner: The Application that has its workload.
        templates: `argocd.links`.
    """
    fields = {
        "application": owner.name if owner is not None else "",
        "namespace": one.namespace,
        "pod": one.pods[0] if one.pods else "",
        "service": one.service,
        "workload": one.name,
    }
    return _filled(templates, fields)


def external(one: application.Application) -> tuple[str, ...]:
    """Return the addresses that Argo CD found in the Application's own objects, such as an Ingress's."""
    listed = application.items(application.mapping(one.raw, "status", "summary"), "externalURLs")
    return tuple(each for each in listed if isinstance(each, str) and each.startswith(_WEB))


def _page(one: application.Application, position: int) -> str:
    source = one.sources[position]
    if not source.is_git:
        return ""
    compared = one.revisions[position] if position < len(one.revisions) else ""
    # A hydrator's compared commit is of the branch that it renders into.
    revision = source.revision if one.hydrated else compared or source.revision
    return forges.at(source.repo, revision, source.path)


def _filled(templates: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for name, template in templates.items():
        named = set(_NAMED.findall(template.replace("{{", "").replace("}}", "")))
        if all(fields.get(each) for each in named):
            found[name] = addresses.filled(template, fields)
    return found


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
