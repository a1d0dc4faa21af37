"""Who the user is for the cluster, where the cluster tells."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.kube import client, whoami
from tests.unit.kube import fake_api

V1 = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
BETA = "/apis/authentication.k8s.io/v1beta1/selfsubjectreviews"
TOLD = {"status": {"userInfo": {"username": "ann@example.com"}}}


@pytest.mark.parametrize("path", [V1, BETA])
async def test_whichever_version_there_is(path: str, server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", path, fake_api.giving(TOLD))
    assert await whoami.username(api) == "ann@example.com"


async def test_an_old_cluster_does_not_tell(server: fake_api.FakeApi, api: client.Client) -> None:
    assert await whoami.username(api) == ""


async def test_what_is_away_is_not_taken_for_old(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("POST", V1, fake_api.refusing(503, "starting"))
    with pytest.raises(errors.UnreachableError):
        await whoami.username(api)
