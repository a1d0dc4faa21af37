"""Fetches what a container's variables come from: ConfigMaps and Secrets that the user may read, services' addresses.

Values of Secrets stay in memory: nothing here is logged, cached or written.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from devloop import errors
from devloop.kube import client, paths
from devloop.shell import expansion, find, podenv, servicevars

_PLURALS: Final = {podenv.CONFIG_MAP: "configmaps", podenv.SECRET: "secrets"}
# Names from ConfigMaps and Secrets may be almost anything from here on.
_RELAXED_SINCE: Final = (1, 32)


async def read(api: client.Client, found: find.Found) -> podenv.Made:
    """Return a container's variables, from its spec.

    Args:
        api: The cluster.
        found: The container.

    Raises:
        ClusterError: The cluster does not answer. What may not be read is in the result.
    """
    sources = {key: await _fetch(api, *key) for key in podenv.wanted(found.spec)}
    version = await api.version()
    services = await _services(api, found.spec)
    return podenv.make(found.raw, found.spec, sources, services, relaxed=version.at_least(*_RELAXED_SINCE))


async def _fetch(api: client.Client, kind: str, name: str) -> podenv.Source:
    path = paths.of("v1", _PLURALS[kind], api.namespace, name)
    try:
        raw = await api.get(path)
    except errors.NotThereError:
        return podenv.Source()
    except errors.ForbiddenError:
        return podenv.Source(why=f"you may not get {_PLURALS[kind]} in namespace {api.namespace}")
    return podenv.Source(data_of(kind, raw))


def data_of(kind: str, raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a ConfigMap or Secret that can be variables: binary ones of a ConfigMap cannot."""
    listed = raw.get("data") or {}
    if kind == podenv.CONFIG_MAP:
        return {str(key): str(value) for key, value in listed.items()}
    return {str(key): _decoded(str(value)) for key, value in listed.items()}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("utf-8", "surrogateescape")
    except binascii.Error:
        return ""


async def _services(api: client.Client, container: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of the namespace's services, where a value refers to what may be one of them."""
    texts = [str(each.get("value") or "") for each in container.get("env") or []]
    if not any("_SERVICE_" in name or "_PORT" in name for text in texts for name in expansion.references(text)):
        return {}
    try:
        listed = await api.list(paths.of("v1", "services", api.namespace))
    except errors.ForbiddenError:
        return {}
    return servicevars.of_services(listed.items)
