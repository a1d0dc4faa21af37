"""Owners are looked for; what may not be read is said, and what is not installed is not there."""

from __future__ import annotations

import pytest

from devloop import errors
from devloop.argocd import application, surroundings
from devloop.kube import client, paths
from tests.unit.argocd import samples
from tests.unit.kube import fake_api

SHOP = application.read(samples.raw("shop", "ann"))
SETS = paths.of(*surroundings.SETS[:2])
WORDS = 'User "u" cannot list resource "applicationsets" in API group "argoproj.io" in the namespace "argocd"'


def listing(name: str) -> fake_api.Handler:
    return fake_api.giving({"items": [{"metadata": {"name": name}}], "metadata": {}})


async def test_what_is_installed_is_found(server: fake_api.FakeApi, api: client.Client) -> None:
    for kind in (surroundings.SETS, surroundings.UPDATERS, surroundings.PROMOTIONS):
        server.on("GET", paths.of(*kind[:2]), listing(kind[1]))
    found = await surroundings.look(api, [SHOP], [SHOP], "argocd")
    kinds = [each[0]["metadata"]["name"] for each in (found.sets, found.updaters, found.promotions)]
    assert kinds == ["applicationsets", "imageupdaters", "promotionstrategies"]
    assert (found.unseen, found.applications, found.home) == ((), (SHOP,), "argocd")


async def test_what_is_not_installed_is_not_there(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", SETS, fake_api.giving({"items": [], "metadata": {}}))
    found = await surroundings.look(api, [SHOP], [SHOP], "argocd")
    assert (found.sets, found.updaters, found.promotions, found.unseen) == ((), (), (), ())


async def test_an_argo_cd_in_another_cluster_hides_what_is_with_it(api: client.Client) -> None:
    (unseen,) = (await surroundings.look(api, [SHOP], [SHOP], "argocd")).unseen
    assert "in another cluster" in unseen
    assert (await surroundings.look(api, [], [], "argocd")).unseen == ()


async def test_namespaces_are_looked_in_one_by_one(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", SETS, fake_api.refusing(403, WORDS, "Forbidden"))
    server.on("GET", paths.of(*surroundings.SETS[:2], "ann"), listing("mine"))
    server.on("GET", paths.of(*surroundings.SETS[:2], "argocd"), fake_api.refusing(403, WORDS, "Forbidden"))
    found = await surroundings.look(api, [], [SHOP, SHOP], "argocd")
    assert [each["metadata"]["name"] for each in found.sets] == ["mine"]
    (unseen,) = found.unseen
    assert unseen.startswith("ApplicationSets in argocd: ")


async def test_a_user_who_is_not_known_is_an_error(server: fake_api.FakeApi, api: client.Client) -> None:
    server.on("GET", SETS, fake_api.refusing(401, "who", "Unauthorized"))
    with pytest.raises(errors.CredentialsError):
        await surroundings.look(api, [], [], "argocd")


@pytest.mark.parametrize(
    ("data", "url"), [({"url": "https://a.example"}, "https://a.example"), ({}, ""), ({"url": "javascript:x"}, "")]
)
async def test_where_argo_cd_says_that_it_is(
    server: fake_api.FakeApi, api: client.Client, data: dict[str, str], url: str
) -> None:
    server.on("GET", paths.of("v1", "configmaps", "argocd", "argocd-cm"), fake_api.giving({"data": data}))
    assert await surroundings.url(api, "argocd") == url


async def test_it_need_not_say_so(server: fake_api.FakeApi, api: client.Client) -> None:
    assert await surroundings.url(api, "argocd") == ""
    server.on("GET", paths.of("v1", "configmaps", "argocd", "argocd-cm"), fake_api.refusing(403, WORDS, "Forbidden"))
    assert await surroundings.url(api, "argocd") == ""
