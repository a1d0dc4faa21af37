"""Sends a batch: its ops, the bodies they need, the commit.

Bodies are read and compressed in a worker thread, piece by piece, and go out as the link has credit for them. A body
that the target can make itself (a copy of another managed file, a delta on what the path holds now) is not sent
unless the agent asks for it after all. A file that changed since it was scanned is left out and reported: its
path comes again with the next batch.

Given by the daemon: the link, what opens the syncs' files, the store of delta bases. Knows no websockets.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Final, Protocol, TypeVar

import msgspec

from devloop.core import ops, paths
from devloop.core.entry import Entry
from devloop.fs import body
from devloop.protocol import bodies, messages
from devloop.sync.commands import Batch

# What one visit to the worker thread reads at most: long enough to keep compression busy, short enough that a
# cancelled body stops soon and memory stays small.
READ_BYTES: Final = 1024 * 1024

# A batch this small is not worth a compressor's set-up.
PLAIN_BYTES: Final = 4 * 1024

# A batch this small is read and encoded in one visit to the worker thread: each visit costs a save some 0.1 ms.
ONE_VISIT_BYTES: Final = 64 * 1024
ONE_VISIT_OPS: Final = 64

T = TypeVar("T")

Opener = Callable[[str, Entry], body.Body]
"""Opens one sync's file, by path and the entry that it must be; raises BodyChanged."""


class Link(Protocol):
    """What the sender needs of a link."""

    def send(self, message: messages.Control) -> None:
        """Send a control message."""

    async def send_bulk(self, message: messages.Bulk) -> None:
        """Send a bulk message once there is credit; raise LinkError when the link ends."""

    async def can_begin(self, ops: int) -> None:
        """Return when a batch of so many ops may begin; raise LinkError when the link ends."""


class Bases(Protocol):
    """The store of bodies that were acked last."""

    def get(self, digest: bytes) -> bytes | None:
        """Return a body, or None."""


class _Sending:
    """One batch on its way."""

    def __init__(
        self,
        batch: Batch,
        known: Callable[[int, str], Entry | None],
        on_changed: Callable[[int, Sequence[int]], None],
        level: int,
    ) -> None:
        self.batch = batch
        self.known = known
        self.on_changed = on_changed
        self.encoder = bodies.Encoder(level)
        self.waiting = {index for index, op in enumerate(batch.ops) if op.body_bytes}
        self.unwanted: set[int] = set()


class _Prepared(msgspec.Struct, frozen=True):
    """A small batch as it goes: its ops, the sources of what the target has, the bodies, and what will not come."""

    listing: list[messages.Ops]
    copies: dict[int, tuple[int, str]]
    packs: list[messages.Pack]
    changed: list[int]


