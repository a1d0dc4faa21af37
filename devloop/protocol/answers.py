"""The agent's long answers, cut to fit frames, and put together again on the laptop.

Manifests and file content travel as `Part`s of one stream; an ack with many problems as `Problems` before the
`Ack`; findings are shortened, since their counts tell the rest. What comes from the agent is checked like what goes
to it: a pull writes on the laptop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from devloop import errors
from devloop.core import entry, paths, rules, zstd
from devloop.core.entry import Entry
from devloop.protocol import bodies, codec, inbound, messages

_PROBLEM_BYTES: Final = 200 * 1024
"""So much of an ack's lists goes into one frame: the rest of the message, at most the digests of its roots, needs
far less than the 56 KiB that are left."""

_NUMBERS: Final = 40_000
"""Op numbers in one message: 5 bytes each make 200 kB."""

_MAX_RULES_BYTES: Final = 4 * 1024 * 1024
"""The most that a rule set may take unpacked: some 50,000 patterns."""

_rules_decoder: Final = msgspec.msgpack.Decoder(rules.RuleSet)
_rows_decoder: Final = msgspec.msgpack.Decoder(list[messages.ManifestRow])
_size: Final = msgspec.msgpack.Encoder()

_Value = TypeVar("_Value")
_Numbers = TypeVar("_Numbers", messages.Need, messages.Cancel)


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One path of a manifest, checked.

    Attributes:
        path: The path.
        entry: What is really there; None where nothing is, although it was shipped.
        managed: devloop shipped or adopted it.
        was: What was shipped, where somebody else has changed it since.
    """

    path: str
    entry: Entry | None
    managed: bool
    was: Entry | None = None


def row(path: str, what: entry.Entry | None, managed: bool, was: entry.Entry | None = None) -> messages.ManifestRow:
    """Return a path's row; see `Listed`."""
    return messages.ManifestRow(paths.to_wire(path), what, managed, was)


def rows_to_parts(request: int, rows: Iterable[messages.ManifestRow], level: int = 1) -> Iterator[messages.Part]:
    """Yield the parts that carry a manifest; takes no more rows than the part that is being made needs.

    Args:
        request: The request that is answered.
        rows: The manifest, in any order.
        level: zstd's level, 0 for none.
    """
    encoder = bodies.Encoder(level)
    for listing in bodies.listings(rows):
        encoding, data = encoder.encode(listing)
        yield messages.Part(request, len(listing), encoding, data)


def part_to_rows(part: messages.Part) -> list[Listed]:
    """Return the rows that a part carries.

    Raises:
        RemoteProtocolError: It carries something else, or a path that is not safe.
    """
    raw = part_to_content(part)
    try:
        rows = _rows_decoder.decode(raw)
        return [_listed(each) for each in rows]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, paths.UnsafePathError) as error:
        raise errors.RemoteProtocolError(f"not a manifest: {error}", where="Part.data") from error


def content_to_parts(request: int, pieces: Iterable[bytes], level: int = 1) -> Iterator[messages.Part]:
    """Yield the parts that carry a file's content; takes one piece at a time.

    Args:
        request: The request that is answered.
        pieces: The content in order; pieces of any length.
        level: zstd's level, 0 for none.
    """
    encoder = bodies.Encoder(level)
    for piece in pieces:
        for start in range(0, len(piece), messages.MAX_DATA_BYTES):
            raw = piece[start : start + messages.MAX_DATA_BYTES]
            encoding, data = encoder.encode(raw)
            yield messages.Part(request, len(raw), encoding, data)


def part_to_content(part: messages.Part) -> bytes:
    """Return the content that a part carries, at most 240 KiB.

    Raises:
        RemoteProtocolError: It is not what it was declared to be.
    """
    return inbound.unpack(part.codec, part.data, part.raw_size, "Part.data")


def rules_to_message(root: int, rule_set: rules.RuleSet) -> messages.Rules:
    """Return the message that tells the agent the rules of a root.

    Rules that do not fit a frame, some megabytes of patterns, are left out: the agent then protects all that it does
    not know, which costs the list of extra paths and nothing else.
    """
    raw = msgspec.msgpack.encode(rule_set)
    data = zstd.Compressor(3).compress(raw)
    if len(data) > messages.MAX_DATA_BYTES or len(raw) > _MAX_RULES_BYTES:
        return messages.Rules(root, rule_set.digest, 0, b"")
    return messages.Rules(root, rule_set.digest, len(raw), data)


def message_to_rules(message: messages.Rules) -> rules.RuleSet | None:
    """Return the rules that a message carries, or None where they did not fit it.

    Raises:
        RemoteProtocolError: It carries something else.
    """
    if not message.raw_size:
        return None
    if message.raw_size > _MAX_RULES_BYTES:
        raise errors.RemoteProtocolError(f"rules of {message.raw_size} bytes", where="Rules.raw_size")
    try:
        return _rules_decoder.decode(zstd.decompress(message.data, message.raw_size))
    except (zstd.ZstdError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise errors.RemoteProtocolError(f"not a set of rules: {error}", where="Rules.data") from error


def split_ack(ack: messages.Ack) -> list[messages.Problems | messages.Ack]:
    """Return the ack with as many messages before it as its problems need."""
    if not ack.problems and not ack.overwritten:
        return [ack]
    return [
        *(messages.Problems(ack.batch, problems=group) for group in _groups(ack.problems)),
        *(messages.Problems(ack.batch, overwritten=group) for group in _groups(ack.overwritten)),
        msgspec.structs.replace(ack, problems=(), overwritten=()),
    ]


def fit_findings(findings: messages.Findings) -> messages.Findings:
    """Return findings that fit a frame: the lists are cut by half as often as it takes."""
    while not _fits(findings):
        longest = max(len(findings.drift), len(findings.extra), len(findings.pulls)) // 2
        findings = msgspec.structs.replace(
            findings,
            drift=findings.drift[:longest],
            extra=findings.extra[:longest],
            pulls=findings.pulls[:longest],
        )
    return findings


def split_numbers(message: _Numbers) -> Iterator[_Numbers]:
    """Yield a message about many ops as several that each fit a frame."""
    for start in range(0, len(message.ops), _NUMBERS):
        yield msgspec.structs.replace(message, ops=message.ops[start : start + _NUMBERS])


def _groups(values: tuple[_Value, ...]) -> Iterator[tuple[_Value, ...]]:
    """Yield the values in groups that fit a frame."""
    group: list[_Value] = []
    size = 0
    for value in values:
        one = len(_size.encode(value))
        if group and size + one > _PROBLEM_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(value)
        size += one
    if group:
        yield tuple(group)


def _fits(message: messages.Message) -> bool:
    return len(_size.encode(message)) + 16 <= codec.MAX_FRAME_BYTES


def _listed(wire: messages.ManifestRow) -> Listed:
    what = None if wire.entry is None else _checked(wire.entry)
    was = None if wire.was is None else _checked(wire.was)
    if what is None and was is None:
        raise msgspec.ValidationError("a path at which nothing is and was")
    return Listed(paths.from_wire(wire.path), what, wire.managed, was)


def _checked(what: entry.Entry) -> entry.Entry:
    if not entry.is_valid(what):
        raise msgspec.ValidationError(f"not an entry: {what}")
    return what
