"""One-line edits while a 1 GiB file is being sent: on loopback, and over a slow link."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench import lab, stats
from tests.bench.report import Figure
from tests.bench.scenarios import plan

NAME: Final = "big-file"
BIG_BYTES: Final = 1 << 30
RATE_BITS_PER_S: Final = 10e6
DELAY_S: Final = 0.025
_BLOCK_BYTES: Final = 1 << 20


def run(how: plan.Plan) -> list[Figure]:
    """Measure on a few files, on tmpfs."""
    return [*_loopback(how), *_limited(how)]


def _loopback(how: plan.Plan) -> list[Figure]:
    during, hashing, quiet, took = [], [], [], []
    with how.on_memory() as place:
        place.small_project(50)
        edited = place.source / plan.EDITED
        edited.write_text("")
        with place.start() as subject:
            subject.in_sync()
            lab.pause(2.0)
            for number in range(how.runs):
                quiet.append(stats.percentile(subject.edits(edited, 20), 95))
                subject.order(do="edits", path=str(edited), count=0, until="acked")
                _put_big(place, number)
                sent_s, acked_s, edits = _while_big(subject)
                took.append(acked_s - sent_s)
                during += [ms for at_s, ms in edits if sent_s <= at_s < acked_s]
                hashing += [ms for at_s, ms in edits if at_s < sent_s]
                lab.pause(2.0)
    figures = [
        Figure(
            scenario=NAME,
            name=f"edit while 1 GiB is sent, p95 of {len(during)}",
            unit="ms",
            values=(stats.percentile(during, 95),),
            target=50.0,
            floors=(stats.median(quiet),),
            floor_name="p95 with nothing else",
        ),
        Figure(scenario=NAME, name="the same, p50", unit="ms", values=(stats.median(during),)),
        Figure(scenario=NAME, name="sending 1 GiB", unit="s", values=tuple(took)),
    ]
    if hashing:
        name = f"edit while 1 GiB is hashed, worst of {len(hashing)}"
        figures.append(Figure(scenario=NAME, name=name, unit="ms", values=(max(hashing),)))
    return figures


def _limited(how: plan.Plan) -> list[Figure]:
    """Measure over a link of 10 Mbit/s and 50 ms: the big file never arrives."""
    rows = []
    quiet = []
    count = 10 if how.quick else 40
    for number in range(1 if how.quick else min(how.runs, 3)):
        with how.on_memory() as place, _slow_link(place) as via:
            place.small_project(50)
            edited = place.source / plan.EDITED
            edited.write_text("")
            with place.start("--via", via) as subject:
                subject.in_sync()
                lab.pause(2.0)
                quiet.append(stats.median(subject.edits(edited, 10)))
                _put_big(place, number)
                subject.wait(lambda record: _begins_big(record))
                # The link is to be full when the first edit comes.
                lab.pause(2.0)
                subject.order(do="edits", path=str(edited), count=count, until="acked")
                found = subject.records(lambda record: record["kind"] == "edits_done", 10 * lab.PATIENCE_S)
                rows.append([record["ms"] for record in found if record["kind"] == "edit"])
    return [
        Figure(
            scenario=NAME,
            name=f"edit while 1 GiB is sent at 10 Mbit/s, 50 ms: p{percent}",
            unit="ms",
            values=tuple(stats.percentile(row, percent) for row in rows),
            target=target,
            floors=tuple(quiet),
            floor_name="p50 on that link, nothing else",
        )
        for percent, target in ((50, None), (95, 400.0))
    ]


def _put_big(place: lab.Lab, number: int) -> None:
    """Let the big file appear at once, with new content."""
    made = place.folder / "making.bin"
    block = random.Random(number).randbytes(_BLOCK_BYTES)
    with open(made, "wb") as file:
        for index in range(BIG_BYTES // _BLOCK_BYTES):
            file.write(index.to_bytes(8, "big"))
            file.write(block[8:])
    os.rename(made, place.source / "big.bin")


def _begins_big(record: lab.Record) -> bool:
    return lab.is_event(record, "sync_started") and record["event"]["total_bytes"] >= BIG_BYTES


def _while_big(subject: lab.Subject) -> tuple[float, float, list[tuple[float, float]]]:
    """Return when the big batch was sent and acked, and the edits until then: when, and how many milliseconds."""
    edits: list[tuple[float, float]] = []
    sent_s = acked_s = 0.0
    number = -1
    for record in subject.records(lambda record: record["kind"] == "edits_done"):
        if record["kind"] == "edit":
            edits.append((record["at_s"], record["ms"]))
        elif _begins_big(record):
            sent_s, number = record["at_s"], record["event"]["batch"]
        elif record["kind"] == "acked" and record["batch"] == number:
            acked_s = record["at_s"]
            subject.order(do="enough")
    return sent_s, acked_s, edits


@contextlib.contextmanager
def _slow_link(place: lab.Lab) -> Iterator[str]:
    """Run the shaping proxy in front of the agent's socket; yield the socket to connect to."""
    via = str(place.folder / "slow.sock")
    command = [sys.executable, "-m", "tests.bench.shaper", via, place.agent_socket()]
    command += ["--bits-per-s", str(RATE_BITS_PER_S), "--delay-s", str(DELAY_S)]
    environment = place.environment()
    with subprocess.Popen(
        command, env=environment, cwd=Path(lab.REPOSITORY), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        try:
            yield via
        finally:
            process.stdin.close()
