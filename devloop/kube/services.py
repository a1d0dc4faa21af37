"""A Service's name as people write it, and which pod and port it leads to now.

Pure functions of raw objects, and a `Resolver` that keeps what they are told of by watches: EndpointSlices, or
Endpoints where the cluster has no slices yet (before 1.21). Of several ready pods one is kept as long as it is ready,
so that connections that belong together meet the same pod. Nothing here needs the cluster's DNS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from devloop import errors
from devloop.kube import client, paths, watch

UNFIT_CODE: Final = "DL0765"
_FIRST_LIST_S: Final = 10.0
_SLICES: Final = "discovery.k8s.io/v1"


class Name(msgspec.Struct, frozen=True):
    """A Service.

    Attributes:
        name: Its name.
        namespace: The namespace it is in.
    """

    name: str
    namespace: str

    def __str__(self) -> str:
        return f"{self.name}.{self.namespace}"


class Backend(msgspec.Struct, frozen=True):
    """One ready pod behind a port of a Service.

    Attributes:
        pod: Its name; empty for an address that belongs to no pod.
        port: The port on it.
        address: Its address.
    """

    pod: str
    port: int
    address: str = ""


def parse(host: str, namespace: str) -> Name | None:
    """Return the Service that a host's name means; None where it can be none.

    Args:
        host: `web`, `web.other`, `web.other.svc` or `web.other.svc.cluster.local`.
        namespace: The namespace of short names.
    """
    parts = host.rstrip(".").lower().split(".")
    if not all(parts) or any(not _label(part) for part in parts) or all(part.isdigit() for part in parts):
        return None
    if len(parts) > 2 and parts[2] != "svc":
        return None
    return Name(parts[0], parts[1] if len(parts) > 1 else namespace)


def _label(text: str) -> bool:
    return len(text) <= 63 and text.replace("-", "a").isalnum() and text.isascii()


def port_name(service: Mapping[str, Any], port: int) -> str:
    """Return the name of a Service's port; an only port may have none.

    Raises:
        NotThereError: It has no such port.
        RefusedError: The Service leads to no pods, or the port is not TCP.
    """
    meta, spec = service.get("metadata") or {}, service.get("spec") or {}
    name = str(meta.get("name", ""))
    if spec.get("type") == "ExternalName":
        raise errors.RefusedError(
            f"the service {name} is an alias of {spec.get('externalName')}, outside of the cluster",
            hint="a port-forward reaches pods only; with an agent that may dial it, use `devloop proxy`",
            code=UNFIT_CODE,
        )
    ports = [each for each in spec.get("ports") or [] if each.get("port") == port]
    if not ports:
        known = ", ".join(str(each.get("port")) for each in spec.get("ports") or []) or "none"
        raise errors.NotThereError(
            f"the service {name} has no port {port}", hint=f"its ports are {known}", code=UNFIT_CODE
        )
    fit = [each for each in ports if each.get("protocol", "TCP") == "TCP"]
    if not fit:
        raise errors.RefusedError(
            f"port {port} of the service {name} is {ports[0].get('protocol')}, which is not forwarded",
            hint="only TCP ports can be",
            code=UNFIT_CODE,
        )
    return str(fit[0].get("name") or "")


def of_slices(slices: Iterable[Mapping[str, Any]], name: str) -> list[Backend]:
    """Return the ready pods behind a port, in the order of their names.

    Args:
        slices: The Service's EndpointSlices.
        name: The port's name.
    """
    found = []
    for each in slices:
        numbers = [_number(port) for port in each.get("ports") or [] if (port.get("name") or "") == name]
        for endpoint in each.get("endpoints") or []:
            # Not known counts as ready (the API's own words).
            if numbers and numbers[0] and (endpoint.get("conditions") or {}).get("ready") is not False:
                addresses = endpoint.get("addresses") or [""]
                found.append(Backend(_pod(endpoint), numbers[0], str(addresses[0])))
    return sorted(found, key=lambda backend: (backend.pod, backend.address))


def of_endpoints(objects: Iterable[Mapping[str, Any]], name: str) -> list[Backend]:
    """Return the same of a Service's Endpoints."""
    found = []
    for subset in (subset for each in objects for subset in each.get("subsets") or []):
        numbers = [_number(port) for port in subset.get("ports") or [] if (port.get("name") or "") == name]
        addresses = subset.get("addresses") or [] if numbers and numbers[0] else []
        found += [Backend(_pod(each), numbers[0], str(each.get("ip", ""))) for each in addresses]
    return sorted(found, key=lambda backend: (backend.pod, backend.address))


