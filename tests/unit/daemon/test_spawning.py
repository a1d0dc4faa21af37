"""Work that finds its group ending is dropped without a word."""

from __future__ import annotations

import asyncio

from devloop.daemon import spawning


async def test_work_starts_in_a_group_that_takes_it() -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    async with asyncio.TaskGroup() as group:
        assert spawning.spawn(group, work())
    assert done.is_set()


async def test_without_a_group_or_in_one_that_is_ending_it_is_dropped() -> None:
    async def work() -> None:
        raise AssertionError("it never runs")

    assert not spawning.spawn(None, work())
    late: list[bool] = []

    async def ending(group: asyncio.TaskGroup) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            late.append(spawning.spawn(group, work()))

    async def failing() -> None:
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(ending(group))
            await asyncio.sleep(0)
            group.create_task(failing())
    except* ValueError:
        pass
    assert late == [False]
