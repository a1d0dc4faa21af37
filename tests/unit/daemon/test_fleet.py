"""Replicas come and go, and one that ends does not take the others with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from devloop import errors
from devloop.daemon import fleet, replica
from devloop.protocol import messages
from devloop.sync import engine, events, ledger


class Agent:
    """A replica that runs until it is cancelled or told to fail."""

    def __init__(self, name: str, *, up: bool = True) -> None:
        self.name, self.up = name, up
        self.fatal: errors.DevloopError | None = None
        self.fail: errors.DevloopError | None = None
        self.refuse: errors.DevloopError | None = None
        self.running = False
        self.wake, self.go = asyncio.Event(), asyncio.Event()
        self.slow_to_end = False
        self.asked: list[messages.Ask] = []

    async def run(self) -> None:
        self.running = True
        try:
            await self.wake.wait()
            if self.fail is not None:
                raise self.fail
        finally:
            if self.slow_to_end:
                await self.go.wait()
            self.running = False

    async def ask(self, ask: messages.Ask) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(ask)


def of(agent: Agent) -> replica.Replica:
    return cast(replica.Replica, agent)


class Bench:
    """A fleet with a real engine."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.changes = 0
        self.brain = engine.Engine([ledger.Source()], lambda changes: ())
        self.fleet = fleet.Fleet("web", self.brain, carry_out=self.carry_out, publish=self.events.append)

    def carry_out(self, found: object) -> None:
        self.changes += 1

    def add(self, name: str, *, vital: bool = False, **more: Any) -> Agent:
        agent = Agent(name, **more)
        self.fleet.add(of(agent), vital=vital)
        return agent

    async def until(self, agent: Agent, *, running: bool) -> None:
        async with asyncio.timeout(20):
            while agent.running is not running:
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        bench.fleet.start(group)
        yield
        for name in list(bench.fleet.replicas):
            await bench.fleet.remove(name)


async def test_nothing_is_in_sync_without_one_that_was_added() -> None:
    bench = Bench()
    early = bench.add("early")
    assert set(bench.brain.replicas) == {"early"}
    async with running(bench):
        late = bench.add("late")
        assert list(bench.fleet.replicas) == list(bench.brain.replicas) == ["early", "late"]
        for agent in (early, late):
            await bench.until(agent, running=True)


async def test_one_that_is_removed_has_ended_and_is_forgotten() -> None:
    bench = Bench()
    async with running(bench):
        agent = bench.add("one")
        await bench.until(agent, running=True)
        await bench.fleet.remove("one")
        assert not agent.running
        assert not bench.fleet.replicas and not bench.brain.replicas
        await bench.fleet.remove("one")
        bench.add("one")
        assert set(bench.brain.replicas) == {"one"}


async def test_one_that_never_ran_is_forgotten_too() -> None:
    bench = Bench()
    bench.add("one")
    await bench.fleet.remove("one")
    assert not bench.fleet.replicas and not bench.brain.replicas


async def test_it_is_forgotten_even_if_nobody_waits_for_its_end() -> None:
    bench = Bench()
    async with running(bench), asyncio.TaskGroup() as others:
        agent = bench.add("one")
        agent.slow_to_end = True
        await bench.until(agent, running=True)
        removing = others.create_task(bench.fleet.remove("one"))
        await asyncio.sleep(0)
        removing.cancel()
        await asyncio.wait([removing])
        assert set(bench.fleet.replicas) == {"one"}
        agent.go.set()
        await bench.until(agent, running=False)
        while bench.fleet.replicas:
            await asyncio.sleep(0)
        assert not bench.brain.replicas


async def test_one_that_cannot_go_on_is_named_and_the_others_go_on() -> None:
    bench = Bench()
    async with running(bench):
        bad, good = bench.add("bad"), bench.add("good")
        await bench.until(bad, running=True)
        before = bench.changes
        bad.fail = errors.AgentError("the roots overlap", hint="move one")
        bad.wake.set()
        await bench.until(bad, running=False)
        while bad.fatal is None:
            await asyncio.sleep(0)
        assert bad.fatal is bad.fail
        link, notice = bench.events
        assert link == events.LinkChanged(target="bad", up=False, detail="the roots overlap", retry_s=fleet.LEFT_OUT_S)
        assert isinstance(notice, events.Notice) and notice.level is events.Level.ERROR
        assert "bad" in notice.message and notice.hint == "move one"
        assert bench.changes > before
        assert good.running
        # Nothing is in sync before a person has removed it.
        assert set(bench.brain.replicas) == {"bad", "good"}
        await bench.fleet.remove("bad")
        assert set(bench.brain.replicas) == {"good"}


async def test_one_that_could_not_go_on_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LEFT_OUT_S", 0.0)
    bench = Bench()
    async with running(bench):
        bad, _ = bench.add("bad"), bench.add("good")
        await bench.until(bad, running=True)
        bad.fail = errors.AgentError("the roots overlap")
        bad.wake.set()
        await bench.until(bad, running=False)
        bad.fail = None
        bad.wake.clear()
        await bench.until(bad, running=True)
        assert bad.fatal is None


async def test_where_all_need_a_person_the_service_ends() -> None:
    bench = Bench()
    one, two = bench.add("one"), bench.add("two")
    one.fail, two.fail = errors.OwnedError("hers", owner="ann@there"), errors.ForbiddenError("you may not")
    one.wake.set()
    two.wake.set()
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            bench.fleet.start(group)
    assert caught.value.exceptions in {(one.fail,), (two.fail,)}


async def test_a_vital_one_that_cannot_go_on_ends_the_service() -> None:
    bench = Bench()
    agent = bench.add("one", vital=True)
    agent.fail = errors.AgentError("the roots overlap")
    agent.wake.set()
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            bench.fleet.start(group)
    assert caught.value.exceptions == (agent.fail,)
    assert bench.events == []


async def test_the_first_is_the_first_that_is_up() -> None:
    bench = Bench()
    assert bench.fleet.first() is None
    one, two = bench.add("one", up=False), bench.add("two", up=False)
    assert bench.fleet.first() is of(one)
    two.up = True
    assert bench.fleet.first() is of(two)
    one.up = True
    assert bench.fleet.first() is of(one)


async def test_all_that_are_up_are_asked_whoever_fails() -> None:
    bench = Bench()
    with pytest.raises(errors.LinkError, match="not connected"):
        await bench.fleet.ask(messages.Ask.SWEEP)
    down, bad, good = bench.add("down", up=False), bench.add("bad"), bench.add("good")
    bad.refuse = errors.AgentError("no")
    with pytest.raises(errors.AgentError, match="no"):
        await bench.fleet.ask(messages.Ask.SWEEP)
    assert (down.asked, good.asked) == ([], [messages.Ask.SWEEP])
    bad.up = good.up = False
    with pytest.raises(errors.LinkError, match="down is not connected"):
        await bench.fleet.ask(messages.Ask.SWEEP)
