"""Credential plugins: what they are given, and what becomes of what they do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from devloop import errors
from devloop.kube import kubeconfig, plugin

V1 = "client.authentication.k8s.io/v1"
GIVEN = {"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "abc"}}
CLUSTER = kubeconfig.Cluster(
    server="https://x", extensions=[{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}]
)


def python(code: str, **more: object) -> kubeconfig.Plugin:
    return kubeconfig.Plugin(command=sys.executable, api_version=V1, args=["-c", code], **more)  # type: ignore[arg-type]


def printing(answer: object) -> kubeconfig.Plugin:
    return python(f"print({json.dumps(answer)!r})")


async def test_a_token_with_its_expiry() -> None:
    status = {"token": "abc", "expirationTimestamp": "2030-01-01T00:00:00Z"}
    found = await plugin.run(printing({**GIVEN, "status": status}), "/", CLUSTER)
    assert found.token == "abc" and found.expiration_timestamp is not None
    assert found.expiration_timestamp.timestamp() == 1893456000


async def test_a_plugin_gets_its_environment_and_what_it_asked_to_know() -> None:
    code = (
        "import json, os; i = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec'];"
        f"print(json.dumps({{'apiVersion': '{V1}', 'kind': 'ExecCredential', 'status': {{'token': "
        "os.environ['ROLE'] + i['cluster']['server'] + i['cluster']['config']['audience'] + str(i['interactive'])}}))"
    )
    asked = python(code, env=[kubeconfig.Variable("ROLE", "dev")], provide_cluster_info=True)
    assert (await plugin.run(asked, "/", CLUSTER)).token == "devhttps://xaFalse"


async def test_a_relative_command_is_beside_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "login"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho '{json.dumps(GIVEN)}'\n")
    script.chmod(0o755)
    found = await plugin.run(kubeconfig.Plugin("./bin/login", V1), str(tmp_path), CLUSTER)
    assert found.token == "abc"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (python("import sys; sys.exit('please log in')"), "status 1: please log in"),
        (python("print('hello')"), "did not print an ExecCredential"),
        (printing({**GIVEN, "status": {}}), "neither a token nor a certificate"),
        (printing({**GIVEN, "status": None}), "neither a token nor a certificate"),
        (printing({**GIVEN, "status": {"clientCertificateData": "x"}}), "neither a token nor a certificate"),
        (printing({**GIVEN, "apiVersion": "client.authentication.k8s.io/v1beta1"}), "not client.auth.*v1 Exec"),
        (printing({**GIVEN, "status": {"token": 5}}), "did not print"),
        (kubeconfig.Plugin("x", "client.authentication.k8s.io/v1alpha1"), "speaks .*v1alpha1"),
        (kubeconfig.Plugin("x", V1, interactive_mode="Always"), "wants a terminal"),
    ],
)
async def test_a_plugin_that_gives_nothing_is_told_with_its_own_words(asked: kubeconfig.Plugin, words: str) -> None:
    with pytest.raises(errors.CredentialsError, match=words) as caught:
        await plugin.run(asked, "/", CLUSTER)
    assert caught.value.error_code == "DL0722" and caught.value.exit_status == 4 and caught.value.hint


async def test_the_hint_of_a_missing_plugin_is_the_kubeconfigs() -> None:
    with pytest.raises(errors.CredentialsError, match="not installed") as caught:
        await plugin.run(kubeconfig.Plugin("no-such-plugin", V1, install_hint="brew install it\n"), "/", CLUSTER)
    assert caught.value.hint == "brew install it"


async def test_a_plugin_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    asked = kubeconfig.Plugin("sh", V1, ["-c", f"exec 3>{fifo}; sleep 100 & sleep 100"])
    with pytest.raises(errors.CredentialsError, match="did not end within"):
        await plugin.run(asked, "/", CLUSTER, timeout_s=0.3)
    os.set_blocking(reader, True)
    # The end of the file comes when nobody holds the other end any more.
    assert await asyncio.wait_for(asyncio.to_thread(os.read, reader, 1), 10) == b""
    os.close(reader)
