"""Both drivers against each other: whatever happens to the line, both end in time, nothing is left, both know why."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from devloop import errors
from devloop.protocol import agent, codec, keepalive, laptop, messages, session
from devloop.wire import driver
from tests.protocol import playbook
from tests.unit.wire import line

# Far above what any of these takes, far below the suite's own deadline.
DEADLINE_S = 15.0


class Side:
    """A driver with its task, and what it told."""

    def __init__(self, half: session.Session, end: line.End, on_event: Callable[[session.Event], None]) -> None:
        self.end = end
        self.events: list[session.Event] = []
        self.more = asyncio.Event()
        self._then = on_event
        self.driver = driver.Driver(half, end, self._on_event)

    def _on_event(self, event: session.Event) -> None:
        self.events.append(event)
        self.more.set()
        self._then(event)

    async def told(self, kind: type) -> session.Event:
        """Wait for an event of a kind."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            self.more.clear()
            await self.more.wait()


class Both:
    """A laptop's and an agent's driver on one line, with shells that open the session."""

    def __init__(self, agent_key: bytes = playbook.KEY) -> None:
        now_s = asyncio.get_running_loop().time()
        here, there = line.pair()
        self.react: Callable[[session.Event], None] = lambda event: None
        self.laptop = Side(laptop.LaptopSession(playbook.KEY, playbook.LAPTOP_NONCE, now_s), here, self._at_laptop)
        self.agent = Side(agent.AgentSession(agent_key, playbook.AGENT_NONCE, now_s), there, self._at_agent)
        self.ends: dict[str, errors.DevloopError | None] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def _at_laptop(self, event: session.Event) -> None:
        if isinstance(event, messages.AgentHello):
            self.laptop.driver.send(playbook.laptop_hello())
        self.react(event)

    def _at_agent(self, event: session.Event) -> None:
        if isinstance(event, session.Authenticated):
            self.agent.driver.send(playbook.agent_hello())
        elif isinstance(event, messages.LaptopHello):
            self.agent.driver.send(messages.Welcome(event.epoch))

    async def run(self, name: str, side: Side) -> None:
        self.ends.pop(name, None)
        try:
            await side.driver.run()
            self.ends[name] = None
        except errors.DevloopError as error:
            self.ends[name] = error

    async def opened(self) -> None:
        await self.laptop.told(session.Opened)
        await self.agent.told(session.Opened)

    def end_of(self, name: str) -> errors.DevloopError:
        found = self.ends[name]
        assert found is not None, f"{name} ended without an error"
        return found


@contextlib.asynccontextmanager
async def running(both: Both) -> AsyncIterator[Both]:
    """Run both drivers; on leaving, both must end by themselves, in time, with no task left."""
    before = asyncio.all_tasks()
    async with asyncio.timeout(DEADLINE_S):
        async with asyncio.TaskGroup() as group:
            both.tasks["laptop"] = group.create_task(both.run("laptop", both.laptop))
            both.tasks["agent"] = group.create_task(both.run("agent", both.agent))
            yield both
    assert asyncio.all_tasks() == before
    assert both.laptop.end.closed and both.agent.end.closed
    for side in (both.laptop, both.agent):
        assert [isinstance(event, session.Closed) for event in side.events].count(True) <= 1
        if any(isinstance(event, session.Closed) for event in side.events):
            assert isinstance(side.events[-1], session.Closed)


async def test_a_session_opens_and_ends_by_a_bye() -> None:
    async with running(Both()) as both:
        await both.opened()
        both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))
    assert both.ends["laptop"] is None
    assert "enough" in both.end_of("agent").message


async def test_the_agent_hears_that_it_opened_the_session_at_once() -> None:
    both = Both()

    def hold_back(frame: bytes) -> bytes | None:
        # The laptop's proof and hello pass, its ping does not.
        return frame if both.laptop.end.sent <= 3 else None

    both.laptop.end.on_send = hold_back
    async with running(both):
        await both.agent.told(session.Opened)
        both.agent.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))


async def test_a_wrong_key_is_an_error_on_both_sides() -> None:
    async with running(Both(agent_key=b"x" * 32)) as both:
        pass
    assert isinstance(both.end_of("laptop"), errors.AuthError)
    assert isinstance(both.end_of("agent"), errors.AuthError)


@pytest.mark.parametrize("frames", range(8))
@pytest.mark.parametrize("who", ["laptop", "agent"])
async def test_a_line_that_is_cut_anywhere_ends_both(who: str, frames: int) -> None:
    async with running(Both()) as both:
        side = both.laptop if who == "laptop" else both.agent
        count = 0

        def cut_after(frame: bytes) -> bytes | None:
            nonlocal count
            count += 1
            if count > frames:
                side.end.cut()
                return None
            return frame

        side.end.on_send = cut_after
        if frames >= 4:
            await both.opened()
            # The laptop's fifth frame is its ping, and the agent's its pong; these make sure of more on either side.
            for token in range(100, 104):
                both.laptop.driver.session._queue(messages.Ping(token))  # a shell has no way to ask for one
            both.laptop.driver._frames.set()
            side.end.cut()
    for name in ("laptop", "agent"):
        assert isinstance(both.end_of(name), errors.LinkError)


async def test_a_lost_frame_is_the_lines_fault_and_both_know() -> None:
    async with running(Both()) as both:
        await both.opened()
        sent = both.agent.end.sent
        both.agent.end.on_send = lambda frame: frame if both.agent.end.sent > sent + 1 else None
        for pid in (1, 2, 3):
            both.agent.driver.send(messages.AppChanged("running", pid, 1))
    assert isinstance(both.end_of("laptop"), errors.RemoteProtocolError)
    assert "the laptop ended the session" in both.end_of("agent").message


