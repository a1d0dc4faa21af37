"""Users with an auth-provider, by the kubernetes package's loader."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devloop import errors
from devloop.kube import authprovider


def write(tmp_path: Path, provider: dict[str, Any]) -> str:
    path = tmp_path / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "x",
                "clusters": [{"name": "c", "cluster": {"server": "https://x"}}],
                "users": [{"name": "u", "user": {"auth-provider": {"name": "oidc", "config": provider}}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return str(path)


def token(expires: int) -> str:
    parts = ({"alg": "none"}, {"exp": expires})
    return ".".join([*(base64.b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "sig"])


async def test_a_token_that_is_valid_is_used(tmp_path: Path) -> None:
    valid = token(4102444800)
    provider = authprovider.AuthProvider([write(tmp_path, {"id-token": valid})], "x", "oidc")
    assert await provider.authorization() == f"Bearer {valid}"


@pytest.mark.parametrize("config", [{}, {"id-token": "nonsense"}, {"id-token": "a.b.c"}])
async def test_what_is_no_token_is_an_error_for_people(tmp_path: Path, config: dict[str, Any]) -> None:
    provider = authprovider.AuthProvider([write(tmp_path, config)], "x", "oidc")
    with pytest.raises(errors.CredentialsError, match="auth-provider oidc failed"):
        await provider.authorization()


def test_a_provider_that_kubectl_has_dropped_is_refused() -> None:
    with pytest.raises(errors.KubeconfigError) as caught:
        authprovider.AuthProvider([], "x", "azure")
    assert caught.value.error_code == "DL0712" and "kubelogin" in caught.value.hint


def loaded(module: str) -> set[str]:
    code = f"import sys; import {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_the_heavy_packages_are_loaded_when_they_are_needed() -> None:
    assert not {"kubernetes", "aiohttp"} & loaded("devloop.cli.main")
    assert "kubernetes" not in loaded("devloop.kube.client, devloop.kube.watch, devloop.kube.authprovider")
