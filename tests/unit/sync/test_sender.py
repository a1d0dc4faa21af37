"""What a batch becomes on the link: checked by the agent's own assembly, its bodies put together again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from devloop import errors
from devloop.core import delta, entry, ops
from devloop.core.entry import Entry
from devloop.fs import body
from devloop.protocol import bodies, commands, inbound, messages, version
from devloop.sync import sender
from devloop.sync.commands import Batch


class Link:
    """Takes what is sent, through the agent's checks."""

    def __init__(self) -> None:
        self.assembly = inbound.BatchAssembly(1, 8 * 1024 * 1024)
        self.sent: list[messages.Message] = []
        self.commands: list[commands.Command] = []
        self.room = asyncio.Event()
        self.room.set()
        self.may_begin = asyncio.Event()
        self.may_begin.set()
        self.asked: list[int] = []
        self.ended = False

    def send(self, message: messages.Control) -> None:
        self.sent.append(message)
        self.commands += self.assembly.feed(message)

    async def send_bulk(self, message: messages.Bulk) -> None:
        await self.room.wait()
        if self.ended:
            raise errors.LinkError("the link has ended")
        self.sent.append(message)
        self.commands += self.assembly.feed(message)

    async def can_begin(self, ops: int) -> None:
        self.asked.append(ops)
        await self.may_begin.wait()

    def content(self, op: int) -> bytes:
        """Return the whole body that came for an op."""
        found = b""
        for command in self.commands:
            if isinstance(command, commands.WriteBody | commands.WriteChunk) and command.op == op:
                found += command.data
        return found

    def kinds(self) -> list[str]:
        return [type(message).__name__ for message in self.sent]


class Bases(dict[bytes, bytes]):
    """A store of bases."""


class Bench:
    """A folder with files, a link, and the sender between them."""

    def __init__(self, folder: Path, pool: Executor) -> None:
        self.folder = folder
        self.link = Link()
        self.bases = Bases()
        self.known: dict[str, Entry] = {}
        self.changed: list[tuple[int, list[int]]] = []
        self.opened: list[body.Body] = []
        self.sender = sender.Sender(
            self.link,
            [self.open],
            self.bases,
            pool,
            version.FEATURES,
            level=lambda: 1,
            piece_bytes=lambda: 60_000,
        )

    def open(self, path: str, expected: Entry) -> body.Body:
        found = body.Body(path, str(self.folder / path), expected)
        self.opened.append(found)
        return found

    def put(self, path: str, content: bytes) -> ops.Op:
        (self.folder / path).write_bytes(content)
        return ops.put(0, path, entry_of(content))

    async def send(self, *changes: ops.Op, number: int = 16) -> None:
        await self.sender.send(Batch(number, changes), lambda root, path: self.known.get(path), self.on_changed)

    def on_changed(self, number: int, indexes: object) -> None:
        assert isinstance(indexes, list)
        self.changed.append((number, sorted(indexes)))


def entry_of(content: bytes) -> Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content))


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
async def bench(tmp_path: Path, pool: Executor) -> Bench:
    return Bench(tmp_path, pool)


async def test_small_files_travel_together_and_large_ones_in_pieces(bench: Bench) -> None:
    contents = [b"a", b"b" * 100, b"", noise(200_000), noise(65_537, 1)]
    await bench.send(*(bench.put(f"f{index}", content) for index, content in enumerate(contents)))
    assert [bench.link.content(index) for index in range(5)] == contents
    assert bench.link.kinds()[0] == "Begin" and bench.link.kinds()[-1] == "Commit"
    assert bench.link.kinds().count("Pack") == 1
    assert not bench.changed
    assert isinstance(bench.link.commands[-1], commands.CommitBatch)
    assert all(each._fd == -1 for each in bench.opened)


