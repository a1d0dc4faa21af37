"""Two edits in a file of 948 kB: what goes over the wire."""

from __future__ import annotations

import random
from typing import Final

from devloop.core import delta
from tests.bench import lab
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "delta"
FILE_BYTES: Final = 948_000


def run(how: plan.Plan) -> list[Figure]:
    """Measure on a few files, on tmpfs."""
    wire, bare = [], []
    content = _text()
    with how.on_memory() as place:
        place.small_project(50)
        edited = place.source / "words.txt"
        edited.write_bytes(content)
        with place.start() as subject:
            subject.in_sync()
            for number in range(how.runs):
                # The base of a delta is stored in quiet moments.
                lab.pause(3.0)
                before_bytes = subject.wire_bytes()
                changed = _edit(content, number)
                edited.write_bytes(changed)
                subject.in_sync()
                wire.append(float(subject.wire_bytes() - before_bytes))
                bare.append(float(len(delta.make(content, changed))))
                content = changed
    return [
        Figure(
            scenario=NAME,
            name="948 kB file, two edits: over the wire",
            unit="B",
            values=tuple(wire),
            target=2000.0,
            floors=tuple(bare),
            floor_name="the zstd delta alone",
        )
    ]


def _text() -> bytes:
    """Return text that compresses about as source does, and never twice the same line."""
    dice = random.Random(3)
    words = [f"word{number}" for number in range(3000)]
    lines = []
    size = 0
    while size < FILE_BYTES:
        line = " ".join(dice.choices(words, k=10)) + "\n"
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:FILE_BYTES]


def _edit(content: bytes, number: int) -> bytes:
    """Insert a line near the beginning and change a word near the end."""
    first = content.index(b"\n", 100_000) + 1
    second = content.index(b"\n", 800_000) + 1
    return (
        content[:first]
        + b"inserted %d\n" % number
        + content[first:second]
        + b"changed%d" % number
        + content[second + 8 :]
    )
