"""A control server that runs during a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from devloop.daemon import bus, control


@contextlib.asynccontextmanager
async def serving(
    path: str,
    handlers: Mapping[str, control.Handler],
    event_bus: bus.Bus,
    holders: Mapping[str, control.Holder] | None = None,
) -> AsyncIterator[None]:
    """Serve within the block; the server must end when it is left."""
    started = asyncio.Event()
    server = control.ControlServer(path, handlers, event_bus, holders)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(server.run(started))
        await started.wait()
        try:
            yield
            assert not running.done()
        finally:
            running.cancel()
