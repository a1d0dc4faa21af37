"""One link from its proof to its end, over a line in memory, to an agent that is a fake but for its disk."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from agent import carriage, conversation, dialler, dialrules, worker
from devloop import errors
from devloop.core import entry, ops
from devloop.protocol import answers, bodies, messages
from devloop.wire import driver
from tests.protocol import playbook
from tests.unit.agent import linked, target
from tests.unit.wire import line

T = TypeVar("T")


class Host:
    """The agent as a conversation knows it."""

    def __init__(self, place: target.Target) -> None:
        self.place = place
        self.thread = ThreadPoolExecutor(1)
        self.log: list[str] = []
        self.refusal: messages.Bye | None = None
        self.hold_disk = threading.Event()
        self.hold_disk.set()
        self.hold_answer = asyncio.Event()
        self.hold_answer.set()
        self.reached = asyncio.Event()
        self.acked: list[worker.Acked] = []
        self.answered: Callable[[messages.Request], Iterator[messages.Part] | None] = lambda request: None

    async def hello(self) -> messages.AgentHello:
        self.log.append("hello")
        return playbook.agent_hello(1)

    async def claim(
        self, asking: conversation.Conversation, told: messages.AgentHello, hello: messages.LaptopHello
    ) -> messages.Bye | None:
        self.log.append("claim")
        return self.refusal

    def opened(self, talking: conversation.Conversation) -> None:
        self.log.append("opened")

    def closed(self, talking: conversation.Conversation) -> None:
        self.log.append("closed")

    def set_rules(self, message: messages.Rules) -> None:
        answers.message_to_rules(message)
        self.log.append("rules")

    def applied(self, acked: worker.Acked) -> None:
        self.acked.append(acked)

    def new_worker(self) -> worker.Worker:
        return worker.Worker(self.place.applier)

    async def in_thread(self, work: Callable[[], T]) -> T:
        def held() -> T:
            self.hold_disk.wait(10)
            return work()

        return await asyncio.get_running_loop().run_in_executor(self.thread, held)

    def carriage(self, link: driver.Driver, group: asyncio.TaskGroup) -> carriage.Carriage:
        return carriage.Carriage(link, group, dialler.Dialler(dialrules.Place(), ()), 0)

    async def answer(self, request: messages.Request) -> Iterator[messages.Part] | None:
        self.reached.set()
        await self.hold_answer.wait()
        return self.answered(request)


class Link:
    """A conversation and its laptop."""

    def __init__(self, host: Host, group: asyncio.TaskGroup, key: bytes) -> None:
        self.host = host
        here, self.end = line.pair()
        self.talk = conversation.Conversation(host, linked.KEY, self.end)
        self.laptop = linked.Laptop(here, linked.hello(), key)
        self.talking = group.create_task(self.talk.run())
        self.listening = group.create_task(self.laptop.run())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[target.Target]:
    with target.opened(tmp_path) as opened:
        yield opened


@contextlib.asynccontextmanager
async def talking(place: target.Target, key: bytes = linked.KEY) -> AsyncIterator[Link]:
    """Run a conversation; on leaving it must end by itself, with nothing staged and no task left."""
    host = Host(place)
    before = asyncio.all_tasks()
    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            yield Link(host, group, key)
    finally:
        host.hold_disk.set()
        host.thread.shutdown()
    assert asyncio.all_tasks() == before
    assert host.log[-1] == "closed"
    assert place.staged() == []


def goodbye(link: Link) -> None:
    link.laptop.driver.close(messages.Bye(messages.Refusal.STOPPING, "enough"))


async def test_a_session_opens_works_and_ends(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        ack = await link.laptop.batch({"a/b": "content"})
        assert (ack.batch, ack.problems, ack.refused) == (16, (), "")
        assert ack.digests == (place.store.tree.digest,)
        goodbye(link)
    assert link.host.log == ["hello", "claim", "opened", "closed"]
    assert place.disk() == {"a": target.D, "a/b": "content"}
    assert [each.batch for each in link.host.acked] == [16]


async def test_nothing_is_told_to_who_does_not_know_the_key(place: target.Target) -> None:
    async with talking(place, key=b"x" * 64) as link:
        pass
    assert isinstance(link.laptop.error, errors.AuthError)
    assert link.host.log == ["closed"]


async def test_a_refused_claim_ends_the_link_with_the_reason(place: target.Target) -> None:
    async with talking(place) as link:
        link.host.refusal = messages.Bye(messages.Refusal.OWNED, "it is Ann's", owner="ann@here")
    assert isinstance(link.laptop.error, errors.OwnedError)
    assert link.laptop.error.owner == "ann@here"
    assert link.host.log == ["hello", "claim", "closed"]


async def test_credit_comes_back_so_that_a_large_body_arrives(place: target.Target) -> None:
    big = bytes(range(256)) * 40_000
    async with talking(place) as link:
        await link.laptop.opened()
        op = ops.put(0, "big", linked.file_entry(big))
        number = link.laptop.begin(op)
        driver = link.laptop.driver
        encoder = bodies.Encoder(0)
        for listed in encoder.ops(number, [op]):
            await driver.send_bulk(listed)
        for offset in range(0, len(big), 200_000):
            await driver.send_bulk(encoder.chunk(number, 0, offset, big[offset : offset + 200_000]))
        driver.send(messages.Commit(number))
        await link.laptop.told(messages.Ack)
        goodbye(link)
    assert (place.data / "big").read_bytes() == big


async def test_what_the_disk_has_begun_is_followed_up_although_the_link_ends(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        link.host.hold_disk.clear()
        await link.laptop.commit({"a": "1"})
        await link.laptop.commit({"b": "2"})
        # Both commits are known to the agent, the first is in the thread's hands.
        while not (link.talk._commands or link.host.thread._work_queue.qsize()):
            await asyncio.sleep(0)
        link.end.cut()
        await link.listening
        link.host.hold_disk.set()
    applied = [each.batch for each in link.host.acked]
    assert place.disk() == ({"a": "1"} if applied == [16] else {})
    assert applied in ([16], [])


async def test_a_broken_rule_of_the_disk_ends_the_link_and_tells_the_laptop(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        # Roots are checked by the protocol; paths that are named twice only by the disk's side.
        op = ops.put(0, "a", entry.folder())
        number = link.laptop.begin(op, op)
        for listed in bodies.Encoder().ops(number, [op, op]):
            await link.laptop.driver.send_bulk(listed)
        link.laptop.driver.send(messages.Commit(number))
    assert link.laptop.error is not None and "names a path twice" in link.laptop.error.message
    assert link.host.acked == []


async def test_rules_that_are_none_end_the_link_and_tell_the_laptop(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        link.laptop.driver.send(messages.Rules(0, b"", 100, b"garbage"))
    assert link.laptop.error is not None and "not a set of rules" in link.laptop.error.message


async def test_answers_have_parts_and_an_end(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        link.host.answered = lambda request: answers.content_to_parts(request.request, [b"a" * 300_000, b"b"])
        done = await link.laptop.ask(messages.Ask.MANIFEST)
        assert done.error == ""
        content = b"".join(answers.part_to_content(part) for part in link.laptop.parts(done.request))
        assert content == b"a" * 300_000 + b"b"
        goodbye(link)


@pytest.mark.parametrize("error", [errors.AgentError("it may not be"), OSError(5, "it may not be")])
async def test_a_question_that_cannot_be_answered_says_why(place: target.Target, error: Exception) -> None:
    def fail(request: messages.Request) -> None:
        raise error

    async with talking(place) as link:
        await link.laptop.opened()
        link.host.answered = fail
        done = await link.laptop.ask(messages.Ask.SWEEP)
        assert done.error == "it may not be"
        assert (await link.laptop.batch({"a": "1"})).batch
        goodbye(link)


async def test_an_answer_that_is_being_made_ends_with_the_link(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        link.host.hold_answer.clear()
        link.laptop.driver.send(messages.Request(16, messages.Ask.SWEEP, 0, b"", b""))
        await link.host.reached.wait()
        goodbye(link)


async def test_cancelling_tells_the_laptop(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        link.talking.cancel()
    assert link.laptop.error is not None and "the agent stops" in link.laptop.error.message


async def test_ending_a_link_drops_what_waits_before_it_returns(place: target.Target) -> None:
    async with talking(place) as link:
        await link.laptop.opened()
        op = ops.put(0, "a", target.entry_of("1"))
        link.laptop.begin(op)
        await link.laptop.batch({"b": "2"})
        await link.talk.end(messages.Bye(messages.Refusal.OWNED, "somebody else's now", owner="ann@here"))
        assert place.applier._batches == {}
    assert isinstance(link.laptop.error, errors.OwnedError)


async def test_messages_for_a_link_that_is_not_open_are_dropped(place: target.Target) -> None:
    async with talking(place) as link:
        link.talk.send(messages.AppChanged("running", 1, 1))
        await link.laptop.opened()
        link.talk.send(messages.AppChanged("running", 2, 1))
        assert (await link.laptop.told(messages.AppChanged)).pid == 2
        await link.talk.send_output(messages.Output(messages.OUTPUT_STREAM, "app", False, 0, b"line\n"))
        assert (await link.laptop.told(messages.Output)).data == b"line\n"
        goodbye(link)
    link.talk.send(messages.AppChanged("running", 3, 1))
    with pytest.raises(errors.LinkError):
        await link.talk.send_output(messages.Output(messages.OUTPUT_STREAM, "app", False, 0, b"late\n"))
