"""A container's variables from its spec, as the kubelet makes them (kubernetes: kubelet_pods.go, `makeEnvironment`).

First `envFrom` in its order, then `env` in its order, where later ones win and see earlier ones by `$(NAME)`; a value
that is not empty goes before `valueFrom`. What cannot be known here is named, never left out in silence: a Secret that
may not be read, a limit that only the node has. The image's own variables are not in a spec, so not in the result.

Pure: what it reads was fetched before, by `devloop.shell.sources`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from devloop.shell import expansion, quantity

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"  # noqa: S105  # the kind

_STRICT_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
# Printable ASCII but `=`, since 1.32 (RelaxedEnvironmentVariableValidation).
_RELAXED_NAME: Final = re.compile(r"[\x20-\x3c\x3e-\x7e]+")
_MAP_FIELD: Final = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


class Source(msgspec.Struct, frozen=True):
    """A ConfigMap or Secret as it was fetched.

    Attributes:
        data: Its keys and values; None where it was not had.
        why: Why not; empty where it does not exist.
    """

    data: Mapping[str, str] | None = None
    why: str = ""


Sources = Mapping[tuple[str, str], Source]
"""By kind and name."""


class Made(msgspec.Struct, frozen=True):
    """The variables.

    Attributes:
        env: By name, in the order in which they were made.
        secret: Names of those whose value came from a Secret, directly or by a reference.
        unknown: What could not be found out: what it is about, and why.
        forbidden: Secrets or ConfigMaps were among them that may not be read.
    """

    env: dict[str, str]
    secret: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    forbidden: bool = False


def wanted(container: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return kind and name of what a container's variables come from, each once."""
    found: dict[tuple[str, str], None] = {}
    for each in container.get("envFrom") or []:
        for kind, key in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
            if each.get(key):
                found[kind, str(each[key].get("name", ""))] = None
    for each in container.get("env") or []:
        source = each.get("valueFrom") or {}
        for kind, key in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            if source.get(key) and not each.get("value"):
                found[kind, str(source[key].get("name", ""))] = None
    return list(found)


def make(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    sources: Sources,
    services: Mapping[str, str],
    *,
    relaxed: bool = True,
) -> Made:
    """Return the variables of a container.

    Args:
        pod: The pod, as the API server has it.
        container: The container's part of its spec.
        sources: What `wanted` names.
        services: The variables of services, which references may name.
        relaxed: Whether names from ConfigMaps and Secrets may be almost anything, as since 1.32.
    """
    maker = _Maker(pod, container, sources, services, _RELAXED_NAME if relaxed else _STRICT_NAME)
    for each in container.get("envFrom") or []:
        maker.take_all(each)
    for each in container.get("env") or []:
        maker.take(each)
    return Made(maker.env, frozenset(maker.secret), tuple(maker.unknown), maker.forbidden)


class _Unknown(Exception):
    """A value cannot be known here; the text says why."""


class _Absent(Exception):
    """An optional value is not there, so the variable is not either."""


