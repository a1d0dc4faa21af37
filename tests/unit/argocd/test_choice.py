from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import AsyncIterator

import pytest

from devloop.argocd import application, choice, kubeapps
from devloop.config import model
from devloop.kube import client


def config(**argocd: str) -> model.Argocd:
    return model.Argocd.model_validate(argocd, context={"folder": "/p"})


@pytest.mark.parametrize("said", [None, config(namespace="teams")])
async def test_the_kubernetes_way_where_no_server_is_named(api: client.Client, said: model.Argocd | None) -> None:
    async with choice.opened(api, said, "ann") as apps:
        assert isinstance(apps, kubeapps.KubeApplications)
        assert apps.way == "kubernetes"


async def test_argo_cds_own_way_where_one_is(api: client.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[model.Argocd] = []

    class Rest:
        @classmethod
        @contextlib.asynccontextmanager
        async def connect(cls, said: model.Argocd) -> AsyncIterator[str]:
            asked.append(said)
            yield "argocd"

    module = types.ModuleType("devloop.argocd.rest")
    module.RestApplications = Rest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    async with choice.opened(api, config(server="https://argocd.example"), "ann") as apps:
        assert str(apps) == "argocd"
    assert [each.server for each in asked] == ["https://argocd.example"]


def test_home_is_where_argo_cd_is() -> None:
    told = application.read({"status": {"controllerNamespace": "gitops"}})
    assert choice.home(config(namespace="ann"), [application.read({}), told]) == "gitops"
    assert choice.home(None) == choice.home(config()) == "argocd"
    assert choice.home(config(namespace="gitops")) == "gitops"
