"""Many in, one out: bounded for each, in the order in which they come."""

from __future__ import annotations

import asyncio

from devloop.logs import mux, values


def batch(pod: str, *lines: bytes) -> values.Batch:
    return values.Batch(values.Origin("web", pod, "u", "app"), 0, lines)


async def test_a_full_container_waits_and_holds_up_no_other() -> None:
    subject = mux.Mux(max_lines=2)
    await subject.put(batch("loud", b"1", b"2", b"3"))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(subject.put(batch("loud", b"4")))
        await subject.put(batch("quiet", b"a"))
        assert not waiting.done()
        assert await subject.take() == [batch("loud", b"1", b"2", b"3"), batch("quiet", b"a")]
    assert await subject.take() == [batch("loud", b"4")]


async def test_a_remark_counts_as_a_line() -> None:
    subject = mux.Mux(max_lines=1)
    note = values.Note(values.Origin("web", "", "", ""), "said")
    await subject.put(note)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(subject.put(note))
        await asyncio.sleep(0)
        assert not waiting.done()
        assert await subject.take() == [note]


async def test_a_reader_that_is_cancelled_while_it_waits_adds_nothing() -> None:
    subject = mux.Mux(max_lines=1)
    await subject.put(batch("loud", b"1"))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(subject.put(batch("loud", b"2")))
        await asyncio.sleep(0)
        waiting.cancel()
    assert await subject.take() == [batch("loud", b"1")]
