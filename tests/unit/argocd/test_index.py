"""Which Application an object belongs to: marks are checked against what the Applications render."""

from __future__ import annotations

from typing import Any

from devloop.argocd import application, index, tracking
from tests.unit.argocd import samples


def app(name: str, namespace: str = "argocd", renders: list[dict[str, Any]] | None = None) -> application.Application:
    raw = samples.raw(name, namespace)
    raw["status"]["resources"] = renders or []
    return application.read(raw)


def renders(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "group": raw["apiVersion"].rpartition("/")[0],
        "kind": raw["kind"],
        "namespace": raw["metadata"]["namespace"],
        "name": raw["metadata"]["name"],
    }


def child(name: str, namespace: str = "argocd") -> dict[str, Any]:
    return {"group": "argoproj.io", "kind": "Application", "namespace": namespace, "name": name}


WEB = samples.deployment()
TRACKED = samples.deployment(annotations={tracking.TRACKING_ID: "shop:apps/Deployment:ann/web"})


def test_an_annotation_names_the_application() -> None:
    known = index.Index([app("shop"), app("other", renders=[renders(WEB)])])
    owner = known.owner(TRACKED)
    assert owner is not None
    assert owner.name == "shop"


def test_an_annotation_of_one_in_a_namespace_of_its_own() -> None:
    mine, theirs = app("shop", "ann"), app("shop")
    raw = samples.deployment(annotations={tracking.TRACKING_ID: "ann_shop:apps/Deployment:ann/web"})
    assert index.Index([theirs, mine]).owner(raw) == mine
    assert index.Index([mine, theirs]).owner(TRACKED) == theirs


def test_an_application_that_may_not_be_read_keeps_what_it_has() -> None:
    assert index.Index([app("other", renders=[renders(WEB)])]).owner(TRACKED) is None


def test_a_copied_annotation_proves_nothing() -> None:
    raw = samples.deployment("copy", annotations={tracking.TRACKING_ID: "shop:apps/Deployment:ann/web"})
    assert index.Index([app("shop", renders=[renders(WEB)])]).owner(raw) is None


def test_a_label_counts_with_what_the_application_lists() -> None:
    raw = samples.deployment(labels={tracking.INSTANCE: "shop"})
    assert index.Index([app("shop")]).owner(raw) is None
    owning = app("shop", renders=[renders(WEB)])
    assert index.Index([owning]).owner(raw) == owning


def test_a_helm_releases_label_does_not_hide_the_owner() -> None:
    raw = samples.deployment(labels={tracking.INSTANCE: "release"})
    owning = app("shop", renders=[renders(WEB)])
    assert index.Index([owning, app("release")]).owner(raw) == owning


def test_a_mark_under_another_name_is_found_by_the_list() -> None:
    owning = app("shop", renders=[renders(WEB)])
    assert index.Index([owning]).owner(WEB) == owning
    assert index.Index([app("shop")]).owner(WEB) is None


def test_what_an_operator_made_belongs_to_who_renders_its_resource() -> None:
    resource = {"group": "db.example", "kind": "Postgres", "namespace": "ann", "name": "main"}
    owning = app("shop", renders=[resource])
    owned = [{"apiVersion": "db.example/v1", "kind": "Postgres", "name": "main", "controller": True}]
    assert index.Index([owning]).owner(samples.deployment(ownerReferences=owned)) == owning
    loose = [{**owned[0], "controller": False}]
    assert index.Index([owning]).owner(samples.deployment(ownerReferences=loose)) is None


def test_parents_and_children() -> None:
    root, web, database = app("root", renders=[child("web"), child("db", "data")]), app("web"), app("db", "data")
    known = index.Index([root, web, database, app("db")])
    assert known.children(root) == [web, database]
    assert known.parent(web) == root
    assert known.parent(database) == root
    assert known.parent(root) is None
    assert known.children(web) == []


def test_an_application_that_renders_itself_is_not_its_own_parent() -> None:
    itself = app("root", renders=[child("root")])
    known = index.Index([itself])
    assert known.parent(itself) is None
    assert known.children(itself) == []


def test_a_list_that_is_not_one_belongs_to_nobody() -> None:
    broken = application.read({"metadata": {"name": "x"}, "status": {"resources": "all", "sync": 7}})
    assert index.Index([broken]).owner({"metadata": {"labels": 7, "ownerReferences": [3]}}) is None
