"""Holding: at once where somebody can carry, else until somebody comes, with a bound and an end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from devloop import errors
from devloop.ports import client, hold, way
from tests.unit.ports import loopback


class Waiting:
    """A connection, and the ways that there are."""

    def __init__(self, one: client.Client, theirs: socket.socket) -> None:
        self.one, self.theirs = one, theirs
        self.signal = way.Signal()
        self.ways: list[way.Way] = []
        self.carrier = loopback.Loopback()

    def holder(self, hold_s: float = 20.0, limit: int = 256) -> hold.Holder:
        return hold.Holder(self.signal, hold_s=hold_s, limit=limit)

    async def open(self, holder: hold.Holder) -> way.Way:
        stream, chosen = await asyncio.wait_for(holder.open(lambda: self.ways, self.one), 20)
        stream.reset()
        return chosen


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    yield Waiting(client.Client(mine), theirs)
    mine.close()
    theirs.close()


async def until(holder: hold.Holder, held: int) -> None:
    async with asyncio.timeout(10):
        while holder.held != held:
            await asyncio.sleep(0)


async def test_a_way_that_is_there_is_taken_at_once(waiting: Waiting) -> None:
    async with loopback.serving(loopback.echo) as port:
        waiting.ways = [waiting.carrier.way(port)]
        assert (await waiting.open(waiting.holder())).target == "web-1"
    assert waiting.carrier.asked == [("127.0.0.1", port)]


async def test_a_connection_waits_for_the_next_way_and_nothing_it_said_is_lost(waiting: Waiting) -> None:
    holder = waiting.holder()
    async with loopback.serving(loopback.echo) as port, asyncio.TaskGroup() as group:
        opening = group.create_task(waiting.open(holder))
        await until(holder, 1)
        waiting.theirs.sendall(b"early")
        waiting.ways = [waiting.carrier.way(port)]
        waiting.signal.fire()
        await opening
    assert holder.held == 0
    rest = b"" if len(waiting.one._kept) == 5 else waiting.one.socket.recv(5)
    assert waiting.one.kept() + rest == b"early"


@pytest.mark.parametrize(
    "error",
    [
        errors.LinkError("the link ended"),
        errors.ForwardError("cut"),
        errors.NotThereError("no pod"),
        errors.UnreachableError("the API server restarts"),
    ],
)
async def test_a_carrier_that_dies_while_it_dials_is_tried_again(waiting: Waiting, error: Exception) -> None:
    async with loopback.serving(loopback.echo) as port:
        waiting.ways = [waiting.carrier.way(port)]
        waiting.carrier.failing = [error, error]
        await waiting.open(waiting.holder())
    assert len(waiting.carrier.asked) == 3


async def test_a_refusal_is_final_and_one_of_a_pod_that_starts_is_not(waiting: Waiting) -> None:
    refused = errors.DialError("refused", why=errors.Refused.PORT)
    async with loopback.serving(loopback.echo) as port:
        waiting.ways = [waiting.carrier.way(port)]
        waiting.carrier.failing = [refused]
        with pytest.raises(errors.DialError, match="refused"):
            await waiting.open(waiting.holder())
        waiting.ways = [waiting.carrier.way(port, settled=False)]
        waiting.carrier.failing = [refused, refused]
        await waiting.open(waiting.holder())


async def test_what_a_rule_keeps_from_one_way_the_next_may_do(waiting: Waiting) -> None:
    ruled = loopback.Loopback()
    rule = errors.DialError("only its own namespace", why=errors.Refused.RULE)
    async with loopback.serving(loopback.echo) as port:
        ruled.failing = [rule]
        waiting.ways = [ruled.way(port), waiting.carrier.way(port)]
        await waiting.open(waiting.holder())
    assert waiting.carrier.asked
    ruled.failing, waiting.carrier.failing = [rule], [errors.ForbiddenError("you may not")]
    with pytest.raises(errors.DialError, match="only its own namespace"):
        await waiting.open(waiting.holder())
    ruled.failing, waiting.ways = [rule], waiting.ways[:1]
    with pytest.raises(errors.DialError, match="only its own namespace"):
        await waiting.open(waiting.holder())


async def test_what_is_not_allowed_is_told_at_once(waiting: Waiting) -> None:
    waiting.ways = [waiting.carrier.way()]
    waiting.carrier.failing = [errors.ForbiddenError("you may not")]
    with pytest.raises(errors.ForbiddenError):
        await waiting.open(waiting.holder())


async def test_after_its_time_a_connection_is_given_up_with_the_last_reason(waiting: Waiting) -> None:
    with pytest.raises(errors.DialError, match="no pod is there") as caught:
        await waiting.open(waiting.holder(0.05))
    assert caught.value.error_code == "DL0621"
    with pytest.raises(errors.DialError, match="not held"):
        await waiting.open(waiting.holder(0.0))
    waiting.ways = [waiting.carrier.way()]
    waiting.carrier.failing = [errors.LinkError("the agent restarts") for _ in range(50)]
    with pytest.raises(errors.DialError, match="the agent restarts") as caught:
        await waiting.open(waiting.holder(0.3))
    assert caught.value.why is errors.Refused.UNREACHABLE


async def test_who_leaves_is_not_waited_for(waiting: Waiting) -> None:
    holder = waiting.holder()
    waiting.theirs.close()
    with pytest.raises(hold.GoneError):
        await waiting.open(holder)
    assert holder.held == 0


async def test_no_more_than_the_limit_wait(waiting: Waiting) -> None:
    holder = waiting.holder(limit=1)
    other = Waiting(*pair())
    async with asyncio.TaskGroup() as group:
        first = group.create_task(waiting.open(holder))
        await until(holder, 1)
        with pytest.raises(errors.DialError, match="wait for a pod already") as caught:
            await other.open(holder)
        assert caught.value.why is errors.Refused.LIMIT
        first.cancel()
    assert holder.held == 0
    other.one.close()
    other.theirs.close()


def pair() -> tuple[client.Client, socket.socket]:
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    return client.Client(mine), theirs
