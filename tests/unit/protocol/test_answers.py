"""Long answers: cut to fit, put together again, and checked."""

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devloop import errors
from devloop.core import entry, problem, rules, zstd
from devloop.protocol import answers, codec, messages

FILE = entry.file(bytes(32), 5)


def test_a_manifest_comes_out_as_it_went_in() -> None:
    rows = [answers.row(f"d/{n}", entry.file(os.urandom(32), n), n % 2 == 0) for n in range(9000)]
    rows.append(answers.row("caf\udce9", entry.link(b"x"), False))
    parts = list(answers.rows_to_parts(16, rows))
    assert len(parts) > 1
    assert all(part.stream == 16 and len(codec.encode(part)) < codec.MAX_FRAME_BYTES - 4 for part in parts)
    listed = [each for part in parts for each in answers.part_to_rows(part)]
    assert [answers.row(each.path, each.entry, each.managed) for each in listed] == rows


def test_an_empty_manifest_has_no_parts() -> None:
    assert list(answers.rows_to_parts(16, [])) == []


@given(st.lists(st.binary(max_size=5000)), st.sampled_from([0, 1]))
def test_content_comes_out_as_it_went_in(pieces: list[bytes], level: int) -> None:
    parts = answers.content_to_parts(16, pieces, level)
    assert b"".join(answers.part_to_content(part) for part in parts) == b"".join(pieces)


def test_a_large_piece_is_cut() -> None:
    parts = list(answers.content_to_parts(16, [bytes(600_000)], 0))
    assert [part.raw_size for part in parts] == [245_760, 245_760, 108_480]


@pytest.mark.parametrize(
    "row",
    [
        messages.ManifestRow(b"../x", FILE, True),
        messages.ManifestRow(b"/x", FILE, True),
        messages.ManifestRow(b".git/x", FILE, True),
        messages.ManifestRow(b"x", entry.Entry(entry.Kind.FILE, size=3), True),
        [b"x", 5, True],
        "x",
    ],
)
def test_a_manifest_that_is_not_one_is_refused(row: object) -> None:
    raw = msgspec.msgpack.encode([row])
    with pytest.raises(errors.RemoteProtocolError, match="not a manifest"):
        answers.part_to_rows(messages.Part(16, len(raw), messages.Codec.RAW, raw))


def test_content_that_is_not_what_was_declared_is_refused() -> None:
    with pytest.raises(errors.RemoteProtocolError):
        answers.part_to_content(messages.Part(16, 5, messages.Codec.ZSTD, b"bomb"))


def trouble(number: int) -> messages.WireProblem:
    return messages.WireProblem(0, b"p" * 300 + b"%d" % number, problem.Reason.IO, "cannot write", 5)


def test_a_plain_ack_stays_one_message() -> None:
    ack = messages.Ack(16, 16, (bytes(32),))
    assert answers.split_ack(ack) == [ack]


def test_an_ack_with_many_problems_is_split_to_fit() -> None:
    ack = messages.Ack(
        16, 15, (bytes(32),), tuple(map(trouble, range(3000))), tuple((1, b"o" * 200) for _ in range(3000)), "", 7
    )
    *parts, last = answers.split_ack(ack)
    assert len(parts) > 5
    for message in (*parts, last):
        codec.encode(message)
    assert last == msgspec.structs.replace(ack, problems=(), overwritten=())
    problems = [part for part in parts if isinstance(part, messages.Problems)]
    assert tuple(each for part in problems for each in part.problems) == ack.problems
    assert tuple(each for part in problems for each in part.overwritten) == ack.overwritten


def test_findings_are_cut_until_they_fit() -> None:
    small = messages.Findings(0, (), 0, (b"x",), 1, 0)
    assert answers.fit_findings(small) is small
    drift = tuple(messages.WireDrift(b"d" * 4000, FILE, None) for _ in range(500))
    large = messages.Findings(0, drift, 500, tuple(b"e" * 4000 for _ in range(400)), 400, 0, ((b"p", FILE),))
    cut = answers.fit_findings(large)
    codec.encode(cut)
    assert (cut.drift_count, cut.extra_count) == (500, 400)
    assert len(cut.drift) == len(cut.extra) == 31
    assert cut.pulls == large.pulls


def test_long_lists_of_numbers_are_split() -> None:
    numbers = tuple(range(100_000))
    parts = list(answers.split_numbers(messages.Need(16, numbers)))
    assert sum((part.ops for part in parts), ()) == numbers
    assert len(parts) == 3


def rule_set(count: int = 3) -> rules.RuleSet:
    listed = rules.parse_lines([f"*.{index:x}{'y' * (index % 7)}" for index in range(count)], b".gitignore", "x")
    return rules.RuleSet((rules.Group(rules.Layer.GITIGNORE, b"", listed),))


def test_rules_come_out_as_they_went_in() -> None:
    known = rule_set()
    message = answers.rules_to_message(3, known)
    assert (message.root, message.digest) == (3, known.digest)
    assert answers.message_to_rules(message) == known


def test_rules_that_do_not_fit_a_frame_are_left_out() -> None:
    message = answers.rules_to_message(0, rule_set(200_000))
    assert (message.raw_size, message.data) == (0, b"")
    assert message.digest == rule_set(200_000).digest
    assert answers.message_to_rules(message) is None


def test_many_rules_fit_a_frame() -> None:
    message = answers.rules_to_message(0, rule_set(10_000))
    assert message.raw_size and len(codec.encode(message)) < codec.MAX_FRAME_BYTES
    assert answers.message_to_rules(message) == rule_set(10_000)


@pytest.mark.parametrize(
    "message",
    [
        messages.Rules(0, b"", 100, b"garbage"),
        messages.Rules(0, b"", 100, b""),
        messages.Rules(0, b"", 5, zstd.Compressor(1).compress(b"hello, this is longer")),
        messages.Rules(0, b"", 50, zstd.Compressor(1).compress(b"shorter")),
        messages.Rules(0, b"", 2**40, zstd.Compressor(1).compress(bytes(10_000_000))),
        messages.Rules(0, b"", 7, zstd.Compressor(1).compress(b"\xa6garbag")),
        messages.Rules(0, b"", 3, zstd.Compressor(1).compress(b"\xa2\xff\xff")),
    ],
)
def test_rules_that_are_none_are_refused(message: messages.Rules) -> None:
    with pytest.raises(errors.RemoteProtocolError):
        answers.message_to_rules(message)
