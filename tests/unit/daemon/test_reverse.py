"""Ports of the laptop in pods: every agent listens, anew after a reconnect, and what connects is dialled here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from devloop import errors
from devloop.config import values
from devloop.daemon import reverse
from devloop.ports import way
from tests.unit.daemon import carried
from tests.unit.ports import loopback


class Running:
    def __init__(self, forward: values.Forward) -> None:
        self.service = carried.Service("web", carried.Replica("web-1"), carried.Replica("web-2"))
        self.signal = way.Signal()
        self.changes = 0
        self.reverse = reverse.Reverse(forward, self.service.replicas, self.signal, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def link(self, name: str, agent: carried.Agent | None) -> None:
        one = self.service.replicas[name]
        assert isinstance(one, carried.Replica)
        one.link(agent)
        self.signal.fire()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(self.reverse.run())
            yield
            task.cancel()


class Call:
    """A connection that came to the agent."""

    def __init__(self) -> None:
        self.theirs, mine = socket.socketpair()
        mine.setblocking(False)
        self.theirs.setblocking(False)
        self.stream = loopback.Stream(mine)
        self.accepted = False

    def accept(self, address: str = "") -> loopback.Stream:
        self.accepted = True
        return self.stream


async def test_every_agent_listens_and_anew_after_a_reconnect() -> None:
    made = Running(values.Forward(9003, local_first=9003, local_last=9003))
    async with made.running():
        first, second = carried.Agent(), carried.Agent()
        made.link("web-1", first)
        made.link("web-2", second)
        await carried.until(lambda: made.reverse.listening == {"web-1", "web-2"})
        assert set(first.listening) == {9003}
        again = carried.Agent()
        made.link("web-1", again)
        await carried.until(lambda: 9003 in again.listening)
        assert first.listening == {}
        made.link("web-2", None)
        await carried.until(lambda: made.reverse.listening == {"web-1"})


async def test_what_connects_there_is_dialled_here() -> None:
    async with loopback.serving(loopback.echo) as port:
        made = Running(values.Forward(9003, local_first=port, local_last=port))
        agent, call = carried.Agent(), Call()
        async with made.running(), asyncio.TaskGroup() as group:
            made.link("web-1", agent)
            await carried.until(lambda: agent.listening)
            group.create_task(agent.listening[9003](call))  # type: ignore[arg-type]
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(call.theirs, b"hello")
            assert await loop.sock_recv(call.theirs, 10) == b"hello"
            assert made.reverse.counts.open == 1
            call.theirs.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(call.theirs, 10) == b""
        assert (made.reverse.counts.open, made.reverse.counts.total) == (0, 1)
        call.theirs.close()


async def test_nothing_that_listens_here_is_a_refusal_there() -> None:
    made = Running(values.Forward(9003, local_first=loopback.free_port(), local_last=1))
    call = Call()
    with pytest.raises(errors.DialError, match="nothing listens on port") as caught:
        await made.reverse._carry(call)  # type: ignore[arg-type]
    assert caught.value.why is errors.Refused.PORT and not call.accepted
    assert "nothing listens" in made.reverse.counts.error and made.reverse.counts.open == 0
    call.theirs.close()
    call.stream.reset()


async def test_an_address_of_the_laptop_may_be_named() -> None:
    async with loopback.serving(loopback.echo) as port:
        made = Running(values.Forward(9003, local_first=port, local_last=port, bind="127.0.0.1"))
        (await made.reverse._dialled()).close()


async def test_a_port_that_the_pod_uses_is_told_and_tried_again() -> None:
    made = Running(values.Forward(9003, local_first=9003, local_last=9003))
    agent = carried.Agent()
    agent.refusing = [
        errors.DialError("port 9003 of the pod is taken"),
        errors.DialError("port 9003 of the pod is taken"),
    ]
    async with made.running():
        made.link("web-1", agent)
        await carried.until(lambda: made.reverse.failure is not None)
        await carried.until(lambda: made.reverse.listening)
        assert made.reverse.failure is None and made.changes == 2


async def test_a_link_that_ends_while_it_is_asked_is_left_to_the_next() -> None:
    made = Running(values.Forward(9003, local_first=9003, local_last=9003))
    agent, other = carried.Agent(), carried.Agent()
    agent.refusing = [errors.LinkError("the link has ended")]
    async with made.running():
        made.link("web-1", agent)
        await carried.until(lambda: not agent.refusing)
        made.link("web-1", other)
        await carried.until(lambda: made.reverse.listening == {"web-1"})
