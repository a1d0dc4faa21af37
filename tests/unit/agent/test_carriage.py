"""What the agent does about byte streams on one link; what they carry is tested in tests/tunnel."""

import asyncio
from pathlib import Path

import pytest

from devloop import errors
from devloop.protocol import session
from devloop.wire import streams
from tests.unit.agent import linked


async def test_a_link_has_streams_and_they_end_with_it(tmp_path: Path) -> None:
    async with linked.running(linked.told_in(tmp_path)) as bench:
        laptop = await bench.link()
        async with asyncio.TaskGroup() as group:
            carried = streams.Streams(laptop.driver, group)
            dialling = group.create_task(_dial(carried))
            while not any(carried.take(event) for event in laptop.events if not isinstance(event, session.Opened)):
                laptop.events.clear()
                await asyncio.sleep(0)
            assert (await dialling).why is errors.Refused.PORT


async def _dial(carried: streams.Streams) -> errors.DialError:
    with pytest.raises(errors.DialError) as caught:
        await carried.dial("127.0.0.1", 1, timeout_s=20)
    return caught.value
