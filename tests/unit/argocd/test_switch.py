"""Applications are taken all or none, and put back whatever happened in between; nobody else's change is touched."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devloop import errors
from devloop.argocd import application, lease, switch, switching
from tests.unit.argocd import samples, world

ANN = lease.Owner("ann@thinkpad", "ann", "i-ann")
BOB = lease.Owner("bob@desktop", "bob", "i-bob")
NAMES = ("root", "web", "api")


def make(*names: str) -> world.World:
    return world.World(*(samples.raw(name) for name in names or ("shop",)))


def asked(branch: str = "feature/x", kind: lease.Kind = lease.Kind.BRANCH) -> switch.Asked:
    return switch.Asked(kind, branch, "5e55")


async def use(there: world.World, branch: str = "feature/x", owner: lease.Owner = ANN) -> switch.Taken:
    def making(one: application.Application) -> lease.Entry:
        return switching.branch_entry(one, switching.Switch(branch))

    return await switch.take(there.apps(), there.of(owner), there.all(), making, asked(branch))


async def pause(there: world.World, owner: lease.Owner = ANN) -> switch.Taken:
    wanted = asked("", lease.Kind.PAUSE)
    return await switch.take(there.apps(), there.of(owner), there.all(), switching.pause_entry, wanted)


async def restore(there: world.World, owner: lease.Owner = ANN) -> list[switch.Ended]:
    ended = []
    for raw in list(there.leases.values()):
        ended += await switch.put_back(there.apps(), there.of(owner), lease.read(raw))
    return ended


def branches(there: world.World) -> list[str]:
    return [one.sources[0].revision for one in there.all()]


async def test_a_tree_there_and_back() -> None:
    there = make(*NAMES)
    before = there.specs()
    taken = await use(there)
    assert branches(there) == ["feature/x"] * 3
    assert [which.name for which in taken.changed] == list(NAMES)
    assert taken.lease is not None
    assert {switching.holder(one, lease.Kind.BRANCH) for one in there.all()} == {taken.lease.reference}
    ended = await restore(there)
    assert [(each.reference.name, each.standing) for each in ended] == [
        (name, switching.Standing.OURS) for name in NAMES
    ]
    assert there.specs() == before and there.leases == {}
    # the root comes last on the way back, for it would undo its children
    assert [which.name for which in there.patches[3:]] == ["api", "web", "root"]


async def test_a_branch_and_a_pause_do_not_meet() -> None:
    there = make()
    before = there.specs()
    await use(there)
    await pause(there)
    assert len(there.leases) == 2 and there.all()[0].automated is None
    await restore(there)
    assert there.specs() == before


async def test_where_nothing_is_to_be_changed_nothing_is_written() -> None:
    there = make()
    assert (await use(there, "main")).lease is None
    assert there.leases == {} and there.patches == []


async def test_another_branch_under_the_same_lease_goes_back_to_the_first() -> None:
    there = make(*NAMES)
    before = there.specs()
    await use(there, "feature/x")
    taken = await use(there, "feature/y")
    assert branches(there) == ["feature/y"] * 3 and len(there.leases) == 1
    assert taken.lease is not None and taken.lease.record.asked == "feature/y"
    await restore(there)
    assert there.specs() == before


async def test_two_developers_meet_at_one_application() -> None:
    there = make()
    await use(there)
    with pytest.raises(errors.OwnedError) as raised:
        await switch.take(
            there.apps(),
            there.of(BOB, "bob"),
            there.all(),
            lambda one: switching.branch_entry(one, switching.Switch("bobs")),
            asked("bobs"),
        )
    assert raised.value.owner == "ann@thinkpad (ann)"
    assert branches(there) == ["feature/x"] and len(there.leases) == 1


async def test_two_who_looked_at_the_same_moment_cannot_both_have_it() -> None:
    there = make()
    seen = there.all()

    def making(one: application.Application) -> lease.Entry:
        return switching.branch_entry(one, switching.Switch("theirs"))

    await switch.take(there.apps(), there.of(ANN), seen, making, asked("theirs"))
    with pytest.raises(errors.ConflictError):
        await switch.take(
            there.apps(),
            there.of(BOB, "bob"),
            seen,
            lambda one: switching.branch_entry(one, switching.Switch("bobs")),
            asked("bobs"),
        )
    assert branches(there) == ["theirs"]
    assert list(there.leases) == ["ann/devloop-branch-argocd.shop"]


async def test_a_mark_whose_lease_is_gone_keeps_nobody_out() -> None:
    there = make()
    await use(there)
    there.leases.clear()
    await use(there, "feature/y", BOB)
    assert branches(there) == ["feature/y"]


class Refused(Exception):
    """The laptop is gone."""


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_refusal_takes_everything_back(at: int) -> None:
    there = make(*NAMES)
    before = there.specs()

    def refuse(which: application.Reference) -> None:
        if which.name == NAMES[at]:
            raise errors.ForbiddenError("you may not patch this one")

    there.before_patch = refuse
    with pytest.raises(errors.ForbiddenError):
        await use(there)
    assert there.specs() == before and there.leases == {}


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_refused_second_branch_leaves_the_first_one(at: int) -> None:
    there = make(*NAMES)
    before = there.specs()
    await use(there, "feature/x")
    first = there.specs()

    def refuse(which: application.Reference) -> None:
        if which.name == NAMES[at]:
            raise errors.ForbiddenError("you may not patch this one any more")

    there.before_patch = refuse
    with pytest.raises(errors.ForbiddenError):
        await use(there, "feature/y")
    assert there.specs() == first
    there.before_patch = lambda which: None
    await restore(there)
    assert there.specs() == before


async def test_what_cannot_be_taken_back_stays_under_its_lease() -> None:
    there = make(*NAMES)
    before = there.specs()
    seen: list[str] = []

    def refuse(which: application.Reference) -> None:
        seen.append(which.name)
        if len(seen) > 1:
            raise errors.UnreachableError("the API server is away")

    there.before_patch = refuse
    with pytest.raises(errors.ClusterError, match="argocd/root") as raised:
        await use(there)
    assert raised.value.error_code == "DL1023"
    assert len(there.leases) == 1
    there.before_patch = lambda which: None
    await restore(there)
    assert there.specs() == before and there.leases == {}


async def test_a_restore_that_is_interrupted_goes_on_later() -> None:
    there = make(*NAMES)
    before = there.specs()
    await use(there)

    def refuse(which: application.Reference) -> None:
        if which.name == "web":
            raise errors.UnreachableError("the API server is away")

    there.before_patch = refuse
    with pytest.raises(errors.UnreachableError):
        await restore(there)
    assert len(there.leases) == 1
    there.before_patch = lambda which: None
    ended = await restore(there)
    assert [each.standing.value for each in ended] == ["ours", "ours", "untouched"]
    assert there.specs() == before and there.leases == {}


async def test_somebody_who_is_faster_than_a_restore_has_the_last_word() -> None:
    there = make()
    await use(there)
    which = application.Reference("argocd", "shop")

    def by_hand(_: application.Reference) -> None:
        there.raws[which]["spec"]["source"]["targetRevision"] = "by-hand"

    there.before_patch = by_hand
    (ended,) = await restore(there)
    assert ended.standing is switching.Standing.FOREIGN and "by-hand" in ended.words
    assert branches(there) == ["by-hand"] and there.leases == {}
    assert switching.holder(there.all()[0], lease.Kind.BRANCH) == ""


async def test_an_application_that_is_gone_or_new_is_left_alone() -> None:
    there = make("web", "api")
    await use(there)
    gone, anew = there.raws
    del there.raws[gone]
    there.raws[anew]["metadata"]["uid"] = "another"
    patched = len(there.patches)
    assert [each.standing for each in await restore(there)] == [switching.Standing.GONE] * 2
    assert len(there.patches) == patched and there.leases == {}


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_whatever_happens_in_between(data: st.DataObject) -> None:
    asyncio.run(_whatever(data))


async def _whatever(data: st.DataObject) -> None:
    """Take branches, be killed at any write, let people change things by hand, restore: theirs stays, ours goes."""
    there = make(*NAMES)
    original = copy.deepcopy(there.specs())
    by_hand: dict[application.Reference, str] = {}
    for step in range(data.draw(st.integers(1, 4))):
        left = data.draw(st.integers(0, 6), label="writes until the laptop is gone")

        def count(which: application.Reference, budget: list[int] = [left]) -> None:  # noqa: B006
            budget[0] -= 1
            if budget[0] < 0:
                raise Refused

        there.before_patch = count
        try:
            if data.draw(st.booleans(), label="take or restore"):
                await use(there, f"feature/{step}")
            else:
                await restore(there)
        except (Refused, errors.ConflictError):
            pass
        if data.draw(st.integers(0, 3)) == 0:
            which = application.Reference("argocd", data.draw(st.sampled_from(NAMES)))
            by_hand[which] = f"by-hand-{step}"
            there.raws[which]["spec"]["source"]["targetRevision"] = by_hand[which]
    there.before_patch = lambda which: None
    await restore(there)
    assert there.leases == {}
    for which, raw in there.raws.items():
        was: Any = original[str(which)][0]["source"]["targetRevision"]
        # what a person has set last is there in the end, also where devloop switched away from it and back
        assert raw["spec"]["source"]["targetRevision"] == by_hand.get(which, was)
        assert not (raw["metadata"].get("annotations") or {})
