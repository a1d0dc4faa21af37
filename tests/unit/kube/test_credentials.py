"""Grants: where they come from, how long they last, what a 401 does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest

from devloop import errors
from devloop.kube import config, credentials, kubeconfig, tls
from devloop.kube.kubeconfig import User

CLUSTER = config.Cluster("x", "https://x", "dev", config.Tls(), "", User())


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def of(user: User, **changes: object) -> config.Cluster:
    return msgspec.structs.replace(CLUSTER, user=user, **changes)


def counting(tmp_path: Path, expires: str = "") -> User:
    """A user whose plugin gives t1, then t2 and so on."""
    script = tmp_path / "plugin"
    status = '"token":"t\'$n\'"' + (f',"expirationTimestamp":"{expires}"' if expires else "")
    answer = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{' + status + "}}"
    script.write_text(
        f"#!/bin/sh\nn=$(($(cat {tmp_path}/n 2>/dev/null || echo 0) + 1))\necho $n >{tmp_path}/n\necho '{answer}'\n"
    )
    script.chmod(0o755)
    return User(exec=kubeconfig.Plugin(str(script), "client.authentication.k8s.io/v1"))


def token(grant: credentials.Grant) -> str:
    return dict(grant.headers)["Authorization"]


async def test_a_token_or_a_password() -> None:
    assert token(await credentials.Credentials(of(User(token="t"))).current()) == "Bearer t"
    basic = await credentials.Credentials(of(User(username="u", password="p"))).current()
    assert token(basic) == "Basic " + base64.b64encode(b"u:p").decode()
    assert (await credentials.Credentials(CLUSTER).current()).headers == ()


async def test_a_tokens_file_is_read_anew_each_minute(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    clock = Clock()
    grants = credentials.Credentials(of(User(token="old", token_file="token"), folder=str(tmp_path)), clock=clock)
    assert token(await grants.current()) == "Bearer one"
    (tmp_path / "token").write_text("two\n")
    assert token(await grants.current()) == "Bearer one"
    clock.now += 61
    assert token(await grants.current()) == "Bearer two"
    (tmp_path / "token").write_text("")
    clock.now += 61
    with pytest.raises(errors.CredentialsError, match="is empty"):
        await grants.current()


async def test_a_plugins_token_is_kept_until_it_expires(tmp_path: Path) -> None:
    clock = Clock()
    grants = credentials.Credentials(of(counting(tmp_path, "1970-01-01T01:00:00Z")), clock=clock)
    assert [token(await grants.current()) for _ in range(2)] == ["Bearer t1", "Bearer t1"]
    clock.now = 3600 - 20
    assert token(await grants.current()) == "Bearer t2"


async def test_many_refusals_of_one_token_ask_the_plugin_once(tmp_path: Path) -> None:
    grants = credentials.Credentials(of(counting(tmp_path)))
    refused = await grants.current()
    renewed = [await grants.renewed(refused) for _ in range(3)]
    assert [token(grant) for grant in renewed if grant] == ["Bearer t2"] * 3


async def test_after_a_refusal_the_kubeconfig_is_read_again() -> None:
    later = [of(User(token="old")), of(User(token="new"))]
    grants = credentials.Credentials(of(User(token="old")), lambda: later.pop(0))
    refused = await grants.current()
    assert await grants.renewed(refused) is None
    renewed = await grants.renewed(await grants.current())
    assert renewed is not None and token(renewed) == "Bearer new"


async def test_a_certificate_as_data_and_as_file(tmp_path: Path) -> None:
    data = base64.b64encode(b"PEM").decode()
    user = User(client_certificate_data=data, client_certificate="ignored", client_key="k")
    grant = await credentials.Credentials(of(user, folder="/home")).current()
    assert grant.certificate == tls.Certificate(text="PEM", key_file="/home/k")
    with pytest.raises(errors.KubeconfigError, match="without its key"):
        await credentials.Credentials(of(User(client_certificate="c"))).current()


async def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    status = {"clientCertificateData": "C", "clientKeyData": "K"}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    user = User(exec=kubeconfig.Plugin("echo", "client.authentication.k8s.io/v1", [json.dumps(answer)]))
    grant = await credentials.Credentials(of(user)).current()
    assert grant.certificate == tls.Certificate(text="C", key="K")


def test_impersonation_becomes_headers_of_which_some_repeat() -> None:
    user = User(impersonate="bob", impersonate_groups=["a", "b"], impersonate_extra={"acme.io/x": ["1", "2"]})
    assert credentials.impersonation(user) == [
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-acme.io%2Fx", "1"),
        ("Impersonate-Extra-acme.io%2Fx", "2"),
    ]


async def test_a_token_that_would_break_out_of_its_header_is_refused() -> None:
    with pytest.raises(errors.CredentialsError, match="line break"):
        await credentials.Credentials(of(User(token="t\r\nX: y"))).current()
