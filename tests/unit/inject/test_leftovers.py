"""What a killed watch left patched is put back by the next one of the same project, and nothing else is."""

from __future__ import annotations

import copy

import msgspec
import pytest

from devloop.inject import lease, leftovers, patch
from devloop.podspec import inject
from devloop.state import identity
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_lease import ONE
from tests.unit.inject.test_patch import install

ME = ONE.owner


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, True),
        ({"until": lease.Until.DOWN}, False),
        ({"project": "other-1"}, False),
        ({"owner": lease.Owner("bob@desk")}, False),
        ({"workload": "deployment/api"}, False),
    ],
)
def test_whose_lease_is_left_over(change: dict[str, object], left: bool) -> None:
    one = msgspec.structs.replace(ONE, **change)
    assert leftovers.is_left_over(one, ME, "shop-1", {"deployment/api"}) is left


async def give_back(bench: Bench, project: str = "shop-1") -> list[str]:
    said: list[str] = []
    await leftovers.give_back(bench.api, "dev", project, (), said.append)
    return said


async def test_it_is_put_back_and_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "owner", lambda: "ann@laptop")
    before = copy.deepcopy(bench.cluster.template)
    await install(bench, until=lease.Until.WATCH)
    assert await give_back(bench, "other-1") == []
    assert inject.is_injected(bench.cluster.template)
    assert await give_back(bench) == ["deployment/web was left patched by a watch that is gone, and is put back"]
    assert bench.cluster.template == before
    assert fake_cluster.LEASE not in bench.cluster.objects


async def test_trouble_with_it_does_not_keep_the_watch_from_starting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "owner", lambda: "ann@laptop")
    await install(bench, until=lease.Until.WATCH)
    bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (500, "broken", "InternalError")
    (said,) = await give_back(bench)
    assert "is left patched" in said and "broken" in said


async def test_without_the_right_to_look_nothing_is_done(bench: Bench) -> None:
    words = 'User "ann" cannot list resource "leases" in API group "coordination.k8s.io" in the namespace "dev"'
    bench.cluster.refused[f"GET {fake_cluster.LEASE.rpartition('/')[0]}"] = (403, words, "Forbidden")
    assert await give_back(bench) == []


def test_every_end_is_told() -> None:
    assert set(leftovers._ENDS) == set(patch.End)