async def test_a_file_that_changed_since_is_left_out_and_reported(bench: Bench) -> None:
    kept, lost, large = bench.put("kept", b"kept"), bench.put("lost", b"lost"), bench.put("large", noise(300_000))
    (bench.folder / "lost").write_bytes(b"LOST")
    (bench.folder / "large").write_bytes(noise(300_000, 5))
    await bench.send(kept, lost, large)
    assert bench.link.content(0) == b"kept"
    assert bench.changed == [(16, [1]), (16, [2])]
    assert isinstance(bench.link.commands[-1], commands.CommitBatch)


async def test_a_file_that_is_gone_is_left_out(bench: Bench) -> None:
    op = bench.put("gone", b"gone")
    (bench.folder / "gone").unlink()
    await bench.send(op)
    assert bench.changed == [(16, [0])]
    assert isinstance(bench.link.commands[-1], commands.CommitBatch)


async def test_an_edit_of_a_known_body_goes_as_a_delta(bench: Bench) -> None:
    old = noise(200_000)
    new = old[:100_000] + b"edited" + old[100_000:]
    bench.known["f"] = entry_of(old)
    bench.bases[entry_of(old).digest] = old
    await bench.send(bench.put("f", new))
    (difference,) = [each for each in bench.link.commands if isinstance(each, commands.ApplyDelta)]
    assert delta.apply(old, difference.delta, len(new)) == new
    assert sum(len(each.data) for each in bench.link.sent if isinstance(each, messages.Delta)) < 1000


@pytest.mark.parametrize("why", ["no base", "feature", "changed"])
async def test_without_a_delta_the_body_goes_whole_or_not_at_all(bench: Bench, why: str) -> None:
    old = noise(200_000)
    new = old[:100_000] + b"edited" + old[100_000:]
    bench.known["f"] = entry_of(old)
    if why != "no base":
        bench.bases[entry_of(old).digest] = old
    if why == "feature":
        bench.sender._features = frozenset()
    op = bench.put("f", new)
    if why == "changed":
        (bench.folder / "f").write_bytes(noise(len(new), 9))
    await bench.send(op)
    assert "Delta" not in bench.link.kinds()
    if why == "changed":
        assert bench.changed == [(16, [0])]
    else:
        assert bench.link.content(0) == new


async def test_a_file_that_moves_is_copied_in_the_target(bench: Bench) -> None:
    content = noise(50_000)
    bench.known["old"] = entry_of(content)
    await bench.send(bench.put("new", content), ops.delete(0, "old"))
    (copy,) = [each for each in bench.link.sent if isinstance(each, messages.Copy)]
    assert (copy.op, copy.path) == (0, b"old")
    assert "Pack" not in bench.link.kinds()


async def test_what_is_cancelled_before_it_is_sent_is_left_out(bench: Bench) -> None:
    bench.link.room.clear()
    small, large, other = bench.put("s", b"s"), bench.put("l", noise(500_000)), bench.put("o", b"o")
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(bench.send(small, large, other))
        while not bench.link.asked:
            await asyncio.sleep(0)
        bench.sender.cancel(16, [0, 1, 7])
        bench.sender.cancel(99, [0])
        bench.link.room.set()
        await sending
    assert sorted(index for _, indexes in bench.changed for index in indexes) == [0, 1]
    assert bench.link.content(2) == b"o"
    assert isinstance(bench.link.commands[-1], commands.CommitBatch)


async def test_a_large_body_is_cancelled_between_its_pieces(bench: Bench) -> None:
    op = bench.put("l", noise(500_000))
    cancelled = False
    take = bench.link.send_bulk

    async def send_bulk(message: messages.Bulk) -> None:
        nonlocal cancelled
        await take(message)
        if isinstance(message, messages.Chunk) and not cancelled:
            cancelled = True
            bench.sender.cancel(16, [0])

    bench.link.send_bulk = send_bulk  # type: ignore[method-assign]
    sender.READ_BYTES, before = 60_000, sender.READ_BYTES  # type: ignore[misc]
    try:
        await bench.send(op)
    finally:
        sender.READ_BYTES = before  # type: ignore[misc]
    assert bench.changed == [(16, [0])]
    assert bench.link.kinds()[-2:] == ["Cancel", "Commit"]
    assert all(each._fd == -1 for each in bench.opened)


