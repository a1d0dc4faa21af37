from __future__ import annotations

import base64
import datetime
import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from agent.webhook import authority, certificate
from devloop import errors
from devloop.kube import client
from tests.unit.agent.webhook import objects
from tests.unit.kube import fake_api

PLACE = authority.Place("devloop-system", "hook", "hook-tls", "hook")
SECRET = "/api/v1/namespaces/devloop-system/secrets/hook-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook"
NOW = datetime.datetime.now(datetime.UTC)
PAIR = certificate.make(PLACE.names(), NOW)


def secret(pair: certificate.Pair | None) -> dict[str, Any]:
    held: dict[str, Any] = {"metadata": {"name": "hook-tls", "resourceVersion": "3"}}
    if pair is not None:
        texts = {"ca.crt": pair.authority, "tls.crt": pair.certificate, "tls.key": pair.key}
        held["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return held


def configuration(bundle: str = "") -> dict[str, Any]:
    config = {"service": {"name": "hook"}, **({"caBundle": bundle} if bundle else {})}
    return {"webhooks": [{"name": "pods", "clientConfig": config}, {"name": "sessions", "clientConfig": config}]}


def bundle(pair: certificate.Pair) -> str:
    return base64.b64encode(pair.authority.encode()).decode()


class Loaded:
    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def __call__(self, chain: str, key: str) -> None:
        authority.load(authority.fresh_context(), chain, key)
        self.pairs.append((chain, key))


async def test_a_first_start_makes_a_certificate_and_has_it_believed(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    server.on("GET", SECRET, objects.answered(secret(None)))
    server.on("PUT", SECRET, objects.answered({}))
    server.on("GET", CONFIGURATION, objects.answered(configuration()))
    server.on("PATCH", CONFIGURATION, objects.answered({}))
    loaded = Loaded()
    await authority.ensure(api, PLACE, lambda: NOW, loaded)
    written, patch = map(json.loads, server.bodies)
    assert written["metadata"]["resourceVersion"] == "3"
    pair = authority.read(written)
    assert pair is not None and loaded.pairs == [(pair.certificate, pair.key)]
    assert [step["path"] for step in patch if step["op"] == "add"] == [
        "/webhooks/0/clientConfig/caBundle",
        "/webhooks/1/clientConfig/caBundle",
    ]
    assert patch[1]["value"] == bundle(pair)


async def test_what_is_good_stays_and_nothing_is_written(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", SECRET, objects.answered(secret(PAIR)))
    server.on("GET", CONFIGURATION, objects.answered(configuration(bundle(PAIR))))
    loaded = Loaded()
    await authority.ensure(api, PLACE, lambda: NOW, loaded)
    assert loaded.pairs == [(PAIR.certificate, PAIR.key)] and server.bodies == []


async def test_a_bundle_that_somebody_took_away_comes_back(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", SECRET, objects.answered(secret(PAIR)))
    server.on("GET", CONFIGURATION, objects.answered(configuration("b3RoZXI=")))
    server.on("PATCH", CONFIGURATION, objects.answered({}))
    await authority.ensure(api, PLACE, lambda: NOW, Loaded())
    assert json.loads(server.bodies[0])[1]["value"] == bundle(PAIR)


async def test_an_old_certificate_is_replaced_and_its_authority_still_believed(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    server.on("GET", SECRET, objects.answered(secret(PAIR)))
    server.on("PUT", SECRET, objects.answered({}))
    server.on("GET", CONFIGURATION, objects.answered(configuration(bundle(PAIR))))
    server.on("PATCH", CONFIGURATION, objects.answered({}))
    await authority.ensure(api, PLACE, lambda: NOW + certificate.LIFE, Loaded())
    made = authority.read(json.loads(server.bodies[0]))
    assert made is not None and made.certificate != PAIR.certificate
    assert made.authority.count("BEGIN CERTIFICATE") == 2 and made.authority.endswith(PAIR.authority)


async def test_of_two_replicas_the_second_takes_what_the_first_made(
    api: client.Client, server: fake_api.FakeApi
) -> None:
    server.on("GET", SECRET, objects.answered(secret(None)), objects.answered(secret(PAIR)))
    server.on("PUT", SECRET, objects.failed(409, "changed", "Conflict"))
    server.on("GET", CONFIGURATION, objects.answered(configuration(bundle(PAIR))))
    loaded = Loaded()
    await authority.ensure(api, PLACE, lambda: NOW, loaded)
    assert loaded.pairs == [(PAIR.certificate, PAIR.key)]


async def test_a_secret_that_always_changes_is_given_up(api: client.Client, server: fake_api.FakeApi) -> None:
    server.on("GET", SECRET, objects.answered(secret(None)))
    server.on("PUT", SECRET, objects.failed(409, "changed", "Conflict"))
    with pytest.raises(errors.ConflictError):
        await authority.ensure(api, PLACE, lambda: NOW, Loaded())


def test_two_rotations_forget_the_first_authority() -> None:
    twice = authority.renewed(authority.renewed(PAIR, ("a",), NOW), ("a",), NOW)
    assert twice.authority.count("BEGIN CERTIFICATE") == 2 and PAIR.authority not in twice.authority


@pytest.mark.parametrize(
    "damage",
    [
        {"data": None},
        {"data": {}},
        {"data": {**secret(PAIR)["data"], "tls.key": "%%%"}},
        {"data": {**secret(PAIR)["data"], "tls.key": secret(certificate.make(["a"], NOW))["data"]["tls.key"]}},
        {"data": {**secret(PAIR)["data"], "tls.crt": base64.b64encode(b"x").decode()}},
        {"data": {**secret(PAIR)["data"], "ca.crt": base64.b64encode(b"x").decode()}},
    ],
)
def test_a_damaged_secret_counts_as_empty(damage: dict[str, Any]) -> None:
    assert authority.read({**secret(PAIR), **damage}) is None


async def test_mounted_files_are_used_again_only_when_they_are_others(tmp_path: Path) -> None:
    def write(pair: certificate.Pair) -> None:
        (tmp_path / "tls.crt").write_text(pair.certificate)
        (tmp_path / "tls.key").write_text(pair.key)

    loaded = Loaded()
    look = authority.mounted(os.fspath(tmp_path), loaded)
    write(PAIR)
    await look()
    await look()
    other = certificate.make(["a"], NOW)
    write(other)
    await look()
    assert loaded.pairs == [(PAIR.certificate, PAIR.key), (other.certificate, other.key)]


def test_the_names_are_those_that_the_api_server_asks_for() -> None:
    assert PLACE.names()[0] == "hook.devloop-system.svc"


def test_old_tls_is_not_spoken() -> None:
    assert authority.fresh_context().minimum_version is ssl.TLSVersion.TLSv1_2
