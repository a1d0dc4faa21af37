"""What earlier watches left is given back once, before anything else."""

from __future__ import annotations

import asyncio

import pytest

from devloop.daemon import rungs
from devloop.inject import leftovers
from devloop.sync import events
from tests.unit.daemon.test_podtarget import API


async def test_leftovers_are_given_back_once_for_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    said: list[events.Event] = []

    async def give_back(api: object, namespace: str, project: str, keep: object, say: object) -> None:
        asked.append((namespace, project, keep))
        assert callable(say)
        say("put back")
        await asyncio.sleep(0)

    async def also(api: object, namespace: str, say: object) -> None:
        asked.append((namespace,))

    monkeypatch.setattr(leftovers, "give_back", give_back)
    left = rungs.Leftovers("shop-1", ("deployment/web",), said.append, also)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(left.done(API, "dev"))
    assert asked == [("dev", "shop-1", ("deployment/web",)), ("dev",)]
    assert said == [events.Notice(level=events.Level.WARNING, message="put back")]
