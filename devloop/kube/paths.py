"""The paths of the Kubernetes API: making them, and telling what a request asks for.

Pure. The shapes are those of the API reference: `/api/v1/…` for the core group, `/apis/GROUP/VERSION/…` for the
others, then `namespaces/NAMESPACE/` where the kind has one, the resource, a name, a subresource.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

import msgspec

# What a method does to one object, and to all of a kind.
_VERBS: Final = {
    "GET": ("get", "list"),
    "POST": ("create", "create"),
    "PUT": ("update", "update"),
    "PATCH": ("patch", "patch"),
    "DELETE": ("delete", "deletecollection"),
}


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for, in the words that RBAC uses.

    Attributes:
        verb: Such as `get`, `list` or `create`.
        resource: The plural, such as `pods`; empty where the path is not about objects.
        group: The API group; empty for the core.
        namespace: Empty where the kind has none, or in all of them.
        name: Empty where it is about all of a kind.
        subresource: Such as `exec`; empty where there is none.
    """

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def kind(self) -> str:
        """Return the resource with its subresource, as people write it: `pods/exec`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def can_i(self) -> str:
        """Return the command line that asks the API server whether the user may do this."""
        words = ["kubectl auth can-i", self.verb, f"{self.resource}.{self.group}" if self.group else self.resource]
        if self.subresource:
            # `pods/exec` would be read as a pod of the name exec.
            words.append(f"--subresource={self.subresource}")
        if self.namespace:
            words.append(f"-n {self.namespace}")
        return " ".join(words)


def of(version: str, resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Return the path of objects.

    Args:
        version: `v1` for the core group, else GROUP/VERSION.
        resource: The plural.
        namespace: Empty for kinds without one, or for all namespaces.
        name: Empty for all of the kind.
        subresource: Empty where there is none.
    """
    parts = ["apis" if "/" in version else "api", *version.split("/")]
    if namespace:
        parts += ["namespaces", namespace]
    parts += [part for part in (resource, name, subresource) if part]
    return "/" + "/".join(_quoted(part) for part in parts)


def _quoted(part: str) -> str:
    # A server or a proxy would take `.` and `..` for steps in the path.
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="")


def asked(method: str, path: str, *, watching: bool = False) -> Asked:
    """Tell what a request asks for.

    Args:
        method: The HTTP method.
        path: The path, with or without its query.
        watching: The query asks for a watch.
    """
    one, every = _VERBS.get(method.upper(), ("get", "get"))
    parts = [unquote(part) for part in path.partition("?")[0].strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return Asked(one)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and not (len(rest) == 3 and rest[2] in {"status", "finalize"}):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    verb = "watch" if watching else (one if name else every)
    return Asked(verb, resource, group, namespace, name, subresource)


def collection(path: str) -> str:
    """Return the path of all objects of the kind that `path` names one of."""
    seen = asked("GET", path)
    parts = path.partition("?")[0].split("/")
    return "/".join(parts[: len(parts) - bool(seen.name) - bool(seen.subresource)])
