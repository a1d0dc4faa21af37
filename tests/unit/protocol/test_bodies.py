"""Outgoing batches: everything fits frames, and comes out of the other side as it went in."""

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop.core import entry, ops
from devloop.protocol import bodies, codec, commands, inbound, messages

TEXT = b"".join(b"    def method_%d(self) -> int:\n        return %d\n" % (n, n) for n in range(6000))


def through(changes: list[ops.Op], *sent: messages.Bulk) -> list[commands.Command]:
    """Return the commands that a batch of these messages makes, each encoded as a frame on the way."""
    assembly = inbound.BatchAssembly(3, 8 << 20)
    made = assembly.feed(messages.Begin(16, len(changes)))
    for message in sent:
        codec.encode(message)
        made += assembly.feed(message)
    return made


OPS = st.lists(
    st.one_of(
        st.builds(ops.delete, st.integers(0, 2), st.sampled_from(["a", "b/c", "caf\udce9"])),
        st.builds(ops.forget, st.integers(0, 2), st.just("x")),
        st.builds(ops.adopt, st.integers(0, 2), st.just("y"), st.just(entry.folder())),
        st.builds(ops.put, st.integers(0, 2), st.just("z"), st.builds(entry.file, st.just(bytes(32)), st.integers(0))),
        st.builds(ops.put, st.integers(0, 2), st.just("l"), st.just(entry.link(b"../z"))),
    ),
    max_size=40,
)


@given(OPS, st.sampled_from([0, 1]))
def test_ops_come_out_as_they_went_in(changes: list[ops.Op], level: int) -> None:
    small = [op for op in changes if op.entry is None or op.entry.size <= 2**62]
    made = through(small, *bodies.Encoder(level).ops(16, small))
    assert [op for each in made if isinstance(each, commands.AddOps) for op in each.ops] == small


def test_many_ops_take_several_messages_that_fit() -> None:
    changes = [ops.put(0, "d" * 200 + f"/{number}", entry.file(os.urandom(32), number)) for number in range(5000)]
    sent = list(bodies.Encoder(1).ops(16, changes))
    assert len(sent) > 4
    assert all(message.raw_size <= messages.MAX_DATA_BYTES for message in sent)
    made = through(changes, *sent)
    assert [op for each in made if isinstance(each, commands.AddOps) for op in each.ops] == changes


def test_the_longest_op_fits() -> None:
    change = ops.put(0, "/".join(["d" * 200] * 20), entry.link(b"t" * 4095))
    (sent,) = bodies.Encoder(0).ops(16, [change])
    assert len(sent.data) < 10_000


@given(st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=30), st.sampled_from([500, 240 * 1024]))
def test_packed_bodies_come_out_as_they_went_in(contents: list[bytes], limit: int) -> None:
    changes = [
        ops.put(0, str(n), entry.file(hashlib.sha256(content).digest(), len(content)))
        for n, content in enumerate(contents)
    ]
    encoder = bodies.Encoder(1)
    made = through(changes, *encoder.ops(16, changes), *encoder.packs(16, enumerate(contents), limit))
    assert {each.op: each.data for each in made if isinstance(each, commands.WriteBody)} == dict(enumerate(contents))


def test_source_files_share_what_they_have_in_common() -> None:
    (pack,) = bodies.Encoder(1).packs(16, [(n, TEXT[:20_000]) for n in range(12)])
    assert pack.codec is messages.Codec.ZSTD
    assert len(pack.data) < 10_000


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    (pack,) = bodies.Encoder(3).packs(16, [(0, os.urandom(60_000)), (1, os.urandom(60_000))])
    assert pack.codec is messages.Codec.RAW
    assert bodies.Encoder(1).chunk(16, 0, 0, os.urandom(messages.MAX_DATA_BYTES)).codec is messages.Codec.RAW
    assert bodies.Encoder(0).chunk(16, 0, 0, bytes(100_000)).codec is messages.Codec.RAW


def test_packs_are_bounded_in_bytes_and_in_bodies() -> None:
    encoder = bodies.Encoder(0)
    sizes = [pack.raw_size for pack in encoder.packs(16, ((n, bytes(60_000)) for n in range(9)))]
    assert sizes == [240_000, 240_000, 60_000]
    assert [len(pack.ops) for pack in encoder.packs(16, ((n, b"x") for n in range(5000)))] == [2048, 2048, 904]
    assert [len(pack.ops) for pack in encoder.packs(16, [(0, bytes(900)), (1, bytes(900))], 100)] == [1, 1]
    assert list(encoder.packs(16, [])) == []


def test_a_pack_takes_no_more_bodies_than_it_needs() -> None:
    read: list[int] = []

    def files() -> object:
        for number in range(100):
            read.append(number)
            yield number, bytes(60_000)

    next(bodies.Encoder(0).packs(16, files()))  # type: ignore[arg-type]
    assert len(read) == 5


def test_a_delta_is_made_of_a_changed_file_in_the_right_range() -> None:
    new = TEXT[:1000] + b"changed" + TEXT[1000:]
    (sent,) = bodies.deltas(16, 3, b"b" * 32, TEXT, new)
    assert (sent.stream, sent.op, sent.base, sent.last) == (16, 3, b"b" * 32, True)
    assert len(sent.data) < 200


@pytest.mark.parametrize(
    ("base", "new"),
    [
        (b"small" * 100, b"small" * 101),
        (bytes(70_000), os.urandom(70_000)),
        (bytes(9 << 20), bytes(100_000)),
        (bytes(100_000), bytes(9 << 20)),
        (os.urandom(100), os.urandom(3 << 20) + bytes(5 << 20)),
    ],
    ids=["too small", "no likeness", "base too large", "too large", "delta too large"],
)
def test_other_files_are_sent_whole(base: bytes, new: bytes) -> None:
    assert bodies.deltas(16, 0, bytes(32), base, new) == []


def test_a_link_that_is_faster_than_compressing_gets_no_compression() -> None:
    assert bodies.level_for(0) == 1
    assert bodies.level_for(500e6) == 0
    assert bodies.level_for(12e6) == 1
    # As fast as port-forwards get: uncompressed they would need three times as long for the same files.
    assert bodies.level_for(90e6) == 1
    assert bodies.level_for(1e6) == 3
