from __future__ import annotations

from pathlib import Path

import pytest

from devloop import errors
from devloop.argocd import application, choice, kubeapps, rest
from devloop.config import model
from devloop.kube import client


def config(**argocd: str) -> model.Argocd:
    return model.Argocd.model_validate(argocd, context={"folder": "/p"})


@pytest.mark.parametrize("said", [None, config(namespace="teams")])
async def test_the_kubernetes_way_where_no_server_is_named(api: client.Client, said: model.Argocd | None) -> None:
    async with choice.opened(api, said, "ann") as apps:
        assert isinstance(apps, kubeapps.KubeApplications)
        assert apps.way == "kubernetes"


async def test_argo_cds_own_way_where_one_is(
    api: client.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with choice.opened(api, config(server="https://argocd.example"), "ann") as apps:
        assert isinstance(apps, rest.RestApplications)
        assert apps.way == "argocd"


async def test_a_token_is_not_sent_in_the_clear(api: client.Client) -> None:
    with pytest.raises(errors.CredentialsError, match="without encryption"):
        async with choice.opened(api, config(server="http://argocd.example"), "ann"):
            raise AssertionError("not opened")


def test_home_is_where_argo_cd_is() -> None:
    told = application.read({"status": {"controllerNamespace": "gitops"}})
    assert choice.home(config(namespace="ann"), [application.read({}), told]) == "gitops"
    assert choice.home(None) == choice.home(config()) == "argocd"
    assert choice.home(config(namespace="gitops")) == "gitops"