def _number(port: Mapping[str, Any]) -> int:
    found = port.get("port")
    return found if isinstance(found, int) and port.get("protocol", "TCP") == "TCP" else 0


def _pod(endpoint: Mapping[str, Any]) -> str:
    told = endpoint.get("targetRef") or {}
    return str(told.get("name", "")) if told.get("kind") == "Pod" else ""


class Resolver:
    """Knows the backends of the Services that were asked for.

    Args:
        api: The connection.
        spawn: Runs a watch as long as the resolver is needed; it ends by itself only where nothing can be watched.
        on_change: Called when backends may have changed.
    """

    def __init__(
        self,
        api: client.Client,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._api = api
        self._spawn = spawn
        self._on_change = on_change
        self._known: dict[Name, _Followed] = {}
        self._names: dict[tuple[Name, int], str] = {}
        self._last: dict[tuple[Name, int], str] = {}

    async def backend(self, service: Name, port: int) -> Backend:
        """Return the pod that a Service's port leads to.

        Raises:
            RefusedError: The Service leads to no pods that a port-forward reaches.
            NotThereError: There is no such Service, or port.
            UnreachableError: No pod is ready, or the cluster does not answer.
            ClusterError: See `Client.get`.
        """
        name = self._names.get((service, port))
        if name is None:
            raw = await self._api.find(paths.of("v1", "services", service.namespace, service.name))
            name = self._names[service, port] = port_name(raw, port)
        followed = self._known.get(service)
        if followed is None or followed.failed is not None:
            followed = self._known[service] = _Followed(self._api, service, self._on_change)
            self._spawn(followed.run())
        found = await followed.backends(name)
        if not found:
            # It may have been changed, or deleted.
            self._names.pop((service, port), None)
            raise errors.UnreachableError(
                f"no pod of the service {service} is ready", hint=f"`kubectl -n {service.namespace} get pods` tells why"
            )
        pods = [each for each in found if each.pod]
        if not pods:
            raise errors.RefusedError(
                f"the service {service} leads to {found[0].address}, which is no pod",
                hint="a port-forward reaches pods only; with an agent that may dial it, use `devloop proxy`",
                code=UNFIT_CODE,
            )
        last = self._last.get((service, port), "")
        chosen = next((each for each in pods if each.pod == last), pods[0])
        self._last[service, port] = chosen.pod
        return chosen


class _Followed:
    """The endpoints of one Service, as a watch tells them."""

    def __init__(self, api: client.Client, service: Name, on_change: Callable[[], None]) -> None:
        self.failed: errors.ClusterError | None = None
        self._api = api
        self._service = service
        self._on_change = on_change
        self._objects: dict[str, client.Object] = {}
        self._read: Callable[[Iterable[Mapping[str, Any]], str], list[Backend]] = of_slices
        self._listed = asyncio.Event()

    async def backends(self, port: str) -> Sequence[Backend]:
        """Return the ready backends of a port, by its name."""
        try:
            async with asyncio.timeout(_FIRST_LIST_S):
                await self._listed.wait()
        except TimeoutError:
            raise errors.UnreachableError(f"the pods of the service {self._service} cannot be listed in time") from None
        if self.failed is not None:
            raise self.failed
        return self._read(self._objects.values(), port)

    async def run(self) -> None:
        """Follow them until cancelled; ends where there is no right to, which `backends` tells."""
        namespace, name = self._service.namespace, self._service.name
        try:
            try:
                query = {"labelSelector": f"kubernetes.io/service-name={name}"}
                await self._follow(watch.Watch(self._api, paths.of(_SLICES, "endpointslices", namespace), query))
            except (errors.NotThereError, errors.ForbiddenError):
                self._read = of_endpoints
                query = {"fieldSelector": f"metadata.name={name}"}
                await self._follow(watch.Watch(self._api, paths.of("v1", "endpoints", namespace), query))
        except errors.ClusterError as error:
            self.failed = error
        self._listed.set()

    async def _follow(self, seen: watch.Watch) -> None:
        async with contextlib.aclosing(seen.events()) as stream:
            async for event in stream:
                match event:
                    case watch.Listed(objects):
                        self._objects = {_uid(each): each for each in objects}
                        self._listed.set()
                    case watch.Changed(found):
                        self._objects[_uid(found)] = found
                    case watch.Gone(found):
                        self._objects.pop(_uid(found), None)
                    case watch.Trouble():
                        continue
                self._on_change()


def _uid(raw: client.Object) -> str:
    return str((raw.get("metadata") or {}).get("uid", ""))
