"""A replica's tunnel comes and goes with its link, and says so."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from devloop import errors
from devloop.daemon import tunnel
from devloop.protocol import messages, session, version
from devloop.wire import driver, streams

FEATURES = frozenset({version.STREAMS})


class FakeDriver:
    closed = True


LINK = cast(driver.Driver, cast(Any, FakeDriver()))


async def test_it_comes_and_goes_with_the_link() -> None:
    subject = tunnel.Tunnel()
    seen: list[streams.Streams | None] = []
    forget = subject.watch(seen.append)
    async with asyncio.TaskGroup() as group:
        subject.open(LINK, group, FEATURES)
        opened = subject.streams
        assert opened is not None
        subject.close()
        subject.close()
        assert seen == [opened, None]
        forget()
        subject.open(LINK, group, FEATURES)
    assert seen == [opened, None]


async def test_an_agent_that_carries_nothing_has_none() -> None:
    subject = tunnel.Tunnel()
    async with asyncio.TaskGroup() as group:
        subject.open(LINK, group, frozenset())
    assert subject.streams is None
    assert not subject.take(messages.Reset(messages.FIRST_STREAM))


async def test_it_takes_what_is_about_streams_and_nothing_else() -> None:
    subject = tunnel.Tunnel()
    async with asyncio.TaskGroup() as group:
        subject.open(LINK, group, FEATURES)
        assert subject.take(session.Granted((messages.FIRST_STREAM,)))
        assert not subject.take(messages.HookStarted("x"))
        assert not subject.take(session.Closed(None))
        assert subject.streams is not None
        with pytest.raises(errors.LinkError):
            await subject.streams.dial("db", 1, timeout_s=1)
