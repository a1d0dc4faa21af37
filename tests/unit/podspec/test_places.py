from __future__ import annotations

import pytest

from devloop.podspec import outcome, places
from tests.unit.podspec import cases


def found(to: str, *mounts: tuple[str, str]) -> places.Place:
    app = {"name": "app", "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts]}
    pod = cases.pod(app, volumes=[{"name": name, "emptyDir": {}} for name, _ in mounts])
    (place,), refused = places.find(pod, 0, cases.service(syncs=[{"to": to}]), cases.platform())
    assert refused == []
    return place


def test_a_volume_of_its_own_has_the_three_folders_side_by_side() -> None:
    place = found("/app", ("other", "/application"))
    assert place.fresh
    assert place.root == outcome.Root("/app", "/devloop/sync-0/data", "/devloop/sync-0/stage", "/devloop/sync-0/state")


@pytest.mark.parametrize("at", ["/app", "/app/", "//app", "app"])
def test_a_volume_at_the_folder_is_used(at: str) -> None:
    place = found("/app", ("code", at))
    assert not place.fresh
    assert place.root.data == "/devloop/sync-0"
    assert place.root.stage == "/devloop/sync-0/.devloop/stage"
    assert place.mount == {"name": "code", "mountPath": "/devloop/sync-0"}


def test_the_deepest_volume_above_is_used() -> None:
    place = found("/srv/web/app", ("top", "/srv"), ("deep", "/srv/web"), ("beside", "/srv/web/ap"))
    assert (place.mount["name"], place.root.data) == ("deep", "/devloop/sync-0/app")


def test_mounts_beneath_are_protected_and_the_folders_above_them_are_made() -> None:
    place = found("/app", ("a", "/app/x/y/file"), ("b", "/app/z"), ("c", "/app2"))
    assert place.protected == ("/app/x/y/file", "/app/z")
    assert place.folders() == ("/devloop/sync-0/data/x/y",)
    assert place.root.keep == ("x/y/file", "z")


def test_in_a_volume_above_the_folder_itself_is_made_too() -> None:
    assert found("/srv/app", ("top", "/srv"), ("b", "/srv/app/z")).folders() == ("/devloop/sync-0/app",)
    assert found("/srv", ("top", "/srv"), ("b", "/srv/z")).folders() == ()


@pytest.mark.parametrize(
    "to", ["/", "/etc", "/usr/lib/x", "/bin", "/proc/1", "app", "/a/../etc", "/app/", "/devloop", "/devloop/sync-0"]
)
def test_folders_of_the_system_are_refused(to: str) -> None:
    (synced,) = places.check_folders(cases.service(syncs=[{"to": to}]))
    (persisted,) = places.check_folders(cases.service(persist=[to]))
    assert synced.message == f"{to} cannot be synced to"
    assert persisted.message == f"{to} cannot be persisted"


@pytest.mark.parametrize("to", ["/app", "/usr/src/app", "/srv", "/etcetera", "/var/www", "/opt/devloop"])
def test_folders_of_apps_are_not(to: str) -> None:
    assert list(places.check_folders(cases.service(syncs=[{"to": to}]))) == []


def test_syncs_that_overlap_are_refused() -> None:
    (refusal,) = places.check_folders(cases.service(syncs=[{"to": "/app"}, {"to": "/srv"}, {"to": "/app/x"}]))
    assert "/app and /app/x overlap" in refusal.message


def test_persisted_folders_that_overlap_are_refused() -> None:
    (refusal,) = places.check_folders(cases.service(persist=["/cache", "/other", "/cache/data"]))
    assert "/cache and /cache/data of persist overlap" in refusal.message


def test_a_volume_of_a_claim_template_needs_to_be_known() -> None:
    pod = cases.pod({"name": "app", "volumeMounts": [{"name": "data", "mountPath": "/app"}]})
    _, refused = places.find(pod, 0, cases.service(), cases.platform())
    assert "no such volume" in refused[0].message
    assert places.find(pod, 0, cases.service(), cases.platform(claim_templates=frozenset({"data"})))[1] == []
