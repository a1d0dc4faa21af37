"""What is fetched for a container's variables, and what may not be."""

from __future__ import annotations

import base64
from typing import Any

from devloop.kube import client, execute
from devloop.shell import find, podenv, sources
from tests.unit.kube import fake_api

WHERE = execute.Where("dev", "web", "app")
BASE = "/api/v1/namespaces/dev"


def found(*env: dict[str, Any], **more: Any) -> find.Found:
    return find.Found(
        WHERE, {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "env": list(env), **more}]}}
    )


def test_secrets_are_decoded_and_binary_parts_of_config_maps_are_none() -> None:
    raw = {"data": {"A": base64.b64encode(b"x\xff").decode(), "B": "!"}, "binaryData": {"C": "x"}}
    assert sources.data_of(podenv.SECRET, raw) == {"A": "x\udcff", "B": ""}
    assert sources.data_of(podenv.CONFIG_MAP, {"data": {"A": "1"}, "binaryData": {"C": "x"}}) == {"A": "1"}


async def test_each_is_fetched_once_and_a_closed_one_is_said(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", "/version", fake_api.giving({"major": "1", "minor": "30"}))
    server.on("GET", f"{BASE}/configmaps/conf", fake_api.giving({"data": {"A": "1", "odd key": "2"}}))
    server.on("GET", f"{BASE}/secrets/closed", fake_api.refusing(403, "no"))
    server.on(
        "GET",
        f"{BASE}/services",
        fake_api.giving(
            {
                "items": [{"metadata": {"name": "db"}, "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 5432}]}}],
                "metadata": {},
            }
        ),
    )
    container = found(
        {"name": "URL", "value": "pg://$(DB_SERVICE_HOST)"},
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "closed", "key": "k"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "A"}}},
        envFrom=[{"configMapRef": {"name": "conf"}}, {"configMapRef": {"name": "none", "optional": True}}],
    )
    made = await sources.read(api, container)
    assert made.env == {"A": "1", "URL": "pg://10.0.0.7", "B": "1"} and made.forbidden
    assert made.unknown == ("PW: you may not get secrets in namespace dev",)
    assert [request.path for request in server.requests].count(f"{BASE}/configmaps/conf") == 1


async def test_services_are_asked_for_only_where_a_value_names_one(
    server: fake_api.FakeApi, api: client.Client
) -> None:
    server.on("GET", "/version", fake_api.giving({"major": "1", "minor": "32"}))
    assert (await sources.read(api, found({"name": "A", "value": "$(B)"}))).env == {"A": "$(B)"}
    assert [request.path for request in server.requests] == ["/version"]
