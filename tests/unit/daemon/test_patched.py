"""A workload is patched while it is watched, and put back however the watch ends."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator

import msgspec
import pytest

from devloop import errors
from devloop.daemon import patched, rungs
from devloop.inject import lease, leasing
from devloop.podspec import inject
from devloop.state import identity
from devloop.sync import events
from tests.unit.inject import fake_cluster
from tests.unit.inject.conftest import Bench
from tests.unit.inject.test_patch import ANN, ASKED, install


class Watching:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.notices: list[events.Notice] = []
        left = rungs.Leftovers("shop-1", ("deployment/web",), self.publish)
        asked = msgspec.structs.replace(ASKED, until=lease.Until.WATCH)
        self.rung = patched.Patched(asked, left, self.publish)

    def publish(self, event: events.Event) -> None:
        assert isinstance(event, events.Notice)
        self.notices.append(event)

    @property
    def said(self) -> list[str]:
        return [each.message for each in self.notices]

    @property
    def is_patched(self) -> bool:
        return inject.is_injected(self.bench.cluster.template)


@pytest.fixture
async def watching(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watching]:
    monkeypatch.setattr(identity, "owner", lambda: ANN.name)
    async with fake_cluster.serving() as (cluster, api):
        yield Watching(Bench(cluster, api))


async def test_it_is_patched_meanwhile_and_put_back_exactly(watching: Watching) -> None:
    before = copy.deepcopy(watching.bench.cluster.template)
    async with watching.rung.held(watching.bench.api, "dev"):
        assert watching.is_patched
        watching.rung.look([])
    assert watching.bench.cluster.template == before
    until = "deployment/web is patched until this watch ends, which puts it back"
    restorer = "if it is killed, the next `devloop watch` of this project does"
    assert watching.said[-2:] == [f"{until}; {restorer}", "deployment/web is put back"]


async def test_where_ops_have_a_sweeper_restore_it_is_named(watching: Watching) -> None:
    path = fake_cluster.LEASE.replace("devloop-deployment-web", "devloop-sweeper")
    watching.bench.cluster.put(path, {"spec": {"holderIdentity": "devloop-system/devloop-admission"}})
    async with watching.rung.held(watching.bench.api, "dev"):
        assert any(
            "if it is killed, the sweeper in the cluster (devloop-system/devloop-admission) does after 15 minutes"
            in each
            for each in watching.said
        )


async def test_a_cancelled_watch_puts_it_back_as_well(watching: Watching) -> None:
    inside = asyncio.Event()

    async def watch() -> None:
        async with watching.rung.held(watching.bench.api, "dev"):
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(watch())
        await inside.wait()
        task.cancel()
    assert not watching.is_patched and fake_cluster.LEASE not in watching.bench.cluster.objects


async def test_one_that_is_cancelled_while_the_pods_come_up_does_too(watching: Watching) -> None:
    watching.bench.cluster.rolls_out = False
    waiting = asyncio.Event()
    publish = watching.publish
    watching.publish = lambda event: (publish(event), waiting.set())[0]  # type: ignore[method-assign,func-returns-value]
    left = rungs.Leftovers("shop-1", (), watching.publish)
    rung = patched.Patched(msgspec.structs.replace(ASKED, until=lease.Until.WATCH), left, watching.publish)

    async def watch() -> None:
        async with rung.held(watching.bench.api, "dev"):
            raise AssertionError("the pods are not up")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(watch())
        await waiting.wait()
        assert watching.is_patched
        task.cancel()
    assert not watching.is_patched


async def test_what_install_made_stays(watching: Watching) -> None:
    await install(watching.bench)
    async with watching.rung.held(watching.bench.api, "dev"):
        pass
    assert watching.is_patched and fake_cluster.LEASE in watching.bench.cluster.objects


async def test_what_somebody_took_over_is_theirs(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patched, "RENEW_S", 0.01)
    taken = asyncio.Event()
    renew = leasing.renew

    async def afterwards(*how: object) -> lease.Lease:
        # A renewal every moment, as nobody makes them, would keep the other one from the lease.
        await taken.wait()
        return await renew(*how)  # type: ignore[arg-type]

    monkeypatch.setattr(leasing, "renew", afterwards)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(20), watching.rung.held(watching.bench.api, "dev"):
            await install(watching.bench, me=lease.Owner("bob@desk"), takeover=True)
            taken.set()
            await asyncio.Event().wait()
    error = caught.value.exceptions[0]
    assert isinstance(error, errors.OwnedError) and error.owner == "bob@desk"
    assert watching.is_patched and fake_cluster.LEASE in watching.bench.cluster.objects


async def test_a_lease_is_renewed_and_a_cluster_out_of_reach_is_waited_for(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patched, "RENEW_S", 0.01)
    renewed = asyncio.Event()
    tries = 0
    renew = leasing.renew

    async def flaky(*how: object) -> lease.Lease:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise errors.UnreachableError("away")
        found = await renew(*how)  # type: ignore[arg-type]
        renewed.set()
        return found

    monkeypatch.setattr(leasing, "renew", flaky)
    async with asyncio.timeout(20), watching.rung.held(watching.bench.api, "dev"):
        await renewed.wait()


async def test_one_that_cannot_be_put_back_is_told_with_the_way_out(watching: Watching) -> None:
    async with watching.rung.held(watching.bench.api, "dev"):
        watching.bench.cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (500, "broken", "InternalError")
    assert "deployment/web is left patched" in watching.said[-1]
    assert "devloop down" in watching.notices[-1].hint


async def test_an_agent_by_the_manifests_is_enough(watching: Watching) -> None:
    await install(watching.bench)
    del watching.bench.cluster.objects[fake_cluster.LEASE]
    async with watching.rung.held(watching.bench.api, "dev"):
        pass
    assert watching.said == ["deployment/web has the agent by its own manifests; nothing was changed"]
    assert watching.is_patched


async def test_what_the_sweeper_put_back_while_the_laptop_slept_is_patched_again(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patched, "RENEW_S", 0.01)
    # Every gap is a sleep here.
    monkeypatch.setattr(lease, "DURATION_S", 0)
    cluster = watching.bench.cluster
    async with asyncio.timeout(20), watching.rung.held(watching.bench.api, "dev"):
        first = cluster.objects[fake_cluster.LEASE]["metadata"]["uid"]
        await ending_by_the_sweeper(watching)
        while cluster.objects.get(fake_cluster.LEASE, {}).get("metadata", {}).get("uid") in (None, first):
            await asyncio.sleep(0.001)
        while not inject.is_injected(cluster.template):
            await asyncio.sleep(0.001)
    assert any("was put back while this laptop was away" in each for each in watching.said)
    assert not watching.is_patched


async def ending_by_the_sweeper(watching: Watching) -> None:
    found = await leasing.find(watching.bench.api, "dev", "deployment/web")
    assert found is not None
    watching.bench.cluster.put(fake_cluster.WORKLOAD, fake_cluster.deployment())
    del watching.bench.cluster.objects[fake_cluster.LEASE]


async def test_one_that_is_made_anew_is_patched_again_and_put_back_in_the_end(watching: Watching) -> None:
    cluster = watching.bench.cluster
    async with asyncio.timeout(20), watching.rung.held(watching.bench.api, "dev"):
        bare = {"metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "app"}]}}
        # The very same one: somebody took the agent out, and means it.
        cluster.objects[fake_cluster.WORKLOAD]["spec"] = fake_cluster.deployment()["spec"]
        watching.rung.look([bare])
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not inject.is_injected(cluster.template)
        cluster.put(fake_cluster.WORKLOAD, fake_cluster.deployment())
        watching.rung.look([bare])
        while not inject.is_injected(cluster.template):
            await asyncio.sleep(0.001)
    assert "deployment/web was made anew, and is patched again" in watching.said
    assert cluster.template == fake_cluster.deployment()["spec"]["template"]


async def test_one_that_is_made_anew_and_cannot_be_patched_is_told(watching: Watching) -> None:
    cluster = watching.bench.cluster
    async with asyncio.timeout(20), watching.rung.held(watching.bench.api, "dev"):
        cluster.put(fake_cluster.WORKLOAD, fake_cluster.deployment())
        cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"] = (422, "not like this", "Invalid")
        watching.rung.look([{"metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "app"}]}}])
        while not any("cannot be patched" in each and "not like this" in each for each in watching.said):
            await asyncio.sleep(0.001)
        del cluster.refused[f"PATCH {fake_cluster.WORKLOAD}"]
