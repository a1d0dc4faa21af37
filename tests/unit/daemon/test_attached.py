"""Running pods get an agent, another one after the app's restart, and no more than makes sense."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from devloop import errors
from devloop.core import backoff
from devloop.daemon import attached, rungs
from devloop.inject import attaching, leftovers
from devloop.podspec import request
from devloop.sync import events
from tests.unit.daemon.test_podtarget import API
from tests.unit.inject.test_attach import ENDED, raw
from tests.unit.kube.test_pods import RUNNING

SERVICE = request.Service("web", (request.Sync("/app"),), container="app")


class Bench:
    """Stands in for the cluster: keeps what is added."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.added: list[int] = []
        self.notices: list[events.Notice] = []
        self.refuse: list[errors.DevloopError] = []
        self.more = asyncio.Event()
        self.rung = attached.Attached(SERVICE, "agent:1", rungs.Leftovers("shop-1", (), self.publish), self.publish)
        monkeypatch.setattr(attaching, "add", self.add)
        monkeypatch.setattr(leftovers, "give_back", self.nothing)
        monkeypatch.setattr(attached, "AGAIN_S", 0.0)

    async def nothing(self, *_: object) -> None:
        """Nothing is left over."""

    async def add(
        self, api: object, namespace: str, pod: Mapping[str, Any], service: object, image: str, number: int
    ) -> str:
        self.more.set()
        if self.refuse:
            raise self.refuse.pop(0)
        self.added.append(number)
        return "user 1000, as a test says"

    def publish(self, event: events.Event) -> None:
        assert isinstance(event, events.Notice)
        self.notices.append(event)
        self.more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.notices) < count:
                self.more.clear()
                await self.more.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.rung.held(API, "dev"):
            yield


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_a_running_pod_gets_one_and_the_watch_may_show_it_late(bench: Bench) -> None:
    async with bench.running():
        bench.rung.look([raw()])
        bench.rung.look([raw()])
        await bench.until(1)
        bench.rung.look([raw()])
        bench.rung.look([raw(RUNNING)])
    assert bench.added == [1]
    assert bench.notices[0].message == (
        "attached to pod web-5d-x as user 1000, as a test says; it stays until the pod goes"
    )


async def test_after_the_apps_restart_there_is_another(bench: Bench) -> None:
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(1)
        bench.rung.look([raw(ENDED, run="id-2")])
        await bench.until(2)
    assert bench.added == [1, 2]


async def test_one_that_does_not_stay_is_told_once(bench: Bench) -> None:
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(1)
        bench.rung.look([raw(ENDED)])
        await bench.until(2)
        bench.rung.look([raw(ENDED, ENDED)])
        await bench.until(3)
        bench.rung.look([raw(ENDED, ENDED, ENDED)])
        await bench.until(4)
        bench.rung.look([raw(ENDED, ENDED, ENDED)])
    assert bench.added == [1, 2, 3]
    assert bench.notices[-1].message == "no agent stays in pod web-5d-x: Error: exit 137"
    assert len(bench.notices) == 4


async def test_a_reason_that_stays_is_told_and_nothing_is_tried_again(bench: Bench) -> None:
    bench.refuse = [errors.RefusedError("the app's root is read-only", hint="h", code="DL0786")]
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(1)
        bench.rung.look([raw()])
    assert bench.added == []
    assert (bench.notices[0].level, bench.notices[0].code) == (events.Level.ERROR, "DL0786")


async def test_a_cluster_that_is_away_is_tried_again(bench: Bench) -> None:
    bench.refuse = [errors.UnreachableError("away"), errors.UnreachableError("away")]
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(2)
    assert bench.added == [1]
    assert bench.notices[0].message == "away"


async def test_what_a_policy_forbids_is_tried_less_and_less_often(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[tuple[float, float]] = []

    def delays(*, first_s: float, longest_s: float) -> Iterator[float]:
        waits.append((first_s, longest_s))
        yield from (0.0, 0.0, 0.0)

    monkeypatch.setattr(backoff, "delays", delays)
    bench.refuse = [errors.RefusedError("violates PodSecurity") for _ in range(3)]
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(2)
        assert bench.added == [1]
    # one series for all tries, and the reason once
    assert waits == [(attached.AGAIN_S, attached.LONGEST_S)]
    assert [each.message for each in bench.notices].count("violates PodSecurity") == 1


async def test_a_missing_right_ends_the_service(bench: Bench) -> None:
    bench.refuse = [errors.ForbiddenError("you may not")]
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(20), bench.running():
            bench.rung.look([raw()])
            await asyncio.Event().wait()
    assert caught.group_contains(errors.ForbiddenError)


async def test_which_container_is_asked_once(bench: Bench) -> None:
    bench.rung = attached.Attached(
        request.Service("web", (request.Sync("/app"),), container="ap"),
        "agent:1",
        rungs.Leftovers("shop-1", (), bench.publish),
        bench.publish,
    )
    async with bench.running():
        bench.rung.look([raw()])
        bench.rung.look([raw()])
    assert [each.code for each in bench.notices] == ["DL0802"]


async def test_a_pod_that_is_gone_is_forgotten_and_nothing_runs_after_the_end(bench: Bench) -> None:
    async with bench.running():
        bench.rung.look([raw()])
        await bench.until(1)
        bench.rung.look([])
        bench.rung.look([raw()])
        await bench.until(2)
    bench.rung.look([])
    bench.rung.look([raw()])
    assert bench.added == [1, 1]
