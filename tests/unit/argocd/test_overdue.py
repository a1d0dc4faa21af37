"""Expired leases: one's own are put back, others' are told."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from devloop.argocd import application, lease, overdue, switch, switching
from devloop.kube import client
from tests.unit.argocd import test_lease, world
from tests.unit.argocd import test_switch as taking
from tests.unit.kube import fake_api


async def settle(there: world.World, owner: lease.Owner) -> list[str]:
    said: list[str] = []
    leases = there.of(owner)

    async def every() -> tuple[list[lease.Lease], list[object]]:
        return [lease.read(raw) for raw in there.leases.values()], []

    leases.every = every  # type: ignore[method-assign,assignment]
    await overdue.settle(there.apps(), leases, said.append)
    return said


async def use(there: world.World, duration_s: int) -> None:
    def making(one: application.Application) -> lease.Entry:
        return switching.branch_entry(one, switching.Switch("x"))

    asked = msgspec.structs.replace(taking.asked("x"), duration_s=duration_s)
    await switch.take(there.apps(), there.of(taking.ANN), there.all(), making, asked)


async def test_before_its_end_and_without_one_nothing_happens() -> None:
    for duration_s in (0, 60):
        there = taking.make()
        await use(there, duration_s)
        there.now += datetime.timedelta(seconds=59)
        assert await settle(there, taking.ANN) == []
        assert taking.branches(there) == ["x"]


async def test_ones_own_is_put_back() -> None:
    there = taking.make()
    await use(there, 60)
    there.now += datetime.timedelta(seconds=60)
    (line,) = await settle(there, taking.ANN)
    assert line.endswith("had expired: argocd/shop is put back")
    assert taking.branches(there) == ["main"] and there.leases == {}


async def test_others_are_told_with_the_way_to_end_them() -> None:
    there = taking.make()
    await use(there, 60)
    there.now += datetime.timedelta(days=1)
    (line,) = await settle(there, taking.BOB)
    assert "`devloop env restore --lease devloop-branch-argocd.shop`" in line and "ann@thinkpad" in line
    assert taking.branches(there) == ["x"]


def test_every_end_has_words() -> None:
    which = application.Reference("argocd", "shop")
    for how in switching.Standing:
        assert str(which) in overdue.words(switch.Ended(which, how, "somebody did"))


@pytest.mark.parametrize(("late", "asked"), [(True, True), (False, False)])
async def test_at_the_start_of_a_watch_applications_are_asked_only_where_there_is_a_reason(
    late: bool, asked: bool, server: fake_api.FakeApi, api: client.Client
) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/ann/leases"
    raw = test_lease.made(duration_s=60 if late else 0).manifest(test_lease.NOW)
    raw["metadata"] |= {"resourceVersion": "7", "uid": "u"}
    server.on("GET", path, fake_api.giving({"items": [raw], "metadata": {}}))
    said: list[str] = []
    await overdue.at_start(api, "ann", None, "devloop/bob", said.append)
    assert bool(said) is asked and all("ann@thinkpad" in line for line in said)


async def test_without_the_right_to_see_leases_nothing_is_said(server: fake_api.FakeApi, api: client.Client) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/ann/leases"
    said: list[str] = []
    server.on("GET", path, fake_api.refusing(403, "no", "Forbidden"), fake_api.refusing(503, "starting"))
    await overdue.at_start(api, "ann", None, "devloop/bob", said.append)
    assert said == []
    await overdue.at_start(api, "ann", None, "devloop/bob", said.append)
    assert len(said) == 1
