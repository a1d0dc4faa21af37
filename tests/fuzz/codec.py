#!/usr/bin/env python3
"""Fuzz everything that reads what a peer sends: frames, whole sessions, ops, manifests and deltas.

Run it by hand: `python -m tests.fuzz.codec --seconds 60 [--seed N]`. With atheris installed it is guided by coverage;
else it mutates good messages by itself. The suite runs a short, fixed stretch of it (tests/protocol/test_fuzz.py).

The property: whatever comes in, nothing leaves but `RemoteProtocolError` (or the error values of `devloop.core`), and
a session that has seen it either goes on or is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import random
import sys
import time
from collections.abc import Callable

from devloop import errors
from devloop.core import delta, entry, ops
from devloop.protocol import answers, bodies, codec, inbound, messages
from tests.protocol import playbook
from tests.unit.protocol import samples

BASE = b"def main() -> None:\n    print('hello')\n" * 50


def seeds() -> list[bytes]:
    """Return one good message body of each kind, and some that belong together."""
    encoder = bodies.Encoder(1)
    changes = [ops.put(0, "a", entry.file(bytes(32), 2000)), ops.put(1, "b/c", entry.file(bytes(32), 5))]
    batch: list[messages.Message] = [messages.Begin(16, 2), *encoder.ops(16, changes)]
    batch += encoder.packs(16, [(0, BASE[:2000]), (1, b"hello")])
    batch += answers.rows_to_parts(16, [answers.row(f"f{n}", entry.folder(), True) for n in range(100)])
    first = messages.FIRST_STREAM
    batch += [messages.Credit(67, ((number, 67),)) for number in (first, first + 1)]
    batch += [messages.Data(number, b"abc") for number in range(first, first + 9)]
    batch += [each for number in range(first, first + 9) for each in (messages.Eof(number), messages.Reset(number))]
    return [codec.encode(message) for message in (*samples.SAMPLES, *batch)]


def one_frame(raw: bytes) -> None:
    """Decode a frame."""
    try:
        message = codec.FrameReader().message(bytes(4) + raw)
    except errors.RemoteProtocolError:
        return
    codec.encode(message)
    if isinstance(message, messages.Part):
        with contextlib.suppress(errors.RemoteProtocolError):
            answers.part_to_rows(message)


def one_batch(raw: bytes) -> None:
    """Feed a message to a batch that is under way."""
    assembly = inbound.BatchAssembly(2, 8 << 20)
    assembly.feed(messages.Begin(16, 2))
    for listing in bodies.Encoder(0).ops(16, [ops.put(0, "a", entry.file(bytes(32), 5))]):
        assembly.feed(listing)
    with contextlib.suppress(errors.RemoteProtocolError):
        message = codec.FrameReader().message(bytes(4) + raw)
        if isinstance(message, samples.BATCH_KINDS):
            assembly.feed(message)


def one_session(raw: bytes) -> None:
    """Hand a frame to both kinds of open session, and see that they live or close."""
    for subject in (playbook.open_agent(), playbook.open_laptop()):
        subject.gets_frame(subject.writer.frame(raw))
        subject.half.events()
        while subject.half.next_frame() is not None:
            pass
        subject.half.tick(100.0)


def one_carrying_session(raw: bytes) -> None:
    """Hand a frame to both kinds of session with byte streams open, half-closed, being opened and gone."""
    first = messages.FIRST_STREAM
    laptop = playbook.open_laptop().does(lambda half: half.send(messages.Listen(0, 80))).sends(messages.Listen)
    laptop.gets(messages.Listening(0))
    agent = playbook.open_agent()
    for number in range(first, first + 8, 2):
        agent.gets(messages.Dial(number, "db", 80))
        laptop.gets(messages.Accepted(number + 1, 0, "peer"))
    for own, subject in ((1, laptop), (0, agent)):
        for number in range(first + own, first + own + 6, 2):
            subject.half.send(messages.Dialled(number))
            subject.half.send_bulk(messages.Data(number, b"abc"))
        subject.half.send(messages.Eof(first + own + 2))
        subject.half.send(messages.Reset(first + own + 4))
        subject.gets_frame(subject.writer.frame(raw))
        subject.half.events()
        while subject.half.next_frame() is not None:
            pass
        assert subject.half.closed or len(subject.half.streams) <= 2 * messages.StreamLimits().max_open


def one_delta(raw: bytes) -> None:
    """Apply bytes as a delta."""
    with contextlib.suppress(delta.DeltaError):
        assert len(delta.apply(BASE, raw, len(BASE) + 1)) == len(BASE) + 1


TARGETS: tuple[Callable[[bytes], None], ...] = (one_frame, one_batch, one_session, one_carrying_session, one_delta)


def fuzz_one(raw: bytes) -> None:
    """Hand the same bytes to every target."""
    for target in TARGETS:
        target(raw)


def mutate(chosen: random.Random, raw: bytes, others: list[bytes]) -> bytes:
    """Return bytes that are like `raw`, with some damage."""
    data = bytearray(raw)
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(len(data) + 1)
        match chosen.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << chosen.randrange(8)
            case 1:
                data[at:at] = chosen.randbytes(chosen.randint(1, 8))
            case 2:
                del data[at : at + chosen.randint(1, 8)]
            case 3 if data:
                # msgpack's heads, which say what comes and how long it is
                data[at % len(data)] = chosen.choice(b"\x80\x90\xa0\xc0\xc1\xc4\xc6\xca\xcf\xd3\xdb\xdd\xdf\xff\x00")
            case 4:
                data[at:] = chosen.choice(others)[at:]
            case 5:
                data[at:at] = b"\xff\xff\xff\xff"
            case _:
                del data[at:]
    return bytes(data)


def run(seed: int, rounds: int | None, seconds: float) -> int:
    """Mutate until the rounds or the seconds are over, and return the number of rounds."""
    chosen = random.Random(seed)
    good = [*seeds(), delta.make(BASE, BASE + b"x")]
    end_s = time.monotonic() + seconds
    done = 0
    while done != rounds and time.monotonic() < end_s:
        raw = mutate(chosen, chosen.choice(good), good)
        try:
            fuzz_one(raw)
        except BaseException:
            sys.stderr.write(f"seed {seed}, round {done}: {raw!r}\n")
            raise
        done += 1
    return done


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options, rest = parser.parse_known_args()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.stdout.write(f"{run(options.seed, None, options.seconds)} rounds, seed {options.seed}\n")
        return 0
    atheris.Setup([sys.argv[0], *rest], fuzz_one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
