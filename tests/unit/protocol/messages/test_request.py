"""Questions and answers, on the wire."""

import msgspec

from devloop.core import entry
from devloop.protocol import messages
from tests.unit.protocol import samples

DIGEST = b"d" * 32


def test_a_question_and_its_answer_on_the_wire() -> None:
    asked = messages.Request(16, messages.Ask.PULL, 1, b"a", DIGEST)
    assert samples.wire(asked) == [40, 16, "pull", 1, b"a", DIGEST]
    assert samples.wire(messages.Part(16, 3, messages.Codec.ZSTD, b"abc")) == [41, 16, 3, 1, b"abc"]
    assert samples.wire(messages.Done(16, "no")) == [42, 16, "no"]


def test_a_question_needs_no_more_than_its_kind() -> None:
    assert samples.wire(messages.Request(16, messages.Ask.SWEEP)) == [40, 16, "sweep", 0, b"", b""]


def test_a_row_of_a_manifest_on_the_wire() -> None:
    row = messages.ManifestRow(b"a", None, True, entry.file(DIGEST, 5))
    raw = msgspec.msgpack.encode(row)
    assert msgspec.msgpack.decode(raw) == [b"a", None, True, [1, False, 5, DIGEST, b""]]
    assert msgspec.msgpack.decode(raw, type=messages.ManifestRow) == row