async def test_batches_begin_in_the_order_of_their_numbers(bench: Bench) -> None:
    bench.link.may_begin.clear()
    may_begin = asyncio.Event()

    async def can_begin(ops: int) -> None:
        # The first has many ops and finds no room yet; the second would.
        if ops > 1:
            await may_begin.wait()

    bench.link.can_begin = can_begin  # type: ignore[method-assign]
    first = bench.send(bench.put("a", b"a"), bench.put("b", b"b"), number=16)
    second = bench.send(bench.put("c", b"c"), number=17)
    async with asyncio.TaskGroup() as group:
        group.create_task(first)
        group.create_task(second)
        for _ in range(20):
            await asyncio.sleep(0)
        assert bench.link.sent == []
        may_begin.set()
    begins = [message.batch for message in bench.link.sent if isinstance(message, messages.Begin)]
    assert begins == [16, 17]


async def test_bodies_that_the_agent_needs_after_all_go_whole(bench: Bench) -> None:
    old = noise(200_000)
    new = old + b"more"
    bench.known["f"] = entry_of(old)
    bench.bases[entry_of(old).digest] = old
    op = bench.put("f", new)
    await bench.send(op)
    bench.link.assembly.need(messages.Need(16, (0,)))
    await bench.sender.send_whole(Batch(16, (op,)), (0,), bench.on_changed)
    assert bench.link.content(0) == new


async def test_the_end_of_the_link_ends_the_sending(bench: Bench) -> None:
    bench.link.ended = True
    with pytest.raises(errors.LinkError):
        await bench.send(bench.put("f", b"f"))
    assert bench.sender._under_way == {}


@pytest.mark.parametrize("moment", ["opening", "reading"])
async def test_a_cancelled_sender_closes_its_file_after_the_thread_has_let_go(bench: Bench, moment: str) -> None:
    op = bench.put("l", noise(500_000))
    reached, go_on = threading.Event(), threading.Event()
    used_closed: list[bool] = []

    class Slow(body.Body):
        def read(self, limit: int) -> bytes:
            if moment == "reading":
                reached.set()
                go_on.wait(10)
                used_closed.append(self._fd < 0)
            return super().read(limit)

    def opening(path: str, expected: Entry) -> body.Body:
        found = Slow(path, str(bench.folder / path), expected)
        bench.opened.append(found)
        if moment == "opening":
            reached.set()
            go_on.wait(10)
        return found

    bench.sender._openers = [opening]
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(bench.send(op))
        await asyncio.to_thread(reached.wait, 10)
        sending.cancel()
        await asyncio.sleep(0)
        go_on.set()
    assert sending.cancelled()
    assert [each._fd for each in bench.opened] == [-1]
    assert True not in used_closed


async def test_a_batch_of_many_small_files_is_read_in_groups(bench: Bench) -> None:
    contents = [noise(60_000, seed) for seed in range(40)]
    await bench.send(*(bench.put(f"f{index}", content) for index, content in enumerate(contents)))
    assert [bench.link.content(index) for index in range(40)] == contents
    assert all(
        len(message.data) <= bodies.MAX_PACKED_BYTES + 1000
        for message in bench.link.sent
        if isinstance(message, messages.Pack)
    )


async def test_folders_links_and_deletions_need_no_bodies(bench: Bench) -> None:
    await bench.send(ops.put(0, "d", entry.folder()), ops.put(0, "l", entry.link(b"d")), ops.delete(0, "x"))
    assert bench.link.kinds() == ["Begin", "Ops", "Commit"]
    assert os.listdir(bench.folder) == []
