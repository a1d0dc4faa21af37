"""The variables by which Kubernetes tells a container of services (kubernetes: pkg/kubelet/envvars). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def of_services(services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the variables of services.

    Args:
        services: The objects, as the API server has them; those without an address of the cluster give none.
    """
    made: dict[str, str] = {}
    for service in services:
        spec = service.get("spec") or {}
        address, ports = str(spec.get("clusterIP") or "None"), spec.get("ports") or []
        if address != "None" and ports:
            made |= _of_one(_name(str((service.get("metadata") or {}).get("name", ""))), address, ports)
    return made


def _of_one(name: str, address: str, ports: list[Mapping[str, Any]]) -> dict[str, str]:
    made = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for index, port in enumerate(ports):
        number, protocol = str(port["port"]), str(port.get("protocol") or "TCP")
        url = f"{protocol.lower()}://{f'[{address}]' if ':' in address else address}:{number}"
        if port.get("name"):
            made[f"{name}_SERVICE_PORT_{_name(str(port['name']))}"] = number
        if index == 0:
            made[f"{name}_PORT"] = url
        link = f"{name}_PORT_{number}_{protocol.upper()}"
        made |= {link: url, f"{link}_PROTO": protocol.lower(), f"{link}_PORT": number, f"{link}_ADDR": address}
    return made


def _name(text: str) -> str:
    made = text.replace(".", "_").replace("-", "_").upper()
    return f"_{made}" if made[:1].isdigit() else made
