"""News that ways changed: everybody who waits hears of it, once."""

from __future__ import annotations

import asyncio

from devloop.ports import way


async def test_everybody_who_waits_is_told_once() -> None:
    signal = way.Signal()
    first, second = signal.next(), signal.next()
    signal.fire()
    late = signal.next()
    await asyncio.wait_for(asyncio.gather(first, second), 10)
    assert not late.done()
    signal.fire()
    await asyncio.wait_for(late, 10)


async def test_who_waits_no_more_is_forgotten() -> None:
    signal = way.Signal()
    signal.next().cancel()
    await asyncio.sleep(0)
    assert not signal._waiting
    signal.fire()
