"""Batches that come in: the good ones become commands, the bad ones end the session."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from typing import Any

import msgspec
import pytest

from devloop import errors
from devloop.core import delta, entry, ops, zstd
from devloop.protocol import bodies, commands, inbound, messages
from tests.unit.protocol import samples

RAW = messages.Codec.RAW
COST = messages.FRAME_COST_BYTES


def file(content: bytes) -> entry.Entry:
    return entry.file(hashlib.sha256(content).digest(), len(content))


def wire(path: bytes = b"a", root: int = 0, action: int = 1, what: entry.Entry | None = None) -> messages.WireOp:
    return messages.WireOp(action, root, path, what or file(b"hello"))


def listing(*rows: object, batch: int = 16) -> messages.Ops:
    raw = msgspec.msgpack.encode(rows)
    return messages.Ops(batch, len(raw), RAW, raw)


class Feed:
    """An assembly with two roots, and the commands of everything that it was fed."""

    def __init__(self) -> None:
        self.assembly = inbound.BatchAssembly(2, 8 << 20)
        self.commands: list[commands.Command] = []

    def __call__(self, *sent: messages.Message) -> list[commands.Command]:
        made: list[commands.Command] = []
        for message in sent:
            made += self.assembly.feed(message)
        self.commands += made
        return made

    def refuses(self, message: messages.Message, words: str = ".", where: str = "") -> None:
        with pytest.raises(errors.RemoteProtocolError, match=words) as caught:
            self.assembly.feed(message)
        assert caught.value.where == where if where else caught.value.where


def begun(*changes: ops.Op, batch: int = 16) -> Feed:
    """Return a feed with one batch of these ops."""
    feed = Feed()
    feed(messages.Begin(batch, len(changes)), *bodies.Encoder(0).ops(batch, changes))
    return feed


def puts(*contents: bytes) -> list[ops.Op]:
    return [ops.put(0, f"f{number}", file(content)) for number, content in enumerate(contents)]


def pack(*pairs: tuple[int, bytes], batch: int = 16) -> messages.Pack:
    raw = b"".join(content for _, content in pairs)
    return messages.Pack(batch, tuple(op for op, _ in pairs), len(raw), RAW, raw)


def chunk(offset: int, raw: bytes, op: int = 0, batch: int = 16) -> messages.Chunk:
    return messages.Chunk(batch, op, offset, len(raw), RAW, raw)


def test_a_batch_becomes_commands_in_order() -> None:
    changes = [*puts(b"hello", b"world!"), ops.delete(1, "gone"), ops.put(0, "empty", file(b""))]
    feed = begun(*changes)
    feed(pack((1, b"world!"), (0, b"hello")), messages.Commit(16, reload=False))
    begin, added, one, two, commit = feed.commands
    assert begin == commands.BeginBatch(16, 4)
    assert isinstance(added, commands.AddOps)
    assert (added.first, list(added.ops)) == (0, changes)
    assert one == commands.WriteBody(16, 1, b"world!", 0)
    assert two == commands.WriteBody(16, 0, b"hello", 11 + COST)
    assert commit == commands.CommitBatch(16, (), False)


def test_everything_that_came_is_given_back_once() -> None:
    contents = [os.urandom(700), b"text " * 300, os.urandom(300_000)]
    encoder = bodies.Encoder(1)
    changes = puts(*contents)
    sent: list[messages.Bulk] = [*encoder.ops(16, changes), *encoder.packs(16, enumerate(contents[:2]))]
    sent += [encoder.chunk(16, 2, at, contents[2][at : at + 100_000]) for at in range(0, 300_000, 100_000)]
    feed = Feed()
    feed(messages.Begin(16, 3), *sent, messages.Commit(16))
    credited = sum(getattr(command, "credit", 0) for command in feed.commands)
    assert credited == sum(messages.cost(message) for message in sent)
    chunks = [command for command in feed.commands if isinstance(command, commands.WriteChunk)]
    assert b"".join(each.data for each in chunks) == contents[2]
    assert [each.last for each in chunks] == [False, False, True]


def test_ops_come_in_any_number_of_messages_and_bodies_between_them() -> None:
    feed = Feed()
    feed(messages.Begin(16, 2), listing(wire(b"a")), pack((0, b"hello")), listing(wire(b"b")))
    feed.refuses(messages.Commit(16), "1 bodies have not come")
    assert feed(pack((1, b"world")), messages.Commit(16))[-1] == commands.CommitBatch(16, (), True)


def test_batches_interleave_and_overtake() -> None:
    feed = begun(*puts(bytes(500_000)))
    feed(chunk(0, bytes(200_000)))
    feed(messages.Begin(17, 1), *bodies.Encoder(0).ops(17, puts(b"edit")), pack((0, b"edit"), batch=17))
    assert feed(messages.Commit(17)) == [commands.CommitBatch(17, (), True)]
    assert feed.assembly.low_water_with(17) == 15
    feed.assembly.acked(17)
    assert feed.assembly.low_water == 15
    feed(chunk(200_000, bytes(200_000)), chunk(400_000, bytes(100_000)), messages.Commit(16))
    assert feed.assembly.low_water_with(16) == 17
    feed.assembly.acked(16)
    assert feed.assembly.low_water == 17


def test_an_aborted_batch_is_forgotten() -> None:
    feed = begun(*puts(b"hello"))
    assert feed(messages.Abort(16)) == [commands.AbortBatch(16)]
    assert feed.assembly.low_water == 16
    feed.refuses(pack((0, b"hello")), "not under way")


@pytest.mark.parametrize(
    "path",
    [
        b"../x", b"/x", b"a/../../x", b"a\0b", b".git/x", b"", b"a//b", b"a/", b"./a", b"a/.", b"..", b"/",
        b"a/.git/config", b".devloop/x", b"x" * 256, b"a/" * 2100 + b"a",
    ],
)  # fmt: skip
def test_a_path_that_is_not_safe_is_refused(path: bytes) -> None:
    feed = Feed()
    feed(messages.Begin(16, 1))
    feed.refuses(listing(wire(path)), where="WireOp.path")
    feed = begun(*puts(b"hello"))
    feed.refuses(messages.Copy(16, 0, 0, path), where="Copy.path")


def test_a_path_that_is_not_utf_8_is_kept() -> None:
    feed = Feed()
    (_, added) = feed(messages.Begin(16, 1), listing(wire(b"caf\xe9")))
    assert isinstance(added, commands.AddOps)
    assert added.ops[0].path == "caf\udce9"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (wire(root=2), "root 2 of 2"),
        (wire(action=0), "no action 0"),
        (wire(action=9), "no action 9"),
        (messages.WireOp(1, 0, b"a"), "not an entry"),
        (messages.WireOp(3, 0, b"a"), "not an entry"),
        (wire(action=2), "DELETE with an entry"),
        (wire(action=4), "FORGET with an entry"),
        (wire(what=entry.Entry(entry.Kind.FILE, size=-1, digest=bytes(32))), "not an entry"),
        (wire(what=entry.Entry(entry.Kind.FILE, size=2**63, digest=bytes(32))), "not an entry"),
        (wire(what=entry.Entry(entry.Kind.FILE, size=1, digest=b"short")), "not an entry"),
        (wire(what=entry.Entry(entry.Kind.FOLDER, size=1)), "not an entry"),
        (wire(what=entry.Entry(entry.Kind.LINK)), "not an entry"),
        ([7, 0, b"a"], "no action 7"),
        ([1, -1, b"a"], "not a list of ops"),
        (["put", 0, b"a"], "not a list of ops"),
        ("op", "not a list of ops"),
    ],
)
def test_an_op_that_makes_no_sense_is_refused(row: Any, words: str) -> None:
    feed = Feed()
    feed(messages.Begin(16, 1))
    feed.refuses(listing(row), words)


def test_a_billion_ops_are_refused_before_any_comes() -> None:
    feed = Feed()
    feed.refuses(messages.Begin(16, 10**9), "1000000000 ops announced")
    feed(messages.Begin(16, 1_500_000))
    feed.refuses(messages.Begin(17, 500_001), "may be under way")


def test_announcing_ops_costs_nothing() -> None:
    tracemalloc.start()
    try:
        Feed()(messages.Begin(16, inbound.MAX_OPS))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_more_or_fewer_ops_than_announced_are_refused() -> None:
    feed = Feed()
    feed(messages.Begin(16, 2))
    feed.refuses(listing(), "0 ops came")
    feed.refuses(listing(wire(b"a"), wire(b"b"), wire(b"c")), "0 . 3 ops came, 2 were announced")
    feed(listing(wire(b"a")))
    feed.refuses(messages.Commit(16), "1 of 2 ops")


@pytest.mark.parametrize("number", [0, 15, 16])
def test_batch_numbers_rise(number: int) -> None:
    feed = begun()
    feed.refuses(messages.Begin(number, 0), "after batch 16")


def test_batches_under_way_are_bounded() -> None:
    feed = Feed()
    for number in range(16, 16 + inbound.MAX_BATCHES):
        feed(messages.Begin(number, 1))
    feed.refuses(messages.Begin(100, 1), "batches under way")


@pytest.mark.parametrize(
    "message",
    [
        listing(wire(), batch=17),
        pack((0, b"hello"), batch=17),
        chunk(0, b"hello", batch=17),
        messages.Delta(17, 0, bytes(32), True, b""),
        messages.Copy(17, 0, 0, b"x"),
        messages.Cancel(17, (0,)),
        messages.Commit(17),
        messages.Abort(17),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_of_a_batch_that_was_not_begun_are_refused(message: messages.Message) -> None:
    begun(*puts(b"hello")).refuses(message, "not under way")


@pytest.mark.parametrize(
    "message",
    [
        listing(wire()),
        pack((0, b"hello")),
        chunk(0, b"hello"),
        messages.Delta(16, 0, bytes(32), True, b""),
        messages.Copy(16, 0, 0, b"x"),
        messages.Commit(16),
        messages.Abort(16),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_after_the_commit_are_refused(message: messages.Message) -> None:
    feed = begun(*puts(b"hello"))
    feed(pack((0, b"hello")), messages.Commit(16))
    feed.refuses(message, "committed")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (pack(), "pack of 0 bytes"),
        (pack((0, b"hell")), "for bodies of 5"),
        (pack((0, b"hello!")), "for bodies of 5"),
        (pack((9, b"hello")), "op 9 of 3"),
        (pack((2, b"hello")), "not awaited"),
        (messages.Pack(16, (0, 0), 10, RAW, b"hellohello"), "pack of 10 bytes"),
        (messages.Pack(16, (0,), 5, RAW, b"hell"), "4 instead of 5"),
        (chunk(1, b"ello"), "chunk of bytes 1 to 5 after 0 of 5"),
        (chunk(0, b"hello!"), "chunk of bytes 0 to 6"),
        (chunk(0, b""), "chunk of bytes 0 to 0"),
        (chunk(0, b"hello", op=9), "op 9 of 3"),
        (messages.Chunk(16, 0, 2**62, 2**62, RAW, b""), "chunk of bytes"),
        (messages.Copy(16, 9, 0, b"x"), "op 9"),
        (messages.Copy(16, 0, 5, b"x"), "root 5"),
        (messages.Delta(16, 9, bytes(32), True, b""), "op 9"),
        (messages.Cancel(16, (9,)), "op 9 of 3"),
    ],
)
def test_bodies_that_do_not_fit_their_ops_are_refused(message: messages.Message, words: str) -> None:
    begun(*puts(b"hello", b"world"), ops.delete(0, "x")).refuses(message, words)


@pytest.mark.parametrize("first", [pack((0, b"hello")), chunk(0, b"hello"), messages.Copy(16, 0, 0, b"x")])
@pytest.mark.parametrize(
    "second",
    [
        pack((0, b"hello")),
        chunk(0, b"hello"),
        messages.Copy(16, 0, 0, b"x"),
        messages.Delta(16, 0, bytes(32), True, b""),
    ],
)
def test_no_body_comes_twice(first: messages.Message, second: messages.Message) -> None:
    feed = begun(*puts(b"hello", b"world"))
    feed(first)
    feed.refuses(second, "not awaited")


@pytest.mark.parametrize(
    "message",
    [pack((0, b"hello")), messages.Copy(16, 0, 0, b"x"), messages.Delta(16, 0, bytes(32), True, b""), chunk(0, b"h")],
)
def test_a_body_that_has_begun_is_ended_the_same_way(message: messages.Message) -> None:
    feed = begun(*puts(b"hello"))
    feed(chunk(0, b"hel"))
    feed.refuses(message, r"not awaited|after 3 of 5")


def test_bodies_that_have_begun_are_bounded() -> None:
    many = inbound.MAX_OPEN_BODIES + 1
    feed = begun(*puts(*[b"hello"] * many))
    for op in range(many - 1):
        feed(chunk(0, b"h", op))
    feed.refuses(chunk(0, b"h", many - 1), "bodies begun")


@pytest.mark.parametrize("declared", [10, 240 * 1024, 240 * 1024 + 1, 2**62])
def test_a_bomb_costs_nothing(declared: int) -> None:
    bomb = zstd.library.compress(bytes(1 << 27))
    feed = begun(ops.put(0, "big", entry.file(bytes(32), 1 << 62)))
    tracemalloc.start()
    try:
        feed.refuses(messages.Chunk(16, 0, 0, declared, messages.Codec.ZSTD, bomb))
        feed.refuses(messages.Pack(16, (0,), 1 << 62, messages.Codec.ZSTD, bomb), "allowed are 245760")
        feed.refuses(messages.Ops(16, declared, messages.Codec.ZSTD, bomb))
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_raw_data_beyond_the_bound_is_refused() -> None:
    feed = begun(ops.put(0, "big", entry.file(bytes(32), 1 << 30)))
    feed.refuses(messages.Chunk(16, 0, 0, 5, messages.Codec.ZSTD, bytes(245_761)), "245761 bytes declared")


def test_garbage_in_place_of_ops_is_refused() -> None:
    feed = Feed()
    feed(messages.Begin(16, 1))
    feed.refuses(messages.Ops(16, 3, RAW, b"\xff\xff\xff"), "not a list of ops")
    deep = b"\xdd\0\0\0\1\x95\x01\x00\xc4\x01a\xc0" + b"\x91" * 100_000
    feed.refuses(messages.Ops(16, len(deep), RAW, deep), "not a list of ops")


# ---- deltas, copies and what is needed whole -----------------------------------------------------------------


BASE = b"".join(b"line %d\n" % number for number in range(20_000))
NEW = BASE[:90_000] + b"changed" + BASE[90_000:]


def test_a_delta_is_put_together() -> None:
    made = bodies.deltas(16, 0, b"b" * 32, BASE, NEW, limit_bytes=20)
    assert len(made) > 1
    feed = begun(*puts(NEW))
    assert feed(*made[:-1]) == []
    (command,) = feed(made[-1])
    assert isinstance(command, commands.ApplyDelta)
    assert command.credit == sum(messages.cost(message) for message in made)
    assert command.base == b"b" * 32
    assert delta.apply(BASE, command.delta, len(NEW)) == NEW
    assert feed(messages.Commit(16)) == [commands.CommitBatch(16, (), True)]


@pytest.mark.parametrize(
    "message",
    [
        messages.Delta(16, 1, b"b" * 32, True, b""),
        messages.Delta(16, 0, b"c" * 32, True, b""),
        pack((1, b"hello")),
        chunk(0, b"hello", 1),
        messages.Copy(16, 1, 0, b"x"),
        messages.Cancel(16, (0,)),
        messages.Commit(16),
    ],
)
def test_nothing_comes_between_the_pieces_of_a_delta(message: messages.Message) -> None:
    feed = begun(*puts(NEW, b"hello"))
    feed(messages.Delta(16, 0, b"b" * 32, False, b"piece"))
    feed.refuses(message, r"pieces|in the middle|have not come")


def test_another_op_may_be_cancelled_meanwhile() -> None:
    feed = begun(*puts(NEW, b"hello"))
    feed(messages.Delta(16, 0, b"b" * 32, False, b"piece"))
    assert feed(messages.Cancel(16, (1,))) == [commands.CancelOps(16, (1,))]


def test_a_delta_is_bounded_in_bytes_and_in_pieces() -> None:
    piece = messages.Delta(16, 0, b"b" * 32, False, bytes(200_000))
    feed = begun(*puts(NEW))
    feed(*[piece] * 5)
    feed.refuses(piece, "delta of more than")
    feed = begun(*puts(NEW))
    empty = messages.Delta(16, 0, b"b" * 32, False, b"")
    with pytest.raises(errors.RemoteProtocolError, match="delta of more than"):
        feed(*[empty] * 20_000)


def test_a_file_too_large_for_a_delta_is_refused() -> None:
    feed = begun(ops.put(0, "big", entry.file(bytes(32), (8 << 20) + 1)))
    feed.refuses(messages.Delta(16, 0, bytes(32), True, b"x"), "delta of a file")


def need(feed: Feed, *wanted: int, batch: int = 16) -> bool:
    return feed.assembly.need(messages.Need(batch, wanted))


def test_what_is_needed_after_the_commit_takes_the_commit_back() -> None:
    feed = begun(*puts(NEW, b"hello", b"world"))
    feed(*bodies.deltas(16, 0, b"b" * 32, BASE, NEW), messages.Copy(16, 1, 1, b"from"), pack((2, b"world")))
    assert feed(messages.Commit(16, reload=False)) == [commands.CommitBatch(16, (), False)]
    assert need(feed, 0, 1)
    with pytest.raises(errors.LocalProtocolError, match="cannot be acked"):
        feed.assembly.acked(16)
    feed.refuses(messages.Delta(16, 0, b"b" * 32, True, b""), "whole body is needed")
    feed.refuses(messages.Copy(16, 1, 0, b"x"), "whole body is needed")
    feed.refuses(pack((2, b"world")), "not awaited")
    feed(chunk(0, NEW[:100_000]))
    feed.refuses(pack((0, b"whole")), "not awaited")
    feed(chunk(100_000, NEW[100_000:]))
    last = feed(pack((1, b"hello")))
    assert last == [commands.WriteBody(16, 1, b"hello", 5 + COST), commands.CommitBatch(16, (), False)]
    feed.assembly.acked(16)


def test_a_need_may_cross_the_commit() -> None:
    feed = begun(*puts(NEW, b"hello"))
    feed(*bodies.deltas(16, 0, b"b" * 32, BASE, NEW))
    need(feed, 0)
    feed.refuses(messages.Commit(16), "1 bodies have not come")
    feed(pack((1, b"hello")))
    assert feed(messages.Commit(16)) == []
    feed(chunk(0, NEW[:200_000]))
    assert feed(chunk(200_000, NEW[200_000:]))[-1] == commands.CommitBatch(16, (), True)


def test_what_is_needed_may_be_cancelled_instead() -> None:
    feed = begun(*puts(b"hello", b"world"))
    feed(messages.Copy(16, 0, 0, b"x"), pack((1, b"world")), messages.Commit(16))
    need(feed, 0)
    feed.refuses(messages.Cancel(16, (1,)), "after the commit")
    assert feed(messages.Cancel(16, (0,))) == [commands.CancelOps(16, (0,)), commands.CommitBatch(16, (), True)]
    assert feed(messages.Cancel(16, (0,))) == []


def test_a_need_that_comes_too_late_is_nothing() -> None:
    feed = begun(*puts(b"hello"))
    feed(messages.Copy(16, 0, 0, b"x"), messages.Cancel(16, (0,)))
    assert need(feed, 0)
    assert feed(messages.Commit(16)) == [commands.CommitBatch(16, (), True)]
    feed.assembly.acked(16)
    assert not need(feed, 0)


@pytest.mark.parametrize(("batch", "op"), [(17, 0), (16, 0), (16, 5)])
def test_needing_what_did_not_come_is_the_callers_error(batch: int, op: int) -> None:
    feed = begun(*puts(b"hello"))
    with pytest.raises(errors.LocalProtocolError, match="no such bodies"):
        need(feed, op, batch=batch)


def test_only_a_committed_batch_is_acked() -> None:
    feed = begun()
    for number in (16, 17):
        with pytest.raises(errors.LocalProtocolError, match="cannot be acked"):
            feed.assembly.acked(number)


# ---- cancelling ----------------------------------------------------------------------------------------------


def test_cancelled_bodies_are_not_awaited() -> None:
    feed = begun(*puts(b"hello", b"world", b"again"), ops.delete(0, "x"))
    feed(chunk(0, b"hel"), pack((1, b"world")))
    assert feed(messages.Cancel(16, (0, 1, 2, 3, 3))) == [commands.CancelOps(16, (0, 1, 2, 3))]
    assert feed(messages.Cancel(16, (0,))) == []
    feed.refuses(chunk(3, b"lo"), "not awaited")
    feed.refuses(pack((2, b"again")), "not awaited")
    assert feed(messages.Commit(16)) == [commands.CommitBatch(16, (), True)]


@pytest.mark.parametrize("kind", samples.BATCH_KINDS)
def test_whatever_the_state_table_lets_through_is_looked_at(kind: type[messages.Message]) -> None:
    """A message of a batch without a handler would end the agent instead of the session."""
    (sample,) = (each for each in samples.SAMPLES if isinstance(each, kind))
    if isinstance(sample, messages.Begin):
        assert Feed()(sample) == [commands.BeginBatch(sample.batch, sample.ops)]
    else:
        Feed().refuses(sample, "batch 16 is not under way")