class Sender:
    """Sends batches over one link.

    Args:
        link: The open link.
        openers: One for each sync.
        bases: The delta bases.
        executor: Where files are read and bodies compressed.
        features: What both sides can do.
        level: Returns the compression level that suits the link now.
        piece_bytes: Returns how much one frame should hold now.
    """

    def __init__(
        self,
        link: Link,
        openers: Sequence[Opener],
        bases: Bases,
        executor: Executor,
        features: frozenset[str],
        *,
        level: Callable[[], int],
        piece_bytes: Callable[[], int],
    ) -> None:
        self._link = link
        self._openers = openers
        self._bases = bases
        self._executor = executor
        self._features = features
        self._level = level
        self._piece_bytes = piece_bytes
        self._under_way: dict[int, _Sending] = {}
        self._begins = asyncio.Lock()

    async def send(
        self,
        batch: Batch,
        known: Callable[[int, str], Entry | None],
        on_changed: Callable[[int, Sequence[int]], None],
    ) -> None:
        """Send a whole batch.

        Args:
            batch: The batch.
            known: What the target holds at (root, path) now.
            on_changed: Told the batch and the ops whose bodies will not come.

        Raises:
            LinkError: The link ended.
        """
        total_bytes = sum(op.body_bytes for op in batch.ops)
        sending = _Sending(batch, known, on_changed, self._level() if total_bytes > PLAIN_BYTES else 0)
        self._under_way[batch.number] = sending
        try:
            # Batches begin in the order of their numbers, also where a later one would find room before an earlier.
            async with self._begins:
                await self._link.can_begin(len(batch.ops))
                # A small batch is read first: then all of it leaves together, for one wake-up at each hop on the way.
                small = total_bytes <= ONE_VISIT_BYTES and len(batch.ops) <= ONE_VISIT_OPS
                ready = await self._prepared(sending) if small else None
                self._link.send(messages.Begin(batch.number, len(batch.ops)))
            if ready is not None:
                await self._all_at_once(sending, ready)
            else:
                for message in await self._in_thread(lambda: list(sending.encoder.ops(batch.number, batch.ops))):
                    await self._link.send_bulk(message)
                await self._bodies(sending)
        finally:
            del self._under_way[batch.number]
        self._link.send(messages.Commit(batch.number, batch.hooks, batch.reload))

    async def send_whole(
        self, batch: Batch, indexes: Sequence[int], on_changed: Callable[[int, Sequence[int]], None]
    ) -> None:
        """Send bodies whole that the agent could not make itself.

        Args:
            batch: The batch, whose commit may be under way already.
            indexes: The ops' numbers.
            on_changed: As for `send`.

        Raises:
            LinkError: The link ended.
        """
        await self._whole(_Sending(batch, lambda *_: None, on_changed, self._level()), indexes)

    def cancel(self, number: int, indexes: Iterable[int]) -> None:
        """Leave these bodies out if they are not sent yet; what is left out is reported to `on_changed`."""
        sending = self._under_way.get(number)
        if sending is not None:
            sending.unwanted.update(sending.waiting.intersection(indexes))

    # ---- bodies ---------------------------------------------------------------------------------------------

    async def _prepared(self, sending: _Sending) -> _Prepared:
        """Make the messages of a small batch: its bodies are too small for deltas, and can be cancelled no more."""
        batch = sending.batch
        need = sorted(sending.waiting)
        sending.waiting.clear()
        copies = self._copies(sending, need)
        rest = [index for index in need if index not in copies]

        def prepare() -> _Prepared:
            listing = list(sending.encoder.ops(batch.number, batch.ops))
            packs, changed = self._packs(sending, rest)
            return _Prepared(listing, copies, packs, changed)

        return await self._in_thread(prepare)

    async def _all_at_once(self, sending: _Sending, ready: _Prepared) -> None:
        """Send what was prepared."""
        for message in ready.listing:
            await self._link.send_bulk(message)
        for index, (root, path) in ready.copies.items():
            self._link.send(messages.Copy(sending.batch.number, index, root, paths.to_wire(path)))
        for pack in ready.packs:
            await self._link.send_bulk(pack)
        self._leave_out(sending, ready.changed)

    async def _bodies(self, sending: _Sending) -> None:
        need = sorted(sending.waiting)
        copies = self._copies(sending, need)
        rest: list[int] = []
        for index in need:
            source = copies.get(index)
            if source is not None:
                sending.waiting.discard(index)
                root, path = source
                self._link.send(messages.Copy(sending.batch.number, index, root, paths.to_wire(path)))
            elif index in sending.unwanted or not await self._delta(sending, index):
                rest.append(index)
        await self._whole(sending, rest)

    def _copies(self, sending: _Sending, need: Sequence[int]) -> dict[int, tuple[int, str]]:
        """Return the sources of bodies that the target has: at the path itself, or where this batch deletes it."""
        if "copy" not in self._features:
            return {}
        gone: dict[bytes, tuple[int, str]] = {}
        for op in sending.batch.ops:
            entry = sending.known(op.root, op.path) if op.action is ops.Action.DELETE else None
            if entry is not None and entry.digest:
                gone[entry.digest] = (op.root, op.path)
        found: dict[int, tuple[int, str]] = {}
        for index in need:
            op = sending.batch.ops[index]
            assert op.entry is not None
            here = sending.known(op.root, op.path)
            if here is not None and here.digest == op.entry.digest:
                # Only its mode changes.
                found[index] = (op.root, op.path)
            elif op.entry.digest in gone:
                found[index] = gone[op.entry.digest]
        return found

    async def _delta(self, sending: _Sending, index: int) -> bool:
        """Send a body as a delta on what the path holds now, where that is possible and worth it."""
        op = sending.batch.ops[index]
        if "delta" not in self._features or not _has_delta_size(op.body_bytes):
            return False
        old = sending.known(op.root, op.path)
        if old is None or not _has_delta_size(old.size):
            return False
        made = await self._in_thread(functools.partial(self._make_delta, sending.batch.number, index, op, old))
        if made:
            sending.waiting.discard(index)
        for message in made:
            await self._link.send_bulk(message)
        return bool(made)

    def _make_delta(self, number: int, index: int, op: ops.Op, old: Entry) -> list[messages.Delta]:
        base = self._bases.get(old.digest)
        content = self._read_whole(op) if base is not None else None
        if base is None or content is None:
            return []
        return bodies.deltas(number, index, old.digest, base, content, self._piece_bytes())

    async def _whole(self, sending: _Sending, indexes: Sequence[int]) -> None:
        batch = sending.batch
        small = [index for index in indexes if batch.ops[index].body_bytes <= bodies.MAX_PACKED_BYTES]
        large = [index for index in indexes if batch.ops[index].body_bytes > bodies.MAX_PACKED_BYTES]
        await self._small_ones(sending, _groups(batch, small))
        for index in large:
            if index in sending.unwanted or not await self._chunks(sending, index):
                self._leave_out(sending, [index])
            sending.waiting.discard(index)

    async def _small_ones(self, sending: _Sending, groups: Iterator[list[int]]) -> None:
        """Send small bodies group by group; the next group is read while one is sent."""
        reading = self._read_next(sending, groups)
        while reading is not None:
            packs, left_out = await asyncio.wrap_future(reading)
            reading = self._read_next(sending, groups)
            for message in packs:
                await self._link.send_bulk(message)
            self._leave_out(sending, left_out)

    def _read_next(
        self, sending: _Sending, groups: Iterator[list[int]]
    ) -> Future[tuple[list[messages.Pack], list[int]]] | None:
        """Begin to read the next group's bodies; its outcome is their packs, and which of them will not come.

        What is begun opens and closes its own files, so it may be left to its end by a sender that is cancelled.
        """
        group = next(groups, None)
        if group is None:
            return None
        # From here on it is too late to cancel what is in this group.
        sending.waiting.difference_update(group)
        dropped = [index for index in group if index in sending.unwanted]
        wanted = [index for index in group if index not in sending.unwanted]

        def read() -> tuple[list[messages.Pack], list[int]]:
            packs, changed = self._packs(sending, wanted)
            return packs, [*dropped, *changed]

        return self._executor.submit(read)

    def _packs(self, sending: _Sending, indexes: Sequence[int]) -> tuple[list[messages.Pack], list[int]]:
        found: list[tuple[int, bytes]] = []
        changed: list[int] = []
        for index in indexes:
            content = self._read_whole(sending.batch.ops[index])
            if content is None:
                changed.append(index)
            else:
                found.append((index, content))
        return list(sending.encoder.packs(sending.batch.number, found, self._piece_bytes())), changed

    def _read_whole(self, op: ops.Op) -> bytes | None:
        """Return a file's content, or None if it is not what the op says any more."""
        assert op.entry is not None
        try:
            with self._openers[op.root](op.path, op.entry) as opened:
                pieces = []
                while piece := opened.read(READ_BYTES):
                    pieces.append(piece)
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except body.BodyChanged:
            return None

    async def _chunks(self, sending: _Sending, index: int) -> bool:
        """Send one large body piece by piece; say whether it was sent whole."""
        op = sending.batch.ops[index]
        assert op.entry is not None
        try:
            opening = functools.partial(self._openers[op.root], op.path, op.entry)
            with await self._in_thread(opening, unwanted=body.Body.close) as opened:
                offset = 0
                while offset < op.entry.size:
                    if index in sending.unwanted:
                        return False
                    made = await self._in_thread(
                        functools.partial(_read_chunks, opened, sending, index, offset, self._piece_bytes())
                    )
                    for message in made:
                        await self._link.send_bulk(message)
                        offset += message.raw_size
        except body.BodyChanged:
            return False
        return True

    def _leave_out(self, sending: _Sending, indexes: Sequence[int]) -> None:
        if indexes:
            self._link.send(messages.Cancel(sending.batch.number, tuple(sorted(indexes))))
            sending.on_changed(sending.batch.number, indexes)

    async def _in_thread(self, work: Callable[[], T], *, unwanted: Callable[[T], None] = lambda _: None) -> T:
        """Run something in a worker thread.

        Args:
            work: What to run.
            unwanted: Called with the outcome if nobody takes it any more.

        Cancellation: what runs cannot be stopped, and uses files that its caller closes, so its end is awaited.
        """
        running = self._executor.submit(work)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.cancelled():
                await asyncio.wait([asyncio.wrap_future(running)])
                if not running.cancelled() and running.exception() is None:
                    unwanted(running.result())
            raise


def _has_delta_size(size: int) -> bool:
    return bodies.MIN_DELTA_BYTES <= size <= bodies.MAX_DELTA_BYTES


def _read_chunks(
    opened: body.Body, sending: _Sending, index: int, offset: int, piece_bytes: int
) -> list[messages.Chunk]:
    found: list[messages.Chunk] = []
    read = 0
    while read < READ_BYTES and (piece := opened.read(piece_bytes)):
        found.append(sending.encoder.chunk(sending.batch.number, index, offset + read, piece))
        read += len(piece)
    return found


def _groups(batch: Batch, indexes: Sequence[int]) -> Iterator[list[int]]:
    """Yield runs of ops whose bodies together are about as large as one read."""
    group: list[int] = []
    size = 0
    for index in indexes:
        group.append(index)
        size += batch.ops[index].body_bytes
        if size >= READ_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
