"""Expired leases: one's own are put back, others' are told."""

from __future__ import annotations

import datetime

import msgspec

from devloop.argocd import application, lease, leasing, overdue, switch, switching
from tests.unit.argocd import test_switch as taking
from tests.unit.argocd import world


class Some(leasing.Leases):
    """The leases of `world`, listed."""


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