class _Maker:
    def __init__(
        self,
        pod: Mapping[str, Any],
        container: Mapping[str, Any],
        sources: Sources,
        services: Mapping[str, str],
        names: re.Pattern[str],
    ) -> None:
        self.env: dict[str, str] = {}
        self.secret: set[str] = set()
        self.unknown: list[str] = []
        self.forbidden = False
        self._pod, self._container, self._sources, self._services = pod, container, sources, services
        self._names = names

    def take_all(self, each: Mapping[str, Any]) -> None:
        """Take one entry of `envFrom`."""
        for kind, key in ((CONFIG_MAP, "configMapRef"), (SECRET, "secretRef")):
            reference = each.get(key)
            if not reference:
                continue
            try:
                data = self._data(kind, reference)
            except _Absent:
                continue
            except _Unknown as why:
                self.unknown.append(f"all of {kind} {reference.get('name', '')}: {why}")
                continue
            for name, value in data.items():
                self._set_from(str(each.get("prefix") or "") + name, value, kind)

    def _set_from(self, name: str, value: str, kind: str) -> None:
        if self._names.fullmatch(name):
            self._set(name, value, secret=kind == SECRET)

    def take(self, each: Mapping[str, Any]) -> None:
        """Take one entry of `env`."""
        name, text = str(each.get("name", "")), str(each.get("value") or "")
        try:
            if text:
                used = expansion.references(text)
                self._set(name, expansion.expand(text, self._lookup), secret=bool(used & self.secret))
                self._check(name, used)
            elif each.get("valueFrom"):
                self._set(name, self._value(each["valueFrom"]), secret="secretKeyRef" in each["valueFrom"])
            else:
                self._set(name, "", secret=False)
        except _Absent:
            return
        except _Unknown as why:
            self.unknown.append(f"{name}: {why}")

    def _set(self, name: str, value: str, *, secret: bool) -> None:
        # The one that was set last stands where it was set.
        self.env.pop(name, None)
        self.env[name] = value
        (self.secret.add if secret else self.secret.discard)(name)

    def _lookup(self, name: str) -> str | None:
        return self.env.get(name, self._services.get(name))

    def _check(self, name: str, used: set[str]) -> None:
        # What an unread Secret would have made is not known by name, and the API server's own address only to the node.
        absent = {each for each in used if self._lookup(each) is None}
        lost = {each.split(":")[0] for each in self.unknown} & used
        lost |= absent if self.forbidden else {each for each in absent if each.startswith("KUBERNETES_")}
        if lost:
            self.unknown.append(f"{name}: refers to {', '.join(sorted(lost))}")

    def _value(self, source: Mapping[str, Any]) -> str:
        for kind, key in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
            if source.get(key):
                return self._key(kind, source[key])
        if source.get("fieldRef"):
            return self._field(str(source["fieldRef"].get("fieldPath", "")))
        if source.get("resourceFieldRef"):
            return self._resource(source["resourceFieldRef"])
        raise _Unknown(f"devloop does not know {', '.join(source)}")

    def _data(self, kind: str, reference: Mapping[str, Any]) -> Mapping[str, str]:
        name = str(reference.get("name", ""))
        found = self._sources.get((kind, name), Source())
        if found.data is not None:
            return found.data
        if not found.why:
            if reference.get("optional"):
                raise _Absent
            raise _Unknown(f"there is no {kind} {name}")
        self.forbidden = True
        raise _Unknown(found.why)

    def _key(self, kind: str, reference: Mapping[str, Any]) -> str:
        data, key = self._data(kind, reference), str(reference.get("key", ""))
        if key in data:
            return data[key]
        if reference.get("optional"):
            raise _Absent
        raise _Unknown(f"{kind} {reference.get('name', '')} has no key {key}")

    def _field(self, path: str) -> str:
        meta, spec, status = (self._pod.get(part) or {} for part in ("metadata", "spec", "status"))
        of_map = _MAP_FIELD.fullmatch(path)
        if of_map is not None:
            return str((meta.get(of_map[1]) or {}).get(of_map[2], ""))
        known = {
            "metadata.name": meta.get("name"),
            "metadata.namespace": meta.get("namespace"),
            "metadata.uid": meta.get("uid"),
            "spec.nodeName": spec.get("nodeName"),
            "spec.serviceAccountName": spec.get("serviceAccountName"),
            "status.hostIP": status.get("hostIP"),
            "status.hostIPs": _addresses(status, "hostIP"),
            "status.podIP": status.get("podIP"),
            "status.podIPs": _addresses(status, "podIP"),
        }
        if not known.get(path):
            raise _Unknown(f"the pod does not tell {path}")
        return str(known[path])

    def _resource(self, reference: Mapping[str, Any]) -> str:
        named = str(reference.get("containerName") or self._container.get("name", ""))
        kind, _, name = str(reference.get("resource", "")).partition(".")
        listed = (self._pod.get("spec") or {}).get("containers") or []
        container = next((each for each in listed if each.get("name") == named), self._container)
        found = ((container.get("resources") or {}).get(kind) or {}).get(name)
        if found is None and kind == "limits":
            raise _Unknown(f"{named} has no limit of {name}, so it is the node's, which only the node tells")
        try:
            return quantity.divided(str(found or "0"), str(reference.get("divisor") or ""))
        except ValueError as error:
            raise _Unknown(str(error)) from None


def _addresses(status: Mapping[str, Any], one: str) -> str:
    listed = [str(each.get("ip", "")) for each in status.get(f"{one}s") or []]
    return ",".join(listed) or str(status.get(one) or "")
