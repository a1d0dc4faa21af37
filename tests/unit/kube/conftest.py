"""What the tests of devloop.kube share: an API server of their own, and a certificate authority."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devloop.kube import client
from tests.unit.kube import fake_api


@pytest.fixture
async def server() -> AsyncIterator[fake_api.FakeApi]:
    async with fake_api.serving() as running:
        yield running


@pytest.fixture
async def api(server: fake_api.FakeApi) -> AsyncIterator[client.Client]:
    async with client.connect(server.cluster()) as connected:
        yield connected


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca), a server (server: api.test, 127.0.0.1), a client, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "stranger", "server", "client"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
    for name in ("ca", "stranger"):
        openssl(
            "req", "-x509", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "30", "-out", f"{name}.crt"
        )
    (folder / "server.ext").write_text("subjectAltName=DNS:api.test,IP:127.0.0.1\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("server", "client"):
        openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        words = ["x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
        openssl(*words, "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    openssl("ec", "-in", "client.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key")
    return folder