async def test_an_error_of_a_handler_ends_the_link_and_the_peer_is_told() -> None:
    both = Both()

    def refuse(event: session.Event) -> None:
        if isinstance(event, messages.AppChanged):
            raise errors.RemoteProtocolError("nobody may say that", where="AppChanged")

    both.react = refuse
    async with running(both):
        await both.opened()
        both.agent.driver.send(messages.AppChanged("running", 1, 1))
    assert both.end_of("laptop").message == "nobody may say that"
    assert "nobody may say that" in both.end_of("agent").message


async def test_a_bug_in_a_handler_leaves_nothing_behind() -> None:
    both = Both()

    def break_down(event: session.Event) -> None:
        if isinstance(event, messages.AppChanged):
            raise KeyError("a bug")

    both.react = break_down
    with pytest.raises(ExceptionGroup):
        async with running(both):
            await both.opened()
            both.agent.driver.send(messages.AppChanged("running", 1, 1))
            await asyncio.get_running_loop().create_future()
    assert both.laptop.end.closed and both.agent.end.closed


async def test_closed_is_the_last_event_although_a_handler_closes() -> None:
    both = Both()
    order: list[str] = []

    def close(event: session.Event) -> None:
        if isinstance(event, messages.AgentHello):
            order.append("hello begins")
            both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "not you"))
            order.append("hello ends")
        elif isinstance(event, session.Closed):
            order.append("closed")

    both.react = close
    async with running(both):
        pass
    assert order == ["hello begins", "hello ends", "closed"]
    assert "not you" in both.end_of("agent").message


async def test_a_writer_that_is_stuck_does_not_hold_the_close_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CLOSE_TIMEOUT_S", 0.05)
    async with running(Both()) as both:
        await both.opened()
        both.laptop.end.stuck = both.laptop.end.stuck_closing = True
        both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))
    assert both.ends["laptop"] is None
    assert isinstance(both.end_of("agent"), errors.LinkError)


async def test_cancelling_closes_the_connection_and_tells_the_peer() -> None:
    async with running(Both()) as both:
        await both.opened()
        both.tasks["laptop"].cancel()
    assert "laptop" not in both.ends
    assert "the laptop stops" in both.end_of("agent").message


async def test_cancelling_a_stuck_side_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "CLOSE_TIMEOUT_S", 0.05)
    async with running(Both()) as both:
        await both.opened()
        both.laptop.end.stuck = both.laptop.end.stuck_closing = True
        both.tasks["laptop"].cancel()
    assert isinstance(both.end_of("agent"), errors.LinkError)


@pytest.mark.parametrize("end", ["cut", "close", "cancel"])
async def test_those_who_wait_for_credit_are_let_go_at_the_end(end: str) -> None:
    async with running(Both()) as both:
        await both.opened()
        # The agent's shell gives nothing back, so the credit of this stream runs out.
        await both.laptop.driver.can_begin(1)
        both.laptop.driver.send(messages.Begin(16, 1))
        outcomes: list[str] = []

        async def fill() -> None:
            raw = bytes(200_000)
            try:
                while True:
                    await both.laptop.driver.send_bulk(messages.Ops(16, len(raw), messages.Codec.RAW, raw))
            except errors.LinkError as error:
                outcomes.append(error.message)

        async def more() -> None:
            try:
                await both.laptop.driver.can_begin(10**9)
            except errors.LinkError as error:
                outcomes.append(error.message)

        # Garbage for ops would close the session, so nothing reaches the agent.
        both.laptop.end.on_send = lambda frame: None
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(fill()), group.create_task(more())]
            while both.laptop.driver.session.can_send(16, 200_000):
                await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            if end == "cut":
                both.laptop.end.cut()
            elif end == "close":
                both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))
            else:
                both.tasks["laptop"].cancel()
    assert outcomes == ["the link has ended"] * 2


async def test_a_peer_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepalive, "SILENT_AFTER_S", 0.05)
    monkeypatch.setattr(keepalive, "PING_AFTER_S", 0.02)
    async with asyncio.timeout(DEADLINE_S):
        here, there = line.pair()
        half = laptop.LaptopSession(playbook.KEY, playbook.LAPTOP_NONCE, asyncio.get_running_loop().time())
        with pytest.raises(errors.LinkError, match="nothing was heard"):
            await driver.Driver(half, here, lambda event: None).run()
    bye = codec.FrameReader()
    assert isinstance(bye.message(await there.recv()), messages.Nonce)
    said = bye.message(await there.recv())
    assert isinstance(said, messages.Bye) and said.reason is messages.Refusal.SILENT


async def test_what_a_connection_refuses_is_told_to_the_peer() -> None:
    async with running(Both()) as both:
        await both.opened()

        async def refuse() -> bytes:
            raise errors.RemoteProtocolError("a text message where frames are binary")

        both.laptop.end.recv = refuse  # type: ignore[method-assign]
        both.agent.driver.send(messages.AppChanged("running", 1, 1))
    assert isinstance(both.end_of("laptop"), errors.RemoteProtocolError)
    assert "text message" in both.end_of("agent").message


async def test_messages_of_a_link_that_ended_are_dropped() -> None:
    async with running(Both()) as both:
        await both.opened()
        both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))
    assert both.laptop.driver.closed
    both.laptop.driver.send(messages.Begin(16, 1))
    both.laptop.driver.consumed(16, 100)
    both.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "again"))
    with pytest.raises(errors.LinkError):
        await both.laptop.driver.send_bulk(messages.Ops(16, 1, messages.Codec.RAW, b"x"))
