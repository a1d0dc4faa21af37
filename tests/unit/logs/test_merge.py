"""Several logs as one, by time; each in its own order."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from devloop.logs import merge, values
from tests.unit.logs import kubelet

BASE = 1_750_000_000_000_000_000


async def merged(*logs: list[list[bytes]]) -> list[bytes]:
    sources = [merge.Source() for _ in logs]
    got: list[bytes] = []

    async def put(item: values.Item) -> None:
        assert isinstance(item, values.Batch)
        got.extend(item.lines)

    async def fill(number: int) -> None:
        for batch in logs[number]:
            await sources[number].put(values.Batch(values.Origin("web", f"{number}", "", "app"), 0, batch))
        await sources[number].end()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(len(logs)):
            group.create_task(fill(number))
        group.create_task(merge.merge(sources, put))
    return got


@given(st.lists(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=20), max_size=4))
def test_what_is_in_order_is_sorted_exactly(logs: list[list[tuple[int, bool]]]) -> None:
    made: list[list[list[bytes]]] = []
    every: list[bytes] = []
    for number, log in enumerate(logs):
        batches: list[list[bytes]] = [[]]
        for at, ends in sorted(log):
            line = kubelet.stamp(BASE + at) + b" %d" % number
            every.append(line)
            batches[-1].append(line)
            if ends:
                batches.append([])
        made.append(batches)
    got = asyncio.run(merged(*made))
    assert [line[:30] for line in got] == sorted(line[:30] for line in every)
    assert sorted(got) == sorted(every)


async def test_what_is_not_in_order_stays_as_it_is() -> None:
    first = [kubelet.stamp(BASE + at) + b" a%d" % at for at in (5, 1, 9)]
    second = [kubelet.stamp(BASE + at) + b" b%d" % at for at in (2, 6)]
    got = [line.split()[1] for line in await merged([first], [second])]
    assert got == [b"b2", b"a5", b"a1", b"b6", b"a9"]


async def test_lines_without_a_stamp_follow_the_one_before() -> None:
    first = [kubelet.stamp(BASE + 5) + b" a", b"no stamp"]
    second = [kubelet.stamp(BASE + 6) + b" b"]
    assert [line.split()[-1] for line in await merged([second], [first])] == [b"a", b"stamp", b"b"]


async def test_nothing_is_merged_into_nothing() -> None:
    assert await merged() == []
    assert await merged([], []) == []
