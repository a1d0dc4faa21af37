"""The variables of services, as the kubelet makes them."""

from __future__ import annotations

from typing import Any

from devloop.shell import servicevars


def service(name: str, address: str | None, *ports: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": list(ports)}}


def test_host_port_names_and_links() -> None:
    made = servicevars.of_services(
        [service("web-1.x", "10.0.0.1", {"port": 80, "name": "http-a"}, {"port": 53, "protocol": "UDP", "name": "dns"})]
    )
    assert made == {
        "WEB_1_X_SERVICE_HOST": "10.0.0.1",
        "WEB_1_X_SERVICE_PORT": "80",
        "WEB_1_X_SERVICE_PORT_HTTP_A": "80",
        "WEB_1_X_SERVICE_PORT_DNS": "53",
        "WEB_1_X_PORT": "tcp://10.0.0.1:80",
        "WEB_1_X_PORT_80_TCP": "tcp://10.0.0.1:80",
        "WEB_1_X_PORT_80_TCP_PROTO": "tcp",
        "WEB_1_X_PORT_80_TCP_PORT": "80",
        "WEB_1_X_PORT_80_TCP_ADDR": "10.0.0.1",
        "WEB_1_X_PORT_53_UDP": "udp://10.0.0.1:53",
        "WEB_1_X_PORT_53_UDP_PROTO": "udp",
        "WEB_1_X_PORT_53_UDP_PORT": "53",
        "WEB_1_X_PORT_53_UDP_ADDR": "10.0.0.1",
    }  # fmt: skip


def test_a_service_without_an_address_gives_none() -> None:
    assert (
        servicevars.of_services(
            [service("a", "None", {"port": 1}), service("b", None, {"port": 1}), service("c", "::1")]
        )
        == {}
    )
    assert servicevars.of_services([service("4u", "::1", {"port": 1})])["_4U_PORT"] == "tcp://[::1]:1"
