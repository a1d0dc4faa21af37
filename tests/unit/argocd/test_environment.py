"""Which Applications are a project's environment, and which are only near it."""

from __future__ import annotations

from typing import Any

import pytest

from devloop import errors
from devloop.argocd import application, chain, environment, index, kubeapps, tracking
from devloop.config import model
from devloop.kube import client
from tests.unit.argocd import samples
from tests.unit.argocd.test_index import child
from tests.unit.kube import fake_api


def app(
    name: str,
    destination: str = "ann",
    *,
    namespace: str = "argocd",
    renders: list[dict[str, Any]] | None = None,
    maker: str = "",
    project: str = "team",
) -> application.Application:
    raw = samples.raw(name, namespace, destination={"server": "s", "namespace": destination}, project=project)
    raw["status"]["resources"] = [{"kind": "Service", "namespace": destination, "name": name}, *(renders or [])]
    if maker:
        raw["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": maker, "controller": True}]
    return application.read(raw)


def parent(name: str, *children: str) -> application.Application:
    raw = samples.raw(name, destination={"server": "s", "namespace": "argocd"})
    raw["status"]["resources"] = [child(each) for each in children]
    return application.read(raw)


WEB = samples.deployment(annotations={tracking.TRACKING_ID: "shop:apps/Deployment:ann/web"})
SERVICE = chain.Chain("web", "ann", ("web-1",), "web-9", WEB)


def found(*some: application.Application, chains: tuple[chain.Chain, ...] = (SERVICE,), **more: Any) -> dict[str, str]:
    selected = environment.select(index.Index(some), chains, **more)
    return {each.app.name: each.why.value for each in selected.members}


def test_it_is_what_owns_the_services() -> None:
    assert found(app("shop"), app("other", "bob")) == {"shop": "workload"}


def test_and_what_deploys_to_the_same_place() -> None:
    assert found(app("shop"), app("db"), app("bobs", "bob")) == {"shop": "workload", "db": "namespace"}


def test_a_namespace_of_the_same_name_in_another_cluster_is_another_place() -> None:
    raw = samples.raw("far", destination={"server": "elsewhere", "namespace": "ann"})
    assert found(app("shop"), application.read(raw)) == {"shop": "workload"}


def test_a_named_one_comes_with_all_that_it_renders() -> None:
    root, apps = parent("root", "shop", "more"), [app("shop"), parent("more", "deep"), app("deep", "elsewhere")]
    selected = found(root, *apps, app("bobs", "bob"), named=(root.reference,), chains=())
    assert selected == {"root": "named", "shop": "child", "more": "child", "deep": "child"}


def test_two_app_of_apps_in_one_namespace_have_nothing_in_common() -> None:
    mine, theirs = parent("mine", "shop"), parent("theirs", "bobs")
    selected = found(mine, theirs, app("shop"), app("bobs", "bob"), named=(mine.reference,))
    assert selected == {"mine": "named", "shop": "workload"}


def test_a_parent_of_only_these_is_part_of_it() -> None:
    assert found(app("shop"), parent("mine", "shop")) == {"shop": "workload", "mine": "parent"}


def test_a_parent_of_others_too_is_only_near_and_so_are_they() -> None:
    selected = environment.select(
        index.Index([app("shop"), app("bobs", "bob"), parent("all", "shop", "bobs")]), (SERVICE,)
    )
    assert [each.app.name for each in selected.members] == ["shop"]
    assert {each.app.name: (each.why.value, each.of) for each in selected.related} == {
        "all": ("parent", "shop"),
        "bobs": ("sibling", "all"),
    }


def test_one_application_set_for_everybody_does_not_join_them() -> None:
    some = [app("shop", maker="devs"), app("bobs", "bob", maker="devs"), app("x", "x", maker="devs", project="other")]
    selected = environment.select(index.Index(some), (SERVICE,))
    assert [each.app.name for each in selected.members] == ["shop"]
    assert [(each.app.name, each.of) for each in selected.related] == [("bobs", "devs")]


def test_without_a_project_it_is_the_namespace() -> None:
    some = [app("shop"), app("bobs", "bob"), parent("root", "bobs")]
    assert found(*some, chains=(), namespace="ann") == {"shop": "namespace"}
    assert found(*some, chains=(), namespace="argocd") == {}


def test_a_cycle_of_applications_ends() -> None:
    one, other = app("one", renders=[child("two")]), app("two", "b", renders=[child("one")])
    assert found(one, other, named=(one.reference,), chains=()) == {"one": "named", "two": "child"}


def test_services_are_told_with_their_owner() -> None:
    selected = environment.select(index.Index([app("shop")]), (SERVICE, chain.Chain("api", "ann", workload=WEB)))
    assert selected.members[0].services == ("web", "api")
    assert selected.owners["api"] == application.Reference("argocd", "shop")


def test_an_owner_that_may_not_be_read_is_named() -> None:
    selected = environment.select(index.Index([]), (SERVICE, chain.Chain("none", "ann", trouble="gone")))
    assert (selected.members, dict(selected.foreign)) == ((), {"web": "shop"})


def config(**argocd: Any) -> model.Argocd:
    return model.Argocd.model_validate(argocd, context={"folder": "/p"})


async def test_the_cluster_is_asked_for_both_ends(server: fake_api.FakeApi, api: client.Client) -> None:
    listing = {"items": [samples.raw()], "metadata": {}}
    server.on("GET", "/apis/argoproj.io/v1alpha1/applications", fake_api.giving(listing))
    server.on("GET", "/apis/apps/v1/namespaces/dev/deployments/web", fake_api.giving(WEB))
    server.on("GET", "/api/v1/namespaces/dev/pods", fake_api.giving({"items": []}))
    service = model.Service.model_validate(
        {"workload": "deployment/web", "sync": [{"from": ".", "to": "/app"}]}, context={"folder": "/p"}
    )
    apps = kubeapps.KubeApplications(api, "ann")
    selected = await environment.survey(api, apps, None, {"web": service})
    assert [str(each.reference) for each in selected.members] == ["argocd/shop"]
    assert selected.members[0].why is environment.Why.WORKLOAD


async def test_a_named_one_that_is_not_there_has_near_names(server: fake_api.FakeApi, api: client.Client) -> None:
    listing = {"items": [samples.raw()], "metadata": {}}
    server.on("GET", "/apis/argoproj.io/v1alpha1/applications", fake_api.giving(listing))
    apps = kubeapps.KubeApplications(api, "ann")
    with pytest.raises(errors.NotThereError) as raised:
        await environment.survey(api, apps, config(application="shp"), {})
    assert raised.value.hint == "did you mean shop?"
    with pytest.raises(errors.NotThereError, match="ann/shop"):
        await environment.survey(api, apps, config(application="shop", namespace="ann"), {})
